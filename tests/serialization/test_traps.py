"""What a careless reading of the library's promises would get wrong, one test for each."""

import asyncio
import json
import pickle
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx
import pytest
from fastapi import Body, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from asgi_serial import (
    CompressionLevel,
    ConfigurationError,
    FormatError,
    SerializationConfig,
    SerializationFormat,
    SerializationUtils,
    SerialMiddleware,
    create_serialization_manager,
    deserialized,
    serialized,
    set_default_manager,
    validation_problem,
)

from .models import Account, Colour, Measured, Open, Point, Stamped, Typed, User, make_users

EVERY_FORMAT = pytest.mark.parametrize("format", list(SerializationFormat))
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


def get(app, path="/", method="GET", **options):
    async def call():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.request(method, f"http://test{path}", **options)

    return asyncio.run(call())


@pytest.mark.parametrize("text", ["JSON", "json", " Json "])
def test_t01_a_format_is_made_from_its_name_or_value_in_any_case(text):
    assert SerializationFormat(text) is SerializationFormat.JSON
    assert SerializationConfig(default_format=text).default_format is SerializationFormat.JSON


def test_t01_an_unknown_name_is_a_value_error():
    with pytest.raises(ValueError, match="YAML"):
        SerializationFormat("YAML")
    assert CompressionLevel("BALANCED") is CompressionLevel.BALANCED


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("yes", True), ("0", False), ("OFF", False)]
)
def test_t01_a_switch_in_the_environment_is_read_as_it_is_meant(text, value):
    assert SerializationConfig.from_env({"ENABLE_COMPRESSION": text}).enable_compression is value
    with pytest.raises(ConfigurationError, match="ENABLE_COMPRESSION is 'maybe'"):
        SerializationConfig.from_env({"ENABLE_COMPRESSION": "maybe"})


def test_t02_bytes_for_a_dict_stay_text_when_they_are_not_compressed(make_manager):
    manager, app = make_manager(), FastAPI()

    @app.get("/")
    async def show():
        return {"data": await manager.serialize_model(make_users(200), compress=False)}

    answer = get(app)
    assert answer.status_code == 200
    assert len(json.loads(answer.json()["data"])["users"]) == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("application/msgpack", "application/msgpack"), ("*/*", "application/json")],
)
def test_t02_a_response_of_the_manager_is_in_the_format_that_the_client_takes(
    make_manager, accept, media_type
):
    manager, app = make_manager(), FastAPI()

    @app.get("/")
    async def show(request: Request):
        return manager.response(USER, request)

    answer = get(app, headers={"accept": accept})
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"
    assert manager.deserialize_sync(answer.content, User) == USER


def test_t02_a_model_that_is_returned_is_encoded_by_the_middleware():
    app = FastAPI()

    @app.get("/")
    async def show() -> User:
        return USER

    answer = get(SerialMiddleware(app), headers={"accept": "application/vnd.msgpack"})
    assert answer.headers["content-type"] == "application/vnd.msgpack"


def test_t03_bytes_without_body_are_a_parameter_of_the_query(make_manager):
    manager, app = make_manager(), FastAPI()

    @app.post("/query")
    async def by_query(user_data: bytes):
        return (await manager.deserialize_model(user_data, User)).name

    @app.post("/body")
    async def by_body(user_data: bytes = Body(media_type="application/json")):
        return (await manager.deserialize_model(user_data, User)).name

    text = manager.serialize_sync(USER).decode()
    assert get(app, "/query", "POST", content=text).status_code == 422
    assert get(app, "/query", "POST", params={"user_data": text}).json() == "Ada"
    assert get(app, "/body", "POST", content=text).json() == "Ada"


@EVERY_FORMAT
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("level", list(CompressionLevel))
def test_t04_a_payload_says_itself_whether_it_is_compressed(make_manager, format, codec, level):
    users = make_users(100)
    writer = make_manager(compression_codec=codec, compression_level=level, default_format=format)
    plain_writer = make_manager(enable_compression=False)
    packed, plain = writer.serialize_sync(users), plain_writer.serialize_sync(users, format)
    assert len(packed) < len(plain)
    reader = make_manager(default_format=format, enable_compression=False)
    assert reader.deserialize_sync(packed, type(users)) == users
    assert reader.deserialize_sync(plain, type(users)) == users


