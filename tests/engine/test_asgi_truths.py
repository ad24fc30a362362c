"""What an app gives and gets is its own, and a start and a body may have any legal shape."""

import asyncio
import copy
import inspect
import json
from typing import Any

import pytest

from .driver import Recording, Request, Whole, ask, awaited, drive, fields_of, serial_of
from .scripts import (
    CLIENTS,
    COMPRESSING,
    DOCUMENT,
    FRESH_JSON,
    JSON,
    body_of,
    every_client,
    every_setting,
    script,
    start_of,
)


@every_setting
@every_client
@awaited
async def test_scope_headers_and_messages_are_never_mutated(settings, client):
    messages = [
        start_of(200, vary="cookie", cache_control="max-age=9", etag='"v1"', **JSON),
        body_of(DOCUMENT),
    ]
    before = copy.deepcopy(messages)
    serial = serial_of(script(*messages), **settings)
    request = client.having(if_none_match='"other"')
    for _ in range(3):
        scope = request.make_scope()
        given = dict(scope)
        headers = list(scope["headers"])
        await serial(scope, request.make_receive(), Recording().send)
        assert messages == before
        assert scope == given
        assert scope["headers"] is given["headers"]
        assert scope["headers"] == headers


@every_client
@awaited
async def test_a_scope_that_the_app_fills_is_the_servers_own_state(client):
    """Lifespan state and extensions are the same objects; what the app adds stays the app's."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        scope["state"]["touched"] = True
        await Whole(DOCUMENT, **JSON)(scope, receive, send)

    scope = client.make_scope()
    scope["extensions"] = {"http.response.trailers": {}}
    await serial_of(app)(scope, client.make_receive(), Recording().send)
    assert scope["state"] == {"touched": True}
    assert seen[0]["state"] is scope["state"]
    assert "http.response.trailers" in seen[0]["extensions"]


@awaited
async def test_outer_middlewares_may_mutate_what_they_are_sent():
    serial = serial_of(Whole(DOCUMENT, **FRESH_JSON))

    async def mutating(scope: Any, receive: Any, send: Any) -> None:
        async def spoil(message: Any) -> None:
            if "headers" in message:
                message["headers"].append((b"x-outer", b"1"))
                message["headers"][:] = [
                    pair for pair in message["headers"] if pair[0] != b"content-type"
                ]
            message["spoilt"] = True
            await send(message)

        await serial(scope, receive, spoil)

    await ask(mutating, COMPRESSING)
    await ask(mutating, COMPRESSING)
    answer = await ask(serial, COMPRESSING)
    assert answer.cached == "hit"
    assert answer.all("x-outer") == []
    assert answer.media_type == "application/json"


@every_setting
@every_client
@awaited
async def test_a_start_without_headers(settings, client):
    app = script({"type": "http.response.start", "status": 200}, body_of(b"some text"))
    answer = await ask(serial_of(app, **settings), client)
    assert (answer.status, answer.content) == (200, b"some text")


PAIRS = [*fields_of(x_twice="1", x_other="2", **JSON), (b"x-twice", b"3")]


@every_setting
@every_client
@pytest.mark.parametrize(
    "wrap",
    [
        list,
        tuple,
        lambda pairs: (pair for pair in pairs),
        lambda pairs: [list(pair) for pair in pairs],
        lambda pairs: iter([list(pair) for pair in pairs]),
    ],
    ids=["a list", "a tuple", "a generator", "a list of lists", "an iterator of lists"],
)
@awaited
async def test_headers_of_any_iterable(settings, client, wrap):
    start = {"type": "http.response.start", "status": 200, "headers": wrap(PAIRS)}
    answer = await ask(serial_of(script(start, body_of(DOCUMENT)), **settings), client)
    assert answer.document == json.loads(DOCUMENT)
    assert answer.all("x-twice") == [b"1", b"3"]


@every_client
@awaited
async def test_names_and_values_that_are_not_bytes(client):
    pairs = [(bytearray(name), memoryview(value)) for name, value in PAIRS]
    start = {"type": "http.response.start", "status": 200, "headers": pairs}
    answer = await ask(serial_of(script(start, body_of(DOCUMENT))), client)
    assert answer.document == json.loads(DOCUMENT)
    assert answer.all("x-twice") == [b"1", b"3"]


@every_setting
@every_client
@pytest.mark.parametrize("lent", [bytearray, memoryview])
@awaited
async def test_request_fields_that_are_not_bytes(settings, client, lent):
    """Also if the profile of such requests is known already."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])
        await Whole(DOCUMENT, **JSON)(scope, receive, send)

    serial = serial_of(app, **settings)
    usual = client.having(if_none_match='"other"')
    await ask(serial, usual)
    lines = [(lent(name), lent(value)) for name, value in usual.make_scope()["headers"]]
    names_alone = [(lent(name), bytes(value)) for name, value in lines]
    added_by_middleware = [*usual.make_scope()["headers"][:-1], lines[-1]]
    for kinds in (lines, names_alone, added_by_middleware):
        scope = usual.make_scope()
        scope["headers"] = kinds
        await serial(scope, usual.make_receive(), Recording().send)
    assert seen  # a response that is stored answers all of them
    assert seen == seen[:1] * len(seen)


