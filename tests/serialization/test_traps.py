"""What a careless reading of the promises would get wrong, one test for each: 1 to 13."""

import asyncio
import json
import pickle
import time
from datetime import timedelta

import pytest
from fastapi import Body, FastAPI
from pydantic import ValidationError
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
)

from .client import get
from .models import (
    TYPED,
    USER,
    Open,
    Point,
    Stamped,
    Typed,
    User,
    make_users,
)

EVERY_FORMAT = pytest.mark.parametrize("format", list(SerializationFormat))


@pytest.mark.parametrize("text", ["JSON", "json", " Json "])
def test_t01_a_format_is_made_from_its_name_or_value_in_any_case(text):
    assert SerializationFormat(text) is SerializationFormat.JSON
    assert SerializationConfig(default_format=text).default_format is SerializationFormat.JSON


def test_t01_an_unknown_name_is_a_value_error():
    with pytest.raises(ValueError, match="YAML"):
        SerializationFormat("YAML")
    assert CompressionLevel("BALANCED") is CompressionLevel.BALANCED


@pytest.mark.parametrize("value", ["yaml", 5, None])
def test_the_error_of_a_wrong_format_names_the_formats(value):
    with pytest.raises(
        ValueError, match="not a valid SerializationFormat; expected one of JSON, ORJSON"
    ):
        SerializationFormat(value)


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
    manager = make_manager(max_retries=3, retry_delay=60.0)
    began = time.monotonic()
    with pytest.raises(ValidationError):
        asyncio.run(manager.deserialize_model(b"{", User))
    with pytest.raises(FormatError):
        asyncio.run(manager.serialize_model({"value": print}))
    assert time.monotonic() - began < 60


def test_t13_orjson_falls_back_to_json_and_says_so(make_manager):
    manager = make_manager()
    data = {"after": timedelta(seconds=1)}
    assert manager.serialize_sync(data, "orjson") == b'{"after":"PT1S"}'
    assert manager.get_stats()["events"] == {"fallback: orjson cannot write the value, json can": 1}


@pytest.mark.parametrize("format", ["msgpack", "pickle", "json"])
def test_t13_no_other_format_has_a_stand_in(make_manager, format):
    with pytest.raises(FormatError):
        make_manager().serialize_sync({"a": print}, format)


def test_t13_a_binary_format_is_refused_as_a_fallback():
    with pytest.raises(ConfigurationError, match="expected one of JSON, ORJSON"):
        SerializationConfig(fallback_format=SerializationFormat.PICKLE)
