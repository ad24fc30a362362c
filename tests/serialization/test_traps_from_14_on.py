"""What a careless reading of the promises would get wrong, one test for each: 14 to 28."""

import asyncio
import json
import threading
import zlib
from datetime import datetime
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from asgi_serial import (
    ConfigurationError,
    SerializationConfig,
    SerializationFormat,
    create_serialization_manager,
    deserialized,
    serialized,
    set_default_manager,
    validation_problem,
)

from .client import get
from .models import (
    TYPED,
    USER,
    Account,
    Point,
    Typed,
    User,
    make_users,
)

EVERY_FORMAT = pytest.mark.parametrize("format", list(SerializationFormat))


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])
def test_t14_strict_means_the_same_in_each_format(make_manager, format):
    manager = make_manager(strict_validation=True)
    payload = manager.serialize_sync(TYPED, format)
    assert manager.deserialize_sync(payload, Typed, format) == TYPED
    loose = manager.serialize_sync({"id": "1", "name": "a", "email": "e"}, format)
    with pytest.raises(ValidationError) as caught:
        manager.deserialize_sync(loose, User, format)
    assert caught.value.errors()[0]["type"] == "int_type"
    assert make_manager().deserialize_sync(loose, User, format).id == 1


def test_t15_a_manager_has_a_config_of_its_own_that_is_live(make_manager):
    config = SerializationConfig()
    one, other = (create_serialization_manager(config, environ={}) for _ in range(2))
    one.config.cache_max_size *= 2
    one.config.default_format = SerializationFormat.MSGPACK
    assert (config.cache_max_size, other.config.cache_max_size) == (1000, 1000)
    assert one.get_stats()["cached_manager"]["cache"]["l1_cache"]["max_size"] == 2000
    payload = one.serialize_sync(USER)
    assert payload[0] >= 0x80
    one.config.default_format = SerializationFormat.JSON
    assert one.deserialize_sync(payload, User) == USER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_max_size", 10**12),
        ("cache_max_size", 0),
        ("cache_ttl", -1),
        ("compression_threshold", "big"),
        ("max_retries", 1000),
        ("default_format", "yaml"),
        ("enable_caching", "maybe"),
        ("pickle_key", "short"),
        ("pydantic_config", {"json_encoder": {}}),
        ("no_such_name", 1),
    ],
)
def test_t15_a_change_is_checked_and_a_wrong_one_changes_nothing(make_manager, name, value):
    manager = make_manager()
    before = manager.config.model_dump()
    with pytest.raises(ConfigurationError, match=name):
        setattr(manager.config, name, value)
    assert manager.config.model_dump() == before
    with pytest.raises(ConfigurationError, match=name):
        SerializationConfig(**{name: value})


def test_t16_json_encoders_of_the_config_are_applied_to_the_class_itself(make_manager):
    config = ConfigDict(json_encoders={datetime: lambda value: value.strftime("%d.%m.%Y")})
    manager = make_manager(pydantic_config=config, check_round_trip=False)
    assert b'"created_at":"01.01.2026"' in manager.serialize_sync(USER)
    assert b'"created_at":"2026-01-01T' in make_manager().serialize_sync(USER)
    found = make_manager(pydantic_config=config).deserialize_sync(USER.model_dump_json(), User)
    assert type(found) is User


def test_t17_plain_calls_work_inside_a_loop_and_without_a_start(make_manager):
    manager = make_manager()

    async def use():
        return manager.deserialize_sync(manager.serialize_sync(USER), User)

    assert asyncio.run(use()) == manager.deserialize_sync(manager.serialize_sync(USER), User)


def test_t17_one_manager_serves_several_loops_and_threads(make_manager):
    manager, users = make_manager(), make_users(300)
    found = []

    async def use():
        for _ in range(5):
            payload = await manager.serialize_model(users, cache_key="k")
            found.append(await manager.deserialize_model(payload, type(users)) == users)

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


