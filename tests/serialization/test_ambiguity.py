"""Which classes leave open what was written, so that each of their documents is read once."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    Secret,
    create_model,
    field_serializer,
)

from asgi_serial.serialization.traits import study


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Point(Enum):
    ORIGIN = (0, 0)


class Nothing(Enum):
    NONE = None


class Text(BaseModel):
    kind: Literal["text"] = "text"


class Image(BaseModel):
    kind: Literal["image"] = "image"


class Private(BaseModel):
    _count: int = PrivateAttr(default=0)


class PrivateWithHook(Private):
    _more: int = PrivateAttr(default=0)

    def model_post_init(self, context):
        """Is wrapped by Pydantic."""


class Shown(BaseModel):
    name: str

    @field_serializer("name")
    def shorten(self, name):
        return name[:1]


class Tree(BaseModel):
    inner: "Tree | None" = None


as_text = PlainSerializer(str, return_type=str)
one = partial(max, 1)


@pytest.mark.parametrize(
    ("type_", "is_ambiguous"),
    [
        (str, False),
        (str | None, False),
        (int | str, False),
        (int | float, False),
        (int | None | str, False),
        (Colour | int, False),
        (Level | None, False),
        (Nothing | int, False),
        (Literal["a"] | int, False),
        (list[int] | dict[str, int], False),
        (Annotated[int | None, Field(gt=0)] | str, False),
        (Annotated[int | float, Field(gt=0)] | str, False),
        (Base64Bytes | str, True),
        (Json[int] | list[int], True),
        (Annotated[Text | Image, Field(discriminator="kind")], False),
        (Annotated[Text | Image, Field(discriminator="kind")] | int, False),
        (dict[int, str], False),
        (dict[Colour, int], False),
        (dict[Level, int], False),
        (OrderedDict[str, int], False),
        (Tree | int, False),
        (Private, False),
        (Decimal | int, False),
        (Base64Bytes | int, True),
        (Level | str, True),
        (Literal[1] | float, True),
        (Level | Decimal, True),
        (Nothing | None, True),
        (Sequence[int], True),
        (Iterable[int], True),
        (dict[Literal[5], int], True),
        (Json[int] | str, True),
        (str | date, True),
        (str | Colour, True),
        (Literal["a"] | Colour, True),
        (Decimal | str, True),
        (timedelta | float, True),
        (Text | Image, True),
        (Tree | Text, True),
        (list[int] | set[int], True),
        (Any, True),
        (Any | int, True),
        (Point, True),
        (dict[Any, int], True),
        (dict[tuple[int, int], int], True),
        (Annotated[int, as_text], True),
        (Annotated[int, as_text] | list[int], True),
        (Annotated[int, AfterValidator(one)], True),
        (Secret[int], True),
        (PrivateWithHook, True),
        (Shown, True),
    ],
    ids=str,
)
def test_a_field_leaves_open_what_was_written(type_, is_ambiguous):
    assert study(create_model("Holder", field=(type_, ...))).is_ambiguous is is_ambiguous
