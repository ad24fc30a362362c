"""Which requests are for one resource: by their targets, by fields, by their bodies."""

import gzip

import pytest

from asgi_serial import serial

from .driver import Request, ask, awaited, serial_of
from .personal import Personal, calls_of
from .scripts import JSON
from .variants import MSGPACK, variants_as, wanting

HOST = Request().having(host="example.org")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Request(path="/a", query=b"b"), Request(path="/ab"), False),
        (Request(path="/a", query=b""), Request(path="/a", query=b"b"), False),
        (Request(path="/a/b"), Request(path="/a/b", scope={"raw_path": b"/a%2Fb"}), False),
        (HOST, Request().having(host="EXAMPLE.org"), True),
        (HOST, Request().having(host="example.org:8080"), False),
        (HOST, Request().having(host="other.example"), False),
        (Request(path="/a/b"), Request(path="/a/b", scope={"root_path": "/a"}), False),
        (Request(), Request(scope={"scheme": "https"}), False),
        (Request(), Request().having(x_forwarded_proto="https"), False),
        (Request(query=b"a=1&b=2"), Request(query=b"b=2&a=1"), False),
        (Request(path="/A"), Request(path="/a"), False),
        (Request(), Request("HEAD"), True),
        (Request(), Request().having(user_agent="other"), True),
        (Request(), Request().having(x_forwarded_for="203.0.113.9"), True),
    ],
    ids=[
        "path and query do not run together",
        "the query counts",
        "an encoded slash is another path",
        "the host has no case",
        "the port counts",
        "the host counts",
        "the root path counts",
        "the scheme counts",
        "so does that of a proxy",
        "the order of the query counts",
        "the path has a case",
        "HEAD is answered from what GET stored",
        "other fields do not count",
        "nor does the client's address",
    ],
)
@awaited
async def test_which_requests_are_for_one_resource(one, other, same):
    app = Personal(cache_control="max-age=60")
    middleware = serial_of(app)
    for request in (one, other, one, other):
        await ask(middleware, request)
    assert app.calls == (1 if same else 2)


@pytest.mark.parametrize("sorting", [False, True])
@awaited
async def test_sorted_queries_are_one_resource_where_it_is_set(sorting):
    app = serial_of(Personal(cache_control="max-age=60"), cache_sort_query=sorting)
    one, other = Request(query=b"a=1&b=2"), Request(query=b"b=2&a=1")
    assert await calls_of(app, one, other) == ([1, 1] if sorting else [1, 2])


@awaited
async def test_configured_fields_are_a_part_of_the_key():
    app = serial_of(Personal(cache_control="max-age=60"), cache_key_fields=["x-tenant"])
    one, other = Request().having(x_tenant="a"), Request().having(x_tenant="b")
    assert await calls_of(app, one, other, one, other, Request()) == [1, 2, 1, 2, 3]


def post(body: bytes, **fields: str) -> Request:
    return Request("POST", body=(body,)).having(**fields)


@pytest.mark.parametrize("by", ["pattern", "decorator"])
@pytest.mark.parametrize("method", ["POST", "QUERY"])
@variants_as("variant")
@awaited
async def test_requests_are_told_apart_by_their_bodies(by, method, variant):
    personal = Personal()
    options = {"cache_body": True, "cache_ttl": "60s"}
    if by == "pattern":
        middleware = serial_of(personal, routes={"/search": options})
    else:
        middleware = serial_of(serial(**options)(personal.__call__))
    fields = wanting(variant).fields
    one = Request(method, "/search", fields, (b"a", b"b"))
    same = Request(method, "/search", fields, (b"ab",))
    other = Request(method, "/search", fields, (b"abc",))
    typed = Request(method, "/search", (*fields, ("content-type", "text/csv")), (b"ab",))
    coded = Request(method, "/search", (*fields, ("content-encoding", "x-own")), (b"ab",))
    assert await calls_of(middleware, one, same, other, typed, same) == [1, 1, 2, 3, 1]
    assert (await ask(middleware, coded)).status == 415
    document = (await ask(middleware, other)).document
    assert document["body"] == "abc"


@awaited
async def test_a_body_that_stays_encoded_is_not_taken_for_another():
    """The same bytes are another content under another Content-Encoding."""
    routes = {"/": {"cache_body": True, "cache_ttl": "60s"}}
    app = serial_of(Personal(), decoding=False, routes=routes)
    plain, coded = post(b"ab"), post(b"ab", content_encoding="gzip")
    calls = await calls_of(app, plain, coded, plain)
    assert calls == [1, 2, 1]


@awaited
async def test_a_body_is_the_same_however_it_was_sent():
    """What the app gets takes part in the key; the type that the client gave it does, too."""
    routes = {"/": {"cache_body": True, "cache_ttl": "60s", "format_uploads": True}}
    app = serial_of(Personal(), routes=routes)
    packed = post(gzip.compress(b'{"a":1}'), content_encoding="gzip", **JSON)
    plain = post(b'{"a":1}', **JSON)
    msgpack = post(b"\x81\xa1a\x01", content_type=MSGPACK)
    assert await calls_of(app, packed, plain, msgpack, msgpack, packed) == [1, 1, 2, 2, 1]
    assert (await ask(app, msgpack)).document["body"] == '{"a":1}'


@awaited
async def test_a_body_too_large_for_the_key_reaches_the_app_whole():
    routes = {"/": {"cache_body": True, "cache_ttl": "60s"}}
    app = serial_of(Personal(), routes=routes, cache_max_key_body=10)
    large = Request("POST", body=(b"abcdef",) * 3)
    for call in (1, 2):
        document = (await ask(app, large)).document
        assert (document["call"], document["body"]) == (call, "abcdef" * 3)


@pytest.mark.parametrize("name", ["hx-request", "hx-target", "turbo-frame", "x-requested-with"])
@awaited
async def test_a_part_of_a_page_is_not_served_as_the_page(name):
    calls = []

    async def app(scope, receive, send):
        asked = dict(scope["headers"]).get(name.encode(), b"")
        calls.append(asked)
        fields = [(b"content-type", b"text/html"), (b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"part:" + asked})

    serial_app = serial_of(app)
    requests = [Request(), Request(fields=((name, "a"),)), Request(fields=((name, "b"),))]
    for _ in range(2):
        answers = [await ask(serial_app, request) for request in requests]
        assert [answer.content for answer in answers] == [b"part:", b"part:a", b"part:b"]
    assert len(calls) == 3