@pytest.mark.parametrize("is_profiling", [True, False])
def test_t18_numbers_are_there_before_the_first_operation(make_manager, is_profiling):
    manager = make_manager(enable_profiling=is_profiling)
    stats = manager.get_stats()["cached_manager"]
    assert stats["cache"]["l1_cache"]["hit_rate"] == 0.0
    assert stats["model_serializer"]["avg_time"] == 0.0
    assert stats["model_serializer"]["validation_cache_hit_rate"] == 0.0
    report = manager.get_performance_report()
    assert report["summary"] | {"p50": 0, "p95": 0, "p99": 0} == {
        **{"total_operations": 0, "total_time": 0.0, "avg_time": 0.0},
        **{"p50": 0, "p95": 0, "p99": 0},
    }
    assert (report["operations"], report["recommendations"]) == ({}, [])


def test_t19_operations_are_named_by_what_they_do(make_manager):
    manager = make_manager()
    manager.deserialize_sync(manager.serialize_sync(USER), User)
    operations = manager.get_performance_report()["operations"]
    assert sorted(operations) == ["deserialize.json", "serialize.json", "validation"]
    for numbers in operations.values():
        assert numbers["count"] == 1
        assert 0 < numbers["min_time"] == numbers["avg_time"] == numbers["max_time"]


def test_t20_the_cache_is_bounded_in_items_and_in_bytes(make_manager):
    async def fill(manager, size):
        for number in range(20):
            await manager.cached_manager.cache_manager.set(str(number), b"x" * size)
        return manager.get_stats()["cached_manager"]["cache"]["l1_cache"]

    by_items = asyncio.run(fill(make_manager(cache_max_size=5), 10))
    assert (by_items["size"], by_items["evictions"]) == (5, 15)
    by_bytes = asyncio.run(fill(make_manager(cache_max_bytes=100_000), 30_000))
    assert by_bytes["size"] == 3
    assert by_bytes["bytes"] <= 100_000


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x81", b"\xdd\xff\xff\xff\xff", b"\x81\xa2id", b"\x80\x80", b"\x07"]
)
def test_t21_malformed_messagepack_is_a_validation_error(make_manager, data):
    with pytest.raises(ValidationError) as caught:
        make_manager().deserialize_sync(data, User, "msgpack")
    (fault,) = caught.value.errors()
    assert fault["type"] in ("msgpack_invalid", "model_type")


def test_t22_a_refusal_does_not_repeat_what_the_client_sent(make_manager):
    app, manager = FastAPI(), make_manager()

    @app.post("/")
    async def take(request: Request):
        try:
            await manager.deserialize_model(await request.body(), User)
        except ValidationError as error:
            return validation_problem(error)

    answer = get(app, "/", "POST", content=b'{"id":"hunter2","name":7,"email":"\\u00e9"}')
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert [(one["pointer"], one["kind"]) for one in answer.json()["errors"]] == [
        ("#/id", "int_parsing"),
        ("#/name", "string_type"),
    ]


@EVERY_FORMAT
def test_t22_the_errors_of_malformed_bytes_can_be_written_as_json(make_manager, format):
    with pytest.raises(ValidationError) as caught:
        make_manager().deserialize_sync(b"\x28\xb5\x2f\xfd\xff\xff", User, format)
    json.dumps(caught.value.errors(include_context=True))


def test_t23_the_key_value_cache_holds_a_row_of_a_database(make_manager):
    async def use(manager):
        cache = manager.cached_manager.cache_manager
        assert await cache.get("db_user:1") is None
        payload = await manager.serialize_model(USER, SerializationFormat.JSON)
        await cache.set("db_user:1", payload, ttl=3600)
        found = await cache.get("db_user:1")
        return await manager.deserialize_model(found, User, SerializationFormat.JSON)

    assert asyncio.run(use(make_manager())) == USER