def test_t04_a_payload_under_the_threshold_is_the_plain_document(make_manager):
    assert make_manager().serialize_sync(USER) == USER.model_dump_json().encode()


def test_t04_what_does_not_shrink_stays_plain(make_manager):
    noise = Open(data={"noise": "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(12))})
    manager = make_manager(compression_threshold=1, check_round_trip=False)
    assert manager.serialize_sync(noise) == noise.model_dump_json().encode()


def test_t04_a_bomb_is_refused_before_it_is_unpacked(make_manager):
    bomb = SerializationUtils.compress(b" " * 100_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(ValidationError) as caught:
        make_manager().deserialize_sync(bomb, User)
    assert caught.value.errors()[0]["type"] == "document_too_large"


def test_t05_one_key_in_both_directions_keeps_a_payload_and_a_model_apart(make_manager):
    async def use(manager):
        for _ in range(3):
            payload = await manager.serialize_model(make_users(300), cache_key="k")
            found = await manager.deserialize_model(payload, type(users), cache_key="k")
            assert found == users
        other = manager.serialize_sync(make_users(5))
        assert len((await manager.deserialize_model(other, type(users), cache_key="k")).users) == 5

    users = make_users(300)
    asyncio.run(use(make_manager()))


def test_t05_formats_classes_and_configs_do_not_share_a_key(make_manager):
    async def use(manager):
        users = make_users(300)
        for _ in range(3):
            by_json = await manager.serialize_model(users, "json", cache_key="k")
            by_msgpack = await manager.serialize_model(users, "msgpack", cache_key="k")
            plain = await manager.serialize_model(users, "json", cache_key="k", compress=False)
        assert len({by_json, by_msgpack, plain}) == 3
        await manager.cached_manager.cache_manager.set("k", b"mine")
        assert await manager.serialize_model(users, "json", cache_key="k") == by_json
        manager.config.compression_codec = "gzip"
        changed = await manager.serialize_model(users, "json", cache_key="k")
        assert SerializationUtils.decompress(changed) == plain
        assert changed != by_json

    asyncio.run(use(make_manager()))


def test_t06_a_model_that_can_be_changed_is_never_shared(make_manager):
    manager = make_manager()
    payload = manager.serialize_sync(USER)
    first, second = (manager.deserialize_sync(payload, User) for _ in range(2))
    first.name = "Eve"
    assert second.name == "Ada"
    assert manager.deserialize_sync(payload, User).name == "Ada"


def test_t06_a_model_that_is_frozen_all_through_is_shared(make_manager):
    manager = make_manager()
    payload = manager.serialize_sync(Point(x=1, y=2))
    assert manager.deserialize_sync(payload, Point) is manager.deserialize_sync(payload, Point)
    stats = manager.get_stats()["cached_manager"]["model_serializer"]
    assert stats["validation_cache_hit_rate"] == 0.5


def test_t07_what_a_factory_makes_is_made_anew_each_time(make_manager):
    manager = make_manager()
    made = {manager.deserialize_sync(b'{"name":"a"}', Stamped).id for _ in range(3)}
    assert len(made) == 3


def test_t07_where_the_document_holds_the_value_the_model_is_shared(make_manager):
    manager = make_manager()
    payload = manager.serialize_sync(Stamped(name="a"))
    first, second = (manager.deserialize_sync(payload, Stamped) for _ in range(2))
    assert first is second


def test_t08_a_model_that_has_changed_is_written_as_it_is_now(make_manager):
    async def use(manager):
        users = make_users(300)
        before = await manager.serialize_model(users)
        users.users[0].name = "Eve"
        after = await manager.serialize_model(users)
        assert before != after
        assert (await manager.deserialize_model(after, type(users))) == users

    asyncio.run(use(make_manager()))


def test_t09_a_pickle_without_a_signature_is_never_read(make_manager):
    with pytest.raises(ValidationError) as caught:
        make_manager().deserialize_sync(pickle.dumps(USER), User, "pickle")
    assert caught.value.errors()[0]["type"] == "pickle_invalid"


def test_t09_a_pickle_is_read_with_the_same_key_only(make_manager):
    payload = make_manager(pickle_key="one secret of some length").serialize_sync(USER, "pickle")
    same = make_manager(pickle_key="one secret of some length")
    assert same.deserialize_sync(payload, User, "pickle") == USER
    with pytest.raises(ValidationError):
        make_manager(pickle_key="another secret, just as long").deserialize_sync(
            payload, User, "pickle"
        )
    with pytest.raises(ValidationError):
        make_manager().deserialize_sync(payload, User, "pickle")


def test_t09_the_environment_may_hold_the_key():
    environ = {"SERIALIZATION_PICKLE_KEY": "one secret of some length"}
    one, other = (
        create_serialization_manager(SerializationConfig(), environ=environ) for _ in range(2)
    )
    assert other.deserialize_sync(one.serialize_sync(USER, "pickle"), User, "pickle") == USER


def test_t09_nobody_reaches_a_pickle_without_asking_for_it(make_manager):
    manager = make_manager()
    payload = manager.serialize_sync(USER, "pickle")
    with pytest.raises(ValidationError) as caught:
        manager.deserialize_sync(payload, User)
    assert caught.value.errors()[0]["type"] == "pickle_unasked"


def test_t10_orjson_and_json_are_the_same_document_of_a_model(make_manager):
    manager = make_manager()
    assert manager.serialize_sync(TYPED, "orjson") == manager.serialize_sync(TYPED, "json")


def test_t10_plain_data_is_written_as_well(make_manager):
    manager = make_manager()
    assert manager.serialize_sync({"a": [1, None]}, "orjson") == b'{"a":[1,null]}'


@EVERY_FORMAT
def test_t11_types_that_orjson_does_not_know_come_back(make_manager, format):
    manager = make_manager()
    assert manager.deserialize_sync(manager.serialize_sync(TYPED, format), Typed, format) == TYPED


def test_t11_utc_is_written_as_pydantic_writes_it(make_manager):
    assert b'"at":"2026-01-01T00:00:00Z"' in make_manager().serialize_sync(TYPED, "orjson")


def test_t12_a_hopeless_input_is_not_tried_again(make_manager):
    manager = make_manager(max_retries=3, retry_delay=5.0)
    began = time.monotonic()
    with pytest.raises(ValidationError):
        asyncio.run(manager.deserialize_model(b"{", User))
    with pytest.raises(FormatError):
        asyncio.run(manager.serialize_model(Measured(value=float("nan"))))
    assert time.monotonic() - began < 5


def test_t13_orjson_falls_back_to_json_and_says_so(make_manager):
    manager = make_manager()
    data = {"after": timedelta(seconds=1)}
    assert manager.serialize_sync(data, "orjson") == b'{"after":"PT1S"}'
    assert manager.get_stats()["events"] == {
        "fallback: orjson can not write the value, json can": 1
    }


@pytest.mark.parametrize("format", ["msgpack", "pickle", "json"])
def test_t13_no_other_format_has_a_stand_in(make_manager, format):
    with pytest.raises(FormatError):
        make_manager().serialize_sync({"a": print}, format)


def test_t13_a_binary_format_is_refused_as_a_fallback():
    with pytest.raises(ConfigurationError, match="expected one of JSON, ORJSON"):
        SerializationConfig(fallback_format=SerializationFormat.PICKLE)


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


def test_an_account_comes_back_but_for_what_it_excludes(make_manager):
    account = Account(userName="Ada", password="secret")
    payload = make_manager().serialize_sync(account)
    assert b"secret" not in payload
    assert make_manager().deserialize_sync(payload, Account) == Account(userName="Ada")


def test_gzip_of_other_tools_is_read(make_manager):
    packer = zlib.compressobj(wbits=31)
    payload = packer.compress(USER.model_dump_json().encode()) + packer.flush()
    assert make_manager().deserialize_sync(payload, User) == USER


def test_a_class_of_plain_data_is_no_model(make_manager):
    with pytest.raises(TypeError, match="not a Pydantic model class"):
        make_manager().deserialize_sync(b"{}", dict)
    with pytest.raises(TypeError, match="not a Pydantic model class"):
        make_manager().deserialize_sync(b"{}", BaseModel)
