"""Handlers and dependencies may be cached functions: frameworks see the function below."""

import threading
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from litestar import Controller, Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from asgi_serial import SerialMiddleware, cached, set_default_manager

from . import client


class User(BaseModel):
    id: int
    name: str = "ada"


@pytest.fixture
def calls(make_manager):
    """The calls of handlers; their values are in a manager of the test's own."""
    set_default_manager(make_manager())
    return []


def fastapi_app(calls):
    app = FastAPI()

    @app.get("/async/{id}")
    @cached(ttl=60)
    async def find(id: int, name: str = "ada") -> User:
        calls.append(("async", id, name))
        return User(id=id, name=name)

    @app.get("/sync/{id}")
    @cached(ttl=60)
    def find_in_thread(id: int, name: str = "ada") -> User:
        calls.append(("sync", id, threading.current_thread() is threading.main_thread()))
        return User(id=id, name=name)

    @cached(ttl=60, key="settings")
    async def settings(request: Request) -> dict[str, str]:
        calls.append("settings")
        return {"path": request.url.path}

    @cached(ttl=60)
    def limit() -> int:
        calls.append("limit")
        return 10

    @app.get("/depends")
    async def depends(
        settings: Annotated[dict[str, str], Depends(settings)],
        limit: Annotated[int, Depends(limit)],
    ) -> dict[str, int]:
        return {"limit": limit, **dict.fromkeys(settings, 1)}

    @app.get("/missing/{id}")
    @cached(ttl=60)
    async def missing(id: int) -> User:
        calls.append("missing")
        raise HTTPException(404, f"no user {id}")

    @app.get("/request/{id}")
    @cached(ttl=60, key="user:{id}")
    async def with_request(id: int, request: Request) -> User:
        calls.append(request.url.path)
        return User(id=id)

    class Service:
        @cached(ttl=60, key="service:{id}")
        async def load(self, id: int) -> User:
            calls.append(("service", id))
            return User(id=id)

    app.get("/method/{id}")(Service().load)
    return app


@pytest.mark.parametrize("wrap", [lambda app: app, SerialMiddleware], ids=["alone", "below ours"])
def test_handlers_and_dependencies_of_fastapi(calls, wrap):
    app = wrap(fastapi_app(calls))

    def ask(path, count=2):
        calls.clear()
        answers = [client.get(app, path) for _ in range(count)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        return answers[0].json()

    assert ask("/async/1") == {"id": 1, "name": "ada"}
    assert calls == [("async", 1, "ada")]
    assert ask("/async/1?name=bob") == {"id": 1, "name": "bob"}
    assert ask("/sync/1") == {"id": 1, "name": "ada"}
    assert calls == [("sync", 1, False)]
    assert ask("/depends") == {"limit": 10, "path": 1}
    assert calls == ["limit", "settings"] or calls == ["settings", "limit"]
    assert ask("/request/7?x=1") == {"id": 7, "name": "ada"}
    assert ask("/method/5") == {"id": 5, "name": "ada"}
    assert calls == [("service", 5)]
    assert client.get(app, "/async/no").status_code == 422
    calls.clear()
    assert [client.get(app, "/missing/1").status_code for _ in range(2)] == [404, 404]
    assert calls == ["missing"] * 2


def test_the_openapi_document_is_that_of_the_functions(calls):
    document = fastapi_app(calls).openapi()
    operation = document["paths"]["/async/{id}"]["get"]
    assert [one["name"] for one in operation["parameters"]] == ["id", "name"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/User"}
    names = [each["get"]["operationId"] for each in document["paths"].values()]
    assert len(set(names)) == len(names)
    assert document["paths"]["/method/{id}"]["get"]["summary"] == "Load"


def test_handlers_and_dependencies_of_litestar(calls):
    @get("/async/{id:int}")
    @cached(ttl=60)
    async def find(id: FromPath[int]) -> User:
        calls.append(("async", id))
        return User(id=id)

    @get("/sync/{id:int}", sync_to_thread=True)
    @cached(ttl=60)
    def find_in_thread(id: FromPath[int]) -> User:
        calls.append(("sync", id))
        return User(id=id)

    @cached(ttl=60)
    async def limit() -> int:
        calls.append("limit")
        return 10

    @get("/depends", dependencies={"limit": Provide(limit)})
    async def depends(limit: NamedDependency[int]) -> dict[str, int]:
        return {"limit": limit}

    class Users(Controller):
        path = "/users"

        @get("/{id:int}")
        @cached(ttl=60, key="users:{id}")
        async def find(self, id: FromPath[int]) -> User:
            calls.append(("controller", id))
            return User(id=id)

    app = Litestar([find, find_in_thread, depends, Users])
    for path, call in [
        ("/async/1", ("async", 1)),
        ("/sync/1", ("sync", 1)),
        ("/depends", "limit"),
        ("/users/1", ("controller", 1)),
    ]:
        calls.clear()
        answers = [client.get(app, path) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json() != {}
        assert calls == [call]


def test_handlers_of_starlette_call_cached_functions(calls):
    @cached(ttl=60)
    async def load(id: int) -> User:
        calls.append(id)
        return User(id=id)

    async def handler(request):
        return JSONResponse((await load(request.path_params["id"])).model_dump())

    app = Starlette(routes=[Route("/{id:int}", handler)])
    assert [client.get(app, "/1").json() for _ in range(2)] == [{"id": 1, "name": "ada"}] * 2
    assert calls == [1]


def test_a_request_is_no_key(calls):
    app = FastAPI()

    @app.get("/{id}")
    @cached(ttl=60)
    async def find(id: int, request: Request) -> User:
        raise NotImplementedError

    with pytest.raises(
        TypeError,
        match=r"'request' of .*find\(\) is .* Request.*key='find:\{id\}:\{request.id\}'",
    ):
        client.get(app, "/1")
