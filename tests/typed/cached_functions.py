"""Cached functions keep their signatures, for functions and methods of both kinds."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Annotated, Any, assert_type

from fastapi import Depends, FastAPI
from litestar import Litestar, get
from litestar.params import FromPath
from pydantic import BaseModel

from asgi_serial import cached, create_serialization_manager

manager = create_serialization_manager()


class User(BaseModel):
    id: int


@cached
def bare(id: int, *, name: str = "ada") -> list[User]:
    return [User(id=id)]


@cached(ttl=timedelta(minutes=5), key="user:{id}", tags=["user:{id}"], stale="1m", format="json")
async def load(id: int, name: str = "ada") -> User | None:
    return User(id=id)


@cached(
    ttl=lambda user: 60 if user else 0,
    key=lambda id: ("user", id),
    tags=lambda user: [f"user:{user.id}"],
    manager=manager,
)
def find(id: int) -> User:
    return User(id=id)


class Repository:
    tenant = "a"

    @cached(key="{self.tenant}:{id}")
    async def load(self, id: int) -> User:
        return User(id=id)

    @cached(key="{self.tenant}:{id}")
    def find(self, id: int) -> User:
        return User(id=id)


async def use() -> None:
    assert_type(bare(1, name="x"), list[User])
    assert_type(bare.refresh(1), list[User])
    assert_type(bare.key(1), str)
    bare.invalidate(1, name="bob")
    bare.clear()
    assert_type(bare.cache_info().hits, int)
    assert_type(await load(1), User | None)
    assert_type(await load.refresh(1, name="x"), User | None)
    await load.invalidate(id=1)
    await load.clear()
    assert_type(find(id=1), User)
    repository = Repository()
    assert_type(await repository.load(1), User)
    assert_type(await repository.load.refresh(1), User)
    await repository.load.invalidate(id=1)
    assert_type(repository.find(1), User)
    repository.find.invalidate(1)
    assert_type(repository.find.key(1), str)
    assert_type(await manager.get_model("user:1", User), User | None)
    await manager.set_model("user:1", User(id=1), "5m", tags=["users"])
    await manager.delete("user:1")
    assert_type(await manager.purge("users", "user:1"), bool)


as_function: Callable[[int], Awaitable[User | None]] = load
as_coroutine: Callable[[int, str], Coroutine[Any, Any, User | None]] = load

app = FastAPI()


@app.get("/users/{id}")
@cached(ttl=60)
async def show(id: int, limit: Annotated[list[User], Depends(bare)]) -> User:
    return User(id=id)


@app.get("/sync/{id}")
@cached(ttl=60)
def show_in_thread(id: int) -> User:
    return User(id=id)


@get("/users/{id:int}")
@cached(ttl=60)
async def show_by_litestar(id: FromPath[int]) -> User:
    return User(id=id)


litestar_app = Litestar([show_by_litestar])
