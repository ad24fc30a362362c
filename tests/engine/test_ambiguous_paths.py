"""What a pattern permits is not had by a path that the origin takes for another."""

import posixpath
from urllib.parse import unquote

import pytest
from litestar import Litestar, Response, get, put
from litestar import Request as LitestarRequest
from litestar.params import FromPath

from tests.engine.driver import Request, ask, awaited, serial_of


async def origin(scope, receive, send):
    """An origin that decodes, and removes dot segments; its accounts say nothing to caches."""
    path = posixpath.normpath(unquote(scope["path"].replace("\\", "/")))
    cookie = dict(scope["headers"]).get(b"cookie", b"nobody")
    body = b"account of " + cookie if path.startswith("/account") else b"file"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def asking(raw, **fields):
    return Request(path=unquote(raw), scope={"raw_path": raw.encode()}).having(**fields)


@pytest.mark.parametrize(
    "raw",
    [
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/..%5caccount",
        "/static/%252e%252e%252faccount",
        "/static/..//account",
    ],
)
@pytest.mark.parametrize("ttl", [None, 60])
@awaited
async def test_an_account_is_not_kept_as_a_static_file(raw, ttl):
    """Web cache deception: the victim follows the link, then the attacker asks for it."""
    shares = {"/static/**": {"cache_ttl": 60, "cache_shared": True}}
    serial = serial_of(origin, routes=shares, cache_ttl=ttl)
    assert (await ask(serial, asking(raw, cookie="sid=alice"))).body == b"account of sid=alice"
    assert (await ask(serial, asking(raw, cookie="sid=mallory"))).body == b"account of sid=mallory"
    assert (await ask(serial, asking(raw))).body == b"account of nobody"


@awaited
async def test_a_static_file_is_kept_for_all():
    serial = serial_of(origin, routes={"/static/**": {"cache_ttl": 60, "cache_shared": True}})
    await ask(serial, asking("/static/a%20b.css", cookie="sid=alice"))
    answer = await ask(serial, asking("/static/a%20b.css", cookie="sid=bob"))
    assert answer.one("cache-status").startswith("asgi_serial; hit")


@awaited
async def test_what_is_forbidden_to_the_account_is_forbidden_to_its_other_names():
    serial = serial_of(origin, routes={"/account": {"cache": False}}, cache_ttl=60)
    for _ in range(2):
        answer = await ask(serial, asking("/static/..%2faccount"))
        assert answer.one("cache-status") is None


def make_shelf():
    """A Litestar app, which routes `/books/3/` and `/books//3` as it does `/books/3`."""
    titles = ["first"]

    @get("/books/{number:int}")
    async def show(number: FromPath[int]) -> list[str]:
        return titles[-1:]

    @put("/books/{number:int}")
    async def write(number: FromPath[int]) -> None:
        titles.append("second")

    @get("/me/cart")
    async def cart(request: LitestarRequest) -> Response[list[str | None]]:
        fields = {"cache-control": "max-age=60"}
        return Response([request.headers.get("x-account")], headers=fields)

    routes = {"/books/*": {"cache_ttl": 60}, "/me/*": {"cache_partition": "x-account"}}
    return serial_of(Litestar([show, write, cart]), routes=routes)


@pytest.mark.parametrize("written", ["/books/3", "/books/3/", "/books//3", "//books/3"])
@pytest.mark.parametrize("read", ["/books/3", "/books/3/"])
@awaited
async def test_a_write_drops_what_is_stored_with_another_number_of_slashes(written, read):
    shelf = make_shelf()
    assert (await ask(shelf, Request(path=read))).document == ["first"]
    await ask(shelf, Request("PUT", path=written))
    assert (await ask(shelf, Request(path=read))).document == ["second"]


@pytest.mark.parametrize("path", ["/me/cart", "/me/cart/", "/me//cart", "/me/cart//"])
@awaited
async def test_what_is_one_users_is_his_with_any_number_of_slashes(path):
    shelf = make_shelf()
    for _ in range(2):
        for name in ("ada", "bob"):
            answer = await ask(shelf, Request(path=path).having(x_account=name))
            assert answer.document == [name]