@every_client
@awaited
async def test_names_of_stripped_fields_that_are_not_bytes(client):
    """A memoryview is found where its bytes are, and has none of their methods."""
    pairs = [(memoryview(name), value) for name, value in PAIRS if name.startswith(b"content")]
    start = {"type": "http.response.start", "status": 200, "headers": pairs}
    serial = serial_of(
        script(start, body_of(DOCUMENT)), cache_ttl=60, cache_strip_fields="x-request-*"
    )
    for cached in ("fwd=uri-miss, stored", "hit"):
        answer = await ask(serial, client)
        assert (answer.document, answer.cached) == (json.loads(DOCUMENT), cached)


@pytest.mark.parametrize("lent", [bytearray, memoryview])
@awaited
async def test_fields_that_are_not_bytes_are_explained(lent):
    serial = serial_of(Whole(DOCUMENT, **JSON), debug=True, report_path="/r", report_token="t" * 20)
    lines = [(b"host", b"localhost"), (lent(b"accept"), b"*/*")]
    answer = await ask(serial, Request(scope={"headers": lines, "client": ("127.0.0.1", 1)}))
    assert answer.one("asgi-serial-why")


@awaited
async def test_a_response_that_varies_to_fields_that_are_not_bytes():
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [*PAIRS, (b"cache-control", b"max-age=60"), (b"vary", b"Accept-Language")],
    }
    serial = serial_of(script(start, body_of(DOCUMENT)))
    for lent in (bytearray, bytes):
        pairs = [(lent(b"host"), lent(b"example.org")), (lent(b"accept-language"), lent(b"de"))]
        answer = await ask(serial, Request(scope={"headers": pairs}))
        assert answer.document == json.loads(DOCUMENT)
    assert answer.cached == "hit"


@awaited
async def test_what_is_stored_is_not_the_apps_own_list():
    """An app may keep one list of lists and write into it for every response."""
    pairs = [
        [b"content-type", b"application/json"],
        [b"cache-control", b"max-age=60"],
        [b"x-a", b""],
    ]
    start = {"type": "http.response.start", "status": 200, "headers": pairs}
    serial = serial_of(script(start, body_of(DOCUMENT)))
    await ask(serial, COMPRESSING)
    pairs[2][1] = b"another's"
    answer = await ask(serial, COMPRESSING)
    assert (answer.cached, answer.one("x-a")) == ("hit", "")


@pytest.mark.parametrize("more", [{}, {"trailers": False}], ids=["usual", "with more keys"])
@every_setting
@every_client
@awaited
async def test_an_app_may_use_one_dict_and_one_list_for_all_messages(settings, client, more):
    """A start that waits for the body is sent as it was when the app sent it."""
    message: dict[str, Any] = {}
    pairs: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        pairs[:] = [(b"content-type", b"application/json"), (b"x-a", b"1")]
        message.update(type="http.response.start", status=200, headers=pairs, **more)
        await send(message)
        message.clear()
        pairs.clear()
        for piece in (DOCUMENT[:9], DOCUMENT[9:]):
            message.update(type="http.response.body", body=piece, more_body=piece == DOCUMENT[:9])
            await send(message)
            message.clear()

    recording = await drive(serial_of(app, **settings), client)
    start = recording.messages[0]
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert start.keys() == {"type", "status", "headers", *more}
    answer = await ask(serial_of(app, **settings), client)
    assert answer.document == json.loads(DOCUMENT)
    assert answer.one("x-a") == "1"


@every_setting
@every_client
@awaited
async def test_a_scope_whose_headers_can_be_read_once(settings, client):
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await Whole(DOCUMENT, **JSON)(scope, receive, send)

    scope = client.make_scope()
    scope["headers"] = (pair for pair in [*scope["headers"], (b"x-a", b"1")])
    await serial_of(app, **settings)(scope, client.make_receive(), Recording().send)
    assert (b"x-a", b"1") in seen


