"""Responses that are stored before anybody asks for them."""

import asyncio

import pytest

from asgi_serial import SerialMiddleware, warm
from tests.engine.driver import Request, ask, awaited
from tests.engine.making import FRESH, JSON


class App:
    """Answers with its path, and fails where it is told to."""

    def __init__(self):
        self.calls = []
        self.inside = self.most = 0

    async def __call__(self, scope, receive, send):
        self.calls.append(scope["path"])
        self.inside += 1
        self.most = max(self.most, self.inside)
        await receive()
        await asyncio.sleep(0)
        self.inside -= 1
        if scope["path"] == "/fails":
            raise RuntimeError("the app fails")
        status = 404 if scope["path"] == "/missing" else 200
        await send({"type": "http.response.start", "status": status, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b'"%s"' % scope["path"].encode()})


@awaited
async def test_the_first_client_finds_an_answer():
    app = App()
    serial = SerialMiddleware(app)
    asked = await serial.warm(["http://example.org/a%20b?x=1", "http://example.org"])
    assert asked == {"http://example.org/a%20b?x=1": 200, "http://example.org": 200}
    for request in (Request(path="/a b", query=b"x=1", scope={"raw_path": b"/a%20b"}), Request()):
        answer = await ask(serial, request)
        assert "; hit;" in answer.one("cache-status")
    assert app.calls == ["/a b", "/"]


@awaited
async def test_any_app_may_be_asked_and_what_fails_stops_nobody(caplog):
    app = App()
    asked = await warm(app, [f"https://h/{path}" for path in ("fails", "missing", "x")])
    assert list(asked.values()) == [500, 404, 200]
    assert "The request for https://h/fails failed." in caplog.text


@awaited
async def test_only_a_few_are_asked_for_at_once():
    app = App()
    await warm(app, [f"https://h/{number}" for number in range(20)], at_once=3)
    assert (len(app.calls), app.most) == (20, 3)


@awaited
async def test_the_headers_choose_the_forms_that_are_ready():
    app = App()
    serial = SerialMiddleware(app)
    accept = {"Accept": "application/vnd.msgpack"}
    await serial.warm(["http://example.org/"], headers=accept)
    answer = await ask(serial, Request().having(accept="application/vnd.msgpack"))
    assert "; hit;" in answer.one("cache-status")
    assert answer.document == "/"


@awaited
async def test_an_app_that_waits_for_its_client_to_leave_is_not_told_so():
    async def app(scope, receive, send):
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert await warm(app, ["http://h/"]) == {"http://h/": 204}


@pytest.mark.parametrize("url", ["/path", "ftp://h/", "http://", "", "//h/path"])
@awaited
async def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="cannot be requested"):
        await warm(App(), [url])