def test_t24_a_manager_is_the_lifespan_of_an_app(make_manager):
    manager = make_manager()
    app = FastAPI(lifespan=manager.lifespan)

    @app.get("/")
    async def show(shared: Annotated[object, Depends(lambda: manager)]):
        return shared.serialize_sync(USER).decode()

    async def use():
        async with app.router.lifespan_context(app), manager:
            pass

    asyncio.run(use())
    assert json.loads(get(app).json())["name"] == "Ada"


def test_t25_decorators_use_the_process_default_or_the_manager_they_are_given(make_manager):
    mine, default = make_manager(), make_manager()
    set_default_manager(default)

    @serialized("json", manager=mine)
    def load(number: int) -> User:
        return USER.model_copy(update={"id": number})

    @serialized("json")
    async def load_later(number: int) -> User:
        return USER.model_copy(update={"id": number})

    @deserialized(User, "json", manager=mine)
    def name_of(user: User) -> str:
        return user.name

    @deserialized(User, "json")
    async def name_of_later(user: User) -> str:
        return user.name

    assert name_of(load(1)) == name_of(USER) == "Ada"
    assert asyncio.run(name_of_later(asyncio.run(load_later(1)))) == "Ada"
    for manager in (mine, default):
        assert manager.get_performance_report()["summary"]["total_operations"] == 2


def test_t26_empty_bytes_are_a_value(make_manager):
    async def use(manager):
        cache = manager.cached_manager.cache_manager
        await cache.set("empty", b"")
        return await cache.get("empty"), await cache.get("missing")

    assert asyncio.run(use(make_manager())) == (b"", None)


def test_t27_without_validation_models_are_still_models(make_manager):
    manager = make_manager(enable_validation=False, strict_validation=True)
    users = manager.deserialize_sync(b'{"users":[{"id":"1","name":"a","email":"e"}]}', type(USERS))
    assert type(users.users[0]) is User
    assert users.users[0].id == 1
    with pytest.raises(ValidationError):
        manager.deserialize_sync(b'{"users":[{}]}', type(USERS))
    payload = manager.serialize_sync(Point(x=1, y=2))
    assert manager.deserialize_sync(payload, Point) is not manager.deserialize_sync(payload, Point)


USERS = make_users(1)


def test_t28_a_large_document_is_compressed_beside_the_loop(make_manager, monkeypatch):
    manager, users = make_manager(compression_level="MAX"), make_users(2_000)
    threads = []
    packer = manager.cached_manager.pipeline.packer
    pack = packer.pack

    def pack_and_tell(document):
        threads.append(threading.current_thread())
        return pack(document)

    monkeypatch.setattr(packer, "pack", pack_and_tell)
    payload = asyncio.run(manager.serialize_model(users))
    asyncio.run(manager.serialize_model(make_users(20)))
    assert [thread is threading.main_thread() for thread in threads] == [False, True]
    assert asyncio.run(manager.deserialize_model(payload, type(users))) == users


def test_an_account_comes_back_but_for_what_it_excludes(make_checking):
    account = Account(userName="Ada", password="secret")
    payload = make_checking().serialize_sync(account)
    assert b"secret" not in payload
    assert make_checking().deserialize_sync(payload, Account) == Account(userName="Ada")


def test_gzip_of_other_tools_is_read(make_manager):
    packer = zlib.compressobj(wbits=31)
    payload = packer.compress(USER.model_dump_json().encode()) + packer.flush()
    assert make_manager().deserialize_sync(payload, User) == USER


@pytest.mark.parametrize("type_", [BaseModel, USER, "User", 5, print, ...], ids=repr)
def test_what_is_no_type_is_refused_by_its_name(make_manager, type_):
    with pytest.raises(TypeError, match="not a Pydantic model class, nor another type"):
        make_manager().deserialize_sync(b"{}", type_)
    with pytest.raises(TypeError, match="not a Pydantic model class"):
        make_manager().serialize_sync({}, as_type=type_)