@every_setting
@every_client
@awaited
async def test_a_start_that_nobody_can_read_fails_in_the_app(settings, client):
    """By the error that it is, not by one of ours that follows from it."""
    start = {"type": "http.response.start", "status": 200, "headers": [b"no pair"]}
    recording = await drive(serial_of(script(start, body_of(DOCUMENT)), **settings), client)
    assert isinstance(recording.error, ValueError)


@every_client
@pytest.mark.parametrize("name", [b"Content-Type", b"CONTENT-TYPE", b"content-Type"])
@awaited
async def test_names_in_upper_case(client, name):
    pairs = [(name, b"application/json"), (b"X-Twice", b"1"), (b"Cache-Control", b"max-age=9")]
    start = {"type": "http.response.start", "status": 200, "headers": pairs}
    serial = serial_of(script(start, body_of(DOCUMENT)))
    for _ in range(2):
        answer = await ask(serial, client)
        assert answer.document == json.loads(DOCUMENT)
        assert answer.one("x-twice") == "1"
    assert answer.cached == "hit"


@pytest.mark.parametrize("is_on", [True, False], ids=["all on", "only timed"])
@every_client
@awaited
async def test_a_start_without_fields(client, is_on):
    """`headers` has a default: no fields."""
    serial = serial_of(
        script({"type": "http.response.start", "status": 200}, body_of(DOCUMENT)),
        server_timing=True,
        **dict.fromkeys(("cache", "formats", "compression", "decoding"), is_on),
    )
    recording = await drive(serial, client)
    assert recording.error is None
    assert recording.start["headers"][-1][0] == b"server-timing"


@every_setting
@every_client
@awaited
async def test_a_body_without_body(settings, client):
    """Both keys have defaults: no bytes, and no more to come."""
    app = script(start_of(**JSON), body_of(b"[1]", more=True), {"type": "http.response.body"})
    assert (await ask(serial_of(app, **settings), client)).document == [1]
    app = script(start_of(204), {"type": "http.response.body"})
    assert (await ask(serial_of(app, **settings), client)).status == 204


@every_setting
@every_client
@pytest.mark.parametrize("wrap", [bytearray, memoryview], ids=["bytearray", "memoryview"])
@pytest.mark.parametrize("pieces", [1, 3], ids=["whole", "streamed"])
@awaited
async def test_bodies_that_are_not_bytes(settings, client, wrap, pieces):
    size = -(-len(DOCUMENT) // pieces)
    parts = [DOCUMENT[place * size : (place + 1) * size] for place in range(pieces)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start_of(**FRESH_JSON))
        for place, part in enumerate(parts, 1):
            lent = bytearray(part)
            await send({**body_of(more=place < pieces), "body": wrap(lent)})
            lent[:] = b"#" * len(lent)  # the buffer is the app's again

    serial = serial_of(app, **settings)
    for _ in range(2):
        answer = await ask(serial, client)
        assert answer.document == json.loads(DOCUMENT)


@every_setting
@every_client
@awaited
async def test_send_can_be_made_a_task_of(settings, client):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (start_of(**JSON), body_of(DOCUMENT)):
            made = send(message)
            assert inspect.iscoroutine(made)
            await asyncio.create_task(made)

    answer = await ask(serial_of(app, **settings), client)
    assert answer.document == json.loads(DOCUMENT)


def test_the_middleware_is_a_coroutine_function_to_servers():
    assert inspect.iscoroutinefunction(serial_of(Whole(b"")).__call__)


@every_setting
@awaited
async def test_many_concurrent_requests_get_their_own(settings):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        name = scope["query_string"].decode()
        await asyncio.sleep(0)
        document = json.dumps([name] * 300).encode()
        await send(start_of(**FRESH_JSON))
        await asyncio.sleep(0)
        await send(body_of(document[:500], more=True))
        await asyncio.sleep(0)
        await send(body_of(document[500:]))

    serial = serial_of(app, **settings)
    clients = list(CLIENTS.values())

    async def check(number: int) -> None:
        name = f"{number % 40}"
        request = Request(query=name.encode(), fields=clients[number % 3].fields)
        assert (await ask(serial, request)).document == [name] * 300

    await asyncio.gather(*[check(number) for number in range(240)])


@every_client
@awaited
async def test_nested_middlewares_encode_once(client):
    app = Whole(DOCUMENT, cache_control="max-age=60", etag='"v1"', **JSON)
    serial = serial_of(serial_of(serial_of(app)))
    single = serial_of(app)
    for _ in range(3):
        answer = await ask(serial, client)
        assert answer == await ask(single, client)
    assert answer.cached == "hit"
    assert app.calls == 2
