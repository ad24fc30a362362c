"""A handler that calls an app in process: the inner handler's policy is not the outer one's."""

import asyncio

import pytest

from asgi_serial import serial, set_policy
from asgi_serial.asgi.warming import warm

from .driver import Clock, Recording, Request, ask, awaited, serial_of

FIELDS = [(b"content-type", b"text/plain")]
TIMING_ONLY = {"cache": False, "compression": False, "formats": False, "decoding": False}


async def answer(send, body, status=200):
    await send({"type": "http.response.start", "status": status, "headers": FIELDS})
    await send({"type": "http.response.body", "body": body})


def cookie_of(scope):
    return dict(scope["headers"]).get(b"cookie", b"")


def make_site(inner_request, *, inner=None, options=None, status=503):
    """An app whose /me answers with the cookie after it has called `inner`, or itself."""

    @serial(cache_ttl="60s", cache_shared=True)
    async def config(scope, receive, send):
        set_policy(cache_ttl="60s", cache_shared=True)
        await answer(send, b"dark", status)

    async def app(scope, receive, send):
        if scope["path"] == "/config":
            await config(scope, receive, send)
            return
        await inner_request(inner or site)
        await answer(send, cookie_of(scope))

    site = serial_of(app, clock=Clock(), **(options or {}))
    return site, app


async def call_plainly(app):
    await app(*_asked())


async def call_for_coding(app):
    await app(*_asked(accept_encoding="gzip"))


async def call_in_task(app):
    await asyncio.create_task(app(*_asked()))


async def call_with_credentials(app):
    await app(*_asked(cookie="sid=inner"))


async def warm_it(app):
    await warm(app, ["http://example.org/config"])


def _asked(**fields):
    request = Request(path="/config").having(**fields)
    return request.make_scope(), request.make_receive(), Recording().send


CALLS = [call_plainly, call_for_coding, call_in_task, call_with_credentials, warm_it]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("status", [503, 200], ids=["not stored inside", "stored inside"])
@pytest.mark.parametrize("fields", [{}, {"accept_encoding": "gzip"}], ids=["plain", "gzip"])
@awaited
async def test_an_inner_requests_handler_does_not_speak_for_the_outer_one(call, status, fields):
    """However often the inner way has changed, from an exchange to a passage and a hit."""
    site, _ = make_site(call, status=status)
    for _ in range(5):
        for user in ("sid=alice", "sid=bob"):
            got = await ask(site, Request(path="/me").having(cookie=user, **fields))
            assert got.body == user.encode()
            assert got.one("cache-status").endswith("fwd=uri-miss; detail=no-freshness")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@awaited
async def test_nor_does_one_behind_a_middleware_that_times_only(call):
    _, app = make_site(call)
    site, _ = make_site(call, inner=serial_of(app, **TIMING_ONLY))
    for user in ("sid=alice", "sid=bob"):
        got = await ask(site, Request(path="/me").having(cookie=user))
        assert got.body == user.encode()
        assert got.one("cache-status").endswith("detail=no-freshness")


@awaited
async def test_nor_one_that_is_warmed_without_a_middleware():
    _, app = make_site(warm_it)
    site, _ = make_site(warm_it, inner=app)
    for user in ("sid=alice", "sid=bob"):
        assert (await ask(site, Request(path="/me").having(cookie=user))).body == user.encode()


class Shelf:
    """An app that writes by calling itself with a copy of the scope that it has been given."""

    def __init__(self, status=200, fields=(), **changes):
        self.count = 0
        self.status = status
        self.fields = list(fields)
        self.changes = {"method": "PUT", "path": "/book", "raw_path": b"/book", **changes}
        self.site = None

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/batch":
            await self.site({**scope, **self.changes}, receive, Recording().send)
        elif scope["method"] != "GET":
            self.count += 1
        status = self.status if scope["method"] == "PUT" else 200
        fields = [*FIELDS, (b"cache-control", b"max-age=60"), *self.fields]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"%d" % self.count})


@pytest.mark.parametrize(
    "asks",
    [
        Request("POST", path="/batch"),
        Request(path="/batch"),
        Request(path="/batch").having(accept_encoding="gzip"),
        Request(path="/batch").having(cookie="sid=1"),
    ],
    ids=["a write", "a read", "a read in a coding", "a read by a user"],
)
@pytest.mark.parametrize(
    ("shelf", "expected"),
    [
        pytest.param(Shelf(), b"1", id="a write"),
        pytest.param(Shelf(path="/book/"), b"1", id="in another spelling"),
        pytest.param(Shelf(204), b"1", id="without content"),
        pytest.param(Shelf(500), b"0", id="one that fails"),
        pytest.param(Shelf(path="/other"), b"0", id="of another URI"),
        pytest.param(
            Shelf(201, [(b"location", b"/book")], path="/other"), b"1", id="that names the URI"
        ),
        pytest.param(Shelf(method="REPORT"), b"0", id="a safe method"),
    ],
)
@awaited
async def test_a_write_by_a_copy_of_the_scope_drops_what_is_stored_of_its_uri(
    asks, shelf, expected
):
    """RFC 9111, 4.4: an unsafe method that succeeds invalidates its target URI."""
    shelf.count = 0
    shelf.site = serial_of(shelf, clock=Clock())
    book = Request(path="/book")
    assert (await ask(shelf.site, book)).body == b"0"
    await ask(shelf.site, asks)
    assert shelf.count == 1
    assert (await ask(shelf.site, book)).body == expected


@awaited
async def test_a_write_through_a_middleware_within_is_the_outer_ones():
    """Both see one request: what the outer one keeps of the answer is dropped by nobody."""
    shelf = Shelf()
    site = serial_of(serial_of(shelf), clock=Clock())
    assert (await ask(site, Request(path="/book"))).body == b"0"
    await ask(site, Request("PUT", path="/book"))
    assert (await ask(site, Request(path="/book"))).body == b"1"


@awaited
async def test_where_nothing_is_stored_a_write_by_a_copy_of_the_scope_just_passes():
    shelf = Shelf()
    shelf.site = serial_of(shelf, **TIMING_ONLY)
    await ask(shelf.site, Request("POST", path="/batch"))
    assert shelf.count == 1
