"""The examples that the library's users were promised run as they are written."""

import ast
import asyncio
import inspect
import re
import sys
import time
import types
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import asgi_serial.serialization as library

EXAMPLES = Path(__file__).with_name("guide_examples.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", EXAMPLES, re.M | re.S)

CLIENT = httpx.AsyncClient
MODULES = ("asgi_serial", "pydantic_serialization")

pytestmark = [
    # FastAPI still has these hooks, and warns of them; the examples use them.
    pytest.mark.filterwarnings("ignore:[\\s\\S]*on_event is deprecated:DeprecationWarning"),
]


def test_all_blocks_of_the_guide_are_run():
    assert len(BLOCKS) == 36


class Column:
    """What a class attribute of a mapped class gives in an expression."""

    def __eq__(self, other):
        return ("=", other)

    __hash__ = object.__hash__


class MappedMeta(type(BaseModel)):
    """The examples use one class as a mapped class and as a model: its names answer as columns."""

    def __getattr__(cls, name):
        fields = cls.__dict__.get("__pydantic_fields__", {})
        return Column() if name in fields else super().__getattr__(name)


class User(BaseModel, metaclass=MappedMeta):
    id: int
    name: str
    email: str
    created_at: datetime = Field(default_factory=datetime.now)
    is_active: bool = True


USER = User(id=1, name="Ada", email="ada@example.com")


class Query:
    def where(self, *conditions):
        return self


class Session:
    def __init__(self, found):
        self.found = found

    async def execute(self, query):
        return self

    def scalar_one_or_none(self):
        return self.found


async def store_serialized_data(data):
    assert all(isinstance(one, bytes) for one in data)


def arguments(manager):
    """What to call the functions with, by the name of the parameter: every value of a list."""
    payload = manager.serialize_sync(USER, "json")
    return {
        "user_id": [7],
        "serialized_data": [payload],
        "format": [library.SerializationFormat.JSON],
        "user": [payload],
        "session": [Session(USER), Session(None)],
        "serialization_manager": [manager],
        "city": ["Paris"],
        "model": [USER],
        "primary_format": list(library.SerializationFormat),
        "dataset": [[USER, USER]],
        "use_case": ["api_response", "internal_cache", "complex_objects", "network_transfer", "?"],
        "data_type": ["text_data", "binary_data", "real_time", "?"],
        "access_pattern": ["frequent_read", "frequent_write", "large_objects", "?"],
    }


@pytest.fixture
def world(request, monkeypatch):
    """A module with the names that the examples take for granted, and what some of them import."""
    manager = library.create_serialization_manager(library.SerializationConfig())
    module = types.ModuleType(f"guide_{request.node.name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module).update(
        {name: getattr(library, name) for name in library.__all__},
        **{"User": User, "BaseModel": BaseModel, "Field": Field, "List": list, "time": time},
        **{"datetime": datetime, "timedelta": timedelta, "ConfigDict": ConfigDict},
        **{"ValidationError": ValidationError, "asyncio": asyncio, "app": FastAPI()},
        **{"Depends": Depends},
        **{"serialization_manager": manager, "data": manager.serialize_sync(USER)},
        **{"select": lambda *_: Query(), "store_serialized_data": store_serialized_data},
    )
    module.get_serialization_manager = lambda: manager
    session = types.ModuleType("sqlalchemy.ext.asyncio")
    session.AsyncSession = Session
    for name in ("sqlalchemy", "sqlalchemy.ext"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "sqlalchemy.ext.asyncio", session)
    weather = {"city": "Paris", "temperature": 20.5, "humidity": 40, "description": "clear"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=weather))
    monkeypatch.setattr(httpx, "AsyncClient", lambda: CLIENT(transport=transport))
    yield module
    library.set_default_manager(None)


def run(block, module):
    """Execute a block, which may await at its top, in a module."""
    code = compile(block, module.__name__, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, vars(module))
    if inspect.iscoroutine(result):
        asyncio.run(result)


def functions_of(module):
    endpoints = {route.endpoint for route in module.app.routes if hasattr(route, "endpoint")}
    hooks = {"startup_event", "shutdown_event", "get_serialization_manager"}
    return [
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and (value.__module__ == module.__name__)
        and value not in endpoints
        and name not in hooks
    ]


def calls(function, table):
    """Each way to call a function: one parameter after the other takes all of its values."""
    names = list(inspect.signature(function).parameters)
    for changed in names or [None]:
        for value in table[changed] if changed else [None]:
            yield [value if name == changed else table[name][0] for name in names]


async def call_inside_loop(function, given):
    result = function(*given)
    return await result if inspect.isawaitable(result) else result


def call_outside_loop(function, given):
    result = function(*given)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs_fresh_and_warm_inside_and_outside_a_loop(number, name, world):
    run(BLOCKS[number].replace("pydantic_serialization", name), world)
    table = arguments(world.serialization_manager)
    for function in functions_of(world):
        for given in calls(function, table):
            for _ in range(2):
                call_outside_loop(function, given)
                asyncio.run(call_inside_loop(function, given))


ROUTED = [number for number, block in enumerate(BLOCKS) if "@app." in block]


@pytest.mark.parametrize("number", ROUTED)
def test_the_routes_of_a_block_answer(number, world):
    run(BLOCKS[number], world)
    asyncio.run(visit(world.app, world.serialization_manager.serialize_sync(USER, "json").decode()))


async def visit(app, payload):
    """Call every route of an app twice, between its start and its end."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), CLIENT(transport=transport) as client:
        for route in [*routes, *routes]:
            answer = await client.request(
                min(route.methods),
                "http://guide" + route.path.replace("{user_id}", "7"),
                # A parameter of bytes is one of the query.
                params={"user_data": payload} if route.path == "/users/process" else None,
                json=[USER.model_dump(mode="json")] if "bulk" in route.path else None,
            )
            assert answer.status_code == 200, (route.path, answer.text)
