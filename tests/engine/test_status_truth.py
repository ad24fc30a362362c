"""What Cache-Status says of storing is true (RFC 9211, 2.5: `stored`)."""

import pytest

from asgi_serial import ConfigurationError
from asgi_serial.settings.model import Settings

from .driver import Clock, Request, ask, awaited, drive, serial_of
from .making import FRESH, JSON, body, start


class Meanwhile:
    """An app during whose call something happens, before its response starts."""

    def __init__(self, *fields, content=b"[1]", status=200):
        self.fields = fields
        self.content = content
        self.status = status
        self.happens = None

    async def __call__(self, scope, receive, send):
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        await send(start(JSON, *self.fields, status=self.status))
        await send(body(self.content))


async def lines(serial, request, number=2):
    return [(await ask(serial, request)).one("cache-status") for _ in range(number)]


@pytest.mark.parametrize("path", ["/", "/a"])
@awaited
async def test_what_a_write_overtakes_is_not_said_to_be_stored(path):
    app, clock = Meanwhile(FRESH), Clock()
    serial = serial_of(app, clock=clock)

    async def write():
        await drive(serial, Request("PUT", path=path))

    app.happens = write
    (line,) = await lines(serial, Request(path=path), 1)
    assert line == "asgi_serial; fwd=uri-miss; detail=invalidated"
    clock.now += 1
    assert (await lines(serial, Request(path=path)))[1].startswith("asgi_serial; hit")


@awaited
async def test_what_a_purge_overtakes_is_not_said_to_be_stored():
    from asgi_serial import purge

    app = Meanwhile(FRESH)
    serial = serial_of(app)

    async def purge_all():
        await purge(serial.engine, everything=True)

    app.happens = purge_all
    assert await lines(serial, Request(), 1) == ["asgi_serial; fwd=uri-miss; detail=invalidated"]


@pytest.mark.parametrize("vary", [(), ((b"vary", b"accept-language"),)], ids=["all", "varying"])
@pytest.mark.parametrize("extra", [{}, {"cache_key_fields": "x-a"}], ids=["plain", "fork"])
@awaited
async def test_where_a_newer_response_is_stored_the_older_is_not_said_to_be(vary, extra):
    """RFC 9111, 4: the most recent is used."""
    app, clock = Meanwhile(FRESH, *vary, (b"age", b"30")), Clock()
    serial = serial_of(app, clock=clock, **extra)

    async def answer_newer():
        app.fields, older = (FRESH, *vary), app.fields
        await drive(serial, Request())
        app.fields = older

    app.happens = answer_newer
    said = await lines(serial, Request())
    assert said[0] == "asgi_serial; fwd=uri-miss; detail=newer-stored"
    assert said[1] == "asgi_serial; hit; ttl=60"


@awaited
async def test_what_has_no_room_is_not_said_to_be_stored():
    """One user has a twentieth of the memory."""
    app = Meanwhile(FRESH, content=b"[" + b"1," * 10_000 + b"1]")
    routes = {"/": {"cache_partition": "x-user"}}
    settings = {"cache_memory": "100kB", "cache_max_object": "100kB", "encodings_cache": False}
    serial = serial_of(app, routes=routes, **settings)
    known = Request().having(x_user="ada")
    assert await lines(serial, known) == ["asgi_serial; fwd=uri-miss; detail=object-too-large"] * 2


@awaited
async def test_a_confirmation_that_a_write_overtakes_is_not_said_to_be_stored():
    app, clock = Meanwhile(FRESH, (b"etag", b'"1"')), Clock()
    serial = serial_of(app, clock=clock)
    await ask(serial, Request())
    clock.now += 70

    async def write():
        await drive(serial, Request("PUT"))
        app.status, app.content = 304, b""

    app.happens = write
    (line,) = await lines(serial, Request(), 1)
    assert line.startswith("asgi_serial; fwd=stale; fwd-status=304; ttl=")
    assert line.endswith("detail=invalidated")
    app.status, app.content = 200, b"[2]"
    clock.now += 1
    assert (await lines(serial, Request()))[0] == "asgi_serial; fwd=uri-miss; stored"


@pytest.mark.parametrize(
    ("given", "environ", "says"),
    [
        pytest.param(
            {"cache_memory": "1MB"},
            {},
            "cache_memory is 1000000; expected at least cache_max_object, which is 5000000. "
            "Raise cache_memory or lower cache_max_object.",
            id="the memory alone",
        ),
        pytest.param(
            {"cache_max_object": "65MB"},
            {},
            "cache_memory is 64000000; expected at least cache_max_object, which is 65000000. "
            "Raise cache_memory or lower cache_max_object.",
            id="the object alone",
        ),
        pytest.param(
            {"cache_max_object": "2kB"},
            {"ASGI_SERIAL_CACHE_MEMORY": "1kB"},
            "ASGI_SERIAL_CACHE_MEMORY is 1000; expected at least cache_max_object, which is 2000. "
            "Raise ASGI_SERIAL_CACHE_MEMORY or lower cache_max_object.",
            id="both, and one by the environment",
        ),
    ],
)
def test_a_memory_that_has_no_room_for_an_object_is_refused(given, environ, says):
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(given, environ)
    assert str(refused.value) == says


def test_a_memory_of_one_object_is_enough():
    assert Settings.load({"cache_memory": 5, "cache_max_object": 5}, {}).cache_memory == 5


@awaited
async def test_a_head_that_renews_the_stored_response_gives_no_reason_for_not_storing():
    """RFC 9111, 4.3.5."""
    clock = Clock()
    serial = serial_of(Meanwhile(FRESH, (b"etag", b'"v1"')), clock=clock)
    await drive(serial, Request())
    clock.now += 1000
    assert await lines(serial, Request("HEAD")) == [
        "asgi_serial; fwd=stale; stored",
        "asgi_serial; hit; ttl=60",
    ]
