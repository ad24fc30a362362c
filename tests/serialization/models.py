"""Models that several tests use; in a module of their own, so that they can be pickled."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, computed_field


class User(BaseModel):
    id: int
    name: str
    email: str
    created_at: datetime = Field(default_factory=datetime.now)
    is_active: bool = True


class Users(BaseModel):
    users: list[User]


class Point(BaseModel, frozen=True):
    x: int
    y: int
    label: str = ""


class Stamped(BaseModel, frozen=True):
    name: str
    id: UUID = Field(default_factory=uuid4)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Typed(BaseModel):
    at: datetime
    id: UUID
    price: Decimal
    colour: Colour
    pair: tuple[int, str]
    raw: bytes
    names: set[str]


class Measured(BaseModel):
    value: float
    note: str | None = None


class Open(BaseModel):
    data: dict[str, Any] = {}


class Secret(BaseModel):
    token: SecretStr


class Account(BaseModel):
    """Excluded, private, aliased and computed fields at once."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(alias="userName")
    password: str = Field(default="", exclude=True)
    _visits: int = PrivateAttr(default=0)

    @computed_field
    @property
    def greeting(self) -> str:
        return f"Hello {self.name}"


def make_users(count):
    return Users(
        users=[
            User(
                id=number,
                name=f"User {number}",
                email=f"user{number}@example.com",
                created_at=datetime(2026, 1, 1, 12, number % 60),
            )
            for number in range(count)
        ]
    )


USER = User(id=1, name="Ada", email="ada@example.com", created_at=datetime(2026, 1, 1))
TYPED = Typed(
    at=datetime(2026, 1, 1, tzinfo=UTC),
    id="12345678-1234-5678-1234-567812345678",
    price="1.50",
    colour=Colour.RED,
    pair=(1, "a"),
    raw=b"raw",
    names={"a", "b"},
)
