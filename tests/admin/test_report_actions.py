"""The report in a browser: signing in and out, links that work once, and the forms that purge."""

import json
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from asgi_serial.admin.page.style import POLICY
from asgi_serial.admin.page.view import MESSAGES
from asgi_serial.admin.sessions import LINK_SECONDS, SESSION_SECONDS
from tests.cache.entries import DictStore
from tests.engine.driver import Clock, Request, Whole, ask, awaited, serial_of

from .dom import parse

TOKEN = "the-token-of-the-report"
PURGE_TOKEN = "the-token-for-purging"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PATH = "/-/timing"
HOST = "app.example:8000"

REMOTE = {"client": ("192.0.2.1", 1)}
PAGE = Request(path=PATH, scope=REMOTE).having(host=HOST, accept=BROWSER)
BEARER = {"authorization": f"Bearer {TOKEN}"}
WITH_TOKEN = {"report_path": PATH, "report_token": TOKEN}
PURGING = {"purge_path": "/-/purge", "purge_token": PURGE_TOKEN}


def form(_fields=None, **members):
    request = replace(PAGE, method="POST", body=(urlencode(members).encode(),))
    fields = {
        "content_type": "application/x-www-form-urlencoded",
        "origin": f"http://{HOST}",
        "sec_fetch_site": "same-origin",
        **(_fields or {}),
    }
    return request.having(**{name: value for name, value in fields.items() if value is not None})


def make(clock=None, store=None, **settings):
    app = Whole(b"content", content_type="text/plain", cache_control="max-age=600")
    return serial_of(app, clock=clock or Clock(), store=store, **{**WITH_TOKEN, **settings})


def cookie_of(answer):
    return answer.one("set-cookie").partition(";")[0]


async def sign_in(serial):
    answer = await ask(serial, form(action="sign-in", token=TOKEN))
    assert (answer.status, answer.one("location")) == (303, PATH)
    return cookie_of(answer)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (BROWSER, "text/html"),
        ("*/*", "text/plain"),
        (None, "text/plain"),
        ("", "text/plain"),
        ("text/plain", "text/plain"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html, application/json;q=0.9", "text/html"),
        ("image/png", "text/plain"),
        ("text/*", "text/plain"),
        ("a" * 100_000, "text/plain"),
    ],
    ids=lambda value: str(value)[:40],
)
@awaited
async def test_browsers_get_a_page_and_terminals_text_and_programs_json(accept, media_type):
    fields = {} if accept is None else {"accept": accept}
    request = Request(path=PATH, scope=REMOTE).having(**BEARER, **fields)
    answer = await ask(make(), request)
    assert (answer.status, answer.media_type) == (200, media_type)
    assert answer.one("vary") == "accept, accept-encoding, authorization, cookie"
    assert answer.one("cache-control") == "no-store"
    assert answer.one("x-content-type-options") == "nosniff"
    assert answer.one("content-security-policy") == (POLICY if media_type == "text/html" else None)
    assert answer.all("set-cookie") == []


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@awaited
async def test_the_page_is_compressed_for_who_takes_that(coding):
    answer = await ask(make(), PAGE.having(**BEARER, accept_encoding=coding))
    assert answer.coding == coding
    assert len(answer.body) < 20_000
    assert parse(answer.content).one("h1").text == "Timing report"


@awaited
async def test_the_head_of_the_page_is_that_of_the_page():
    serial = make()
    whole = await ask(serial, PAGE.having(**BEARER))
    head = await ask(serial, replace(PAGE, method="HEAD").having(**BEARER))
    assert head.one("content-length") == whole.one("content-length") == str(len(whole.body))
    assert head.body == b""


@awaited
async def test_a_browser_without_the_token_is_asked_for_it():
    answer = await ask(make(), PAGE)
    assert (answer.status, answer.media_type) == (401, "text/html")
    assert answer.one("www-authenticate").startswith("Bearer")
    tree = parse(answer.body)
    assert tree.one("form")["method"] == "post"
    assert tree.one("input", id="token")["type"] == "password"
    assert TOKEN.encode() not in answer.body
    assert tree.one("code").text.endswith(f"'http://{HOST}{PATH}'")


@awaited
async def test_a_browser_that_signs_in_has_a_session_of_this_path_alone():
    clock = Clock()
    serial = make(clock)
    answer = await ask(serial, form(action="sign-in", token=f" {TOKEN} "))
    value, *attributes = answer.one("set-cookie").split("; ")
    assert attributes == [
        f"Path={PATH}",
        f"Max-Age={SESSION_SECONDS}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    assert TOKEN not in value
    signed_in = PAGE.having(cookie=f"theme=dark; {value}")
    page = await ask(serial, signed_in)
    assert page.status == 200
    assert b"Sign out" in page.body
    clock.now += SESSION_SECONDS
    assert (await ask(serial, signed_in)).status == 401


@pytest.mark.parametrize(
    ("request_", "is_secure"),
    [
        (replace(form(action="sign-in", token=TOKEN), scope={"scheme": "https"}), True),
        (form({"x_forwarded_proto": "https"}, action="sign-in", token=TOKEN), True),
        (form({"x_forwarded_proto": "http"}, action="sign-in", token=TOKEN), False),
    ],
    ids=["over TLS", "over TLS to a proxy", "without"],
)
@awaited
async def test_the_cookie_is_secure_over_tls(request_, is_secure):
    answer = await ask(make(), request_)
    assert ("; Secure" in answer.one("set-cookie")) is is_secure


@awaited
async def test_the_session_of_a_mounted_app_is_of_the_whole_path():
    request = replace(form(action="sign-in", token=TOKEN), path=f"/app{PATH}")
    answer = await ask(make(), replace(request, scope={"root_path": "/app"}))
    assert f"; Path=/app{PATH};" in answer.one("set-cookie")
    assert answer.one("location") == f"/app{PATH}"


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN * 2, "x" * 15_000, "\xff\x00"])
@awaited
async def test_another_token_signs_nobody_in(given):
    answer = await ask(make(), form(action="sign-in", token=given))
    assert (answer.status, answer.one("set-cookie")) == (401, None)
    assert parse(answer.body).one("p", role="alert").text == "This is not the token."


@awaited
async def test_signing_out_takes_the_cookie_away():
    serial = make()
    cookie = await sign_in(serial)
    answer = await ask(serial, form({"cookie": cookie}, action="sign-out"))
    assert answer.status == 303
    assert answer.one("set-cookie").startswith("asgi_serial_session=; ")
    assert "; Max-Age=0;" in answer.one("set-cookie")


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": None, "sec_fetch_site": None},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
@awaited
async def test_a_form_of_another_site_does_nothing(fields):
    serial = make(**PURGING)
    cookie = await sign_in(serial)
    await ask(serial, Request(path="/page"))
    for members in (
        {"action": "sign-in", "token": TOKEN},
        {"action": "sign-out"},
        {"action": "purge-everything", "token": PURGE_TOKEN},
    ):
        answer = await ask(serial, form({"cookie": cookie, **fields}, **members))
        assert (answer.status, answer.one("set-cookie")) == (403, None)
    assert "; hit;" in (await ask(serial, Request(path="/page"))).one("cache-status")


class TestLinks:
    @awaited
    async def test_a_link_signs_in_once(self):
        serial = make()
        made = await ask(serial, Request("POST", PATH, scope=REMOTE).having(host=HOST, **BEARER))
        assert made.status == 201
        link = made.body.decode().strip()
        assert link == made.one("location")
        assert link.startswith(f"http://{HOST}{PATH}?link=")
        opening = replace(PAGE, query=link.partition("?")[2].encode())
        head = await ask(serial, replace(opening, method="HEAD"))
        assert (head.status, head.one("set-cookie")) == (401, None)
        opened = await ask(serial, opening)
        assert opened.status == 200
        tree = parse(opened.body)
        assert tree.one("meta", http_equiv="refresh")["content"] == f"0; url={PATH}"
        assert "HttpOnly; SameSite=Strict" in opened.one("set-cookie")
        assert (await ask(serial, PAGE.having(cookie=cookie_of(opened)))).status == 200
        again = await ask(serial, opening)
        assert (again.status, again.one("set-cookie")) == (401, None)
        said = parse(again.body).one("p", role="alert")
        assert said.text == "This link has expired, or was used before."

    @awaited
    async def test_a_link_works_once_for_all_processes_of_a_second_level(self):
        store = DictStore()
        first, second = (make(store=store) for _ in range(2))
        made = await ask(first, Request("POST", PATH, scope=REMOTE).having(host=HOST, **BEARER))
        query = made.one("location").partition("?")[2].encode()
        answers = [await ask(each, replace(PAGE, query=query)) for each in (second, first)]
        assert [answer.status for answer in answers] == [200, 401]
        assert max(map(len, store.values)) <= 64

    @awaited
    async def test_a_link_works_while_the_second_level_does_not(self):
        store = DictStore()
        serial = make(store=store)

        async def fails(key, value, **more):
            return None

        store.add = fails
        made = await ask(serial, Request("POST", PATH, scope=REMOTE).having(host=HOST, **BEARER))
        query = made.one("location").partition("?")[2].encode()
        answers = [await ask(serial, replace(PAGE, query=query)) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 401]

    @awaited
    async def test_a_link_holds_for_two_minutes(self):
        clock = Clock()
        serial = make(clock)
        made = await ask(serial, Request("POST", PATH, scope=REMOTE).having(host=HOST, **BEARER))
        query = made.one("location").partition("?")[2].encode()
        clock.now += LINK_SECONDS
        assert (await ask(serial, replace(PAGE, query=query))).status == 401

    @awaited
    async def test_a_session_is_no_link_and_a_link_no_session(self):
        serial = make()
        cookie = await sign_in(serial)
        value = cookie.partition("=")[2]
        answer = await ask(serial, replace(PAGE, query=f"link={value}".encode()))
        assert answer.status == 401
        made = await ask(serial, Request("POST", PATH, scope=REMOTE).having(host=HOST, **BEARER))
        link = made.one("location").partition("link=")[2]
        cookie = f"asgi_serial_session={link}"
        assert (await ask(serial, PAGE.having(cookie=cookie))).status == 401

    @pytest.mark.parametrize("host", ["a b", "evil/@x", "x" * 300])
    @awaited
    async def test_a_host_that_is_none_is_left_out(self, host):
        request = Request("POST", PATH, scope=REMOTE).having(host=host, **BEARER)
        assert (await ask(make(), request)).one("location").startswith(f"{PATH}?link=")

    @awaited
    async def test_without_a_token_there_are_no_links(self):
        serial = make(report_token=None)
        local = Request("POST", PATH).having(host="localhost")
        assert (await ask(serial, local)).status == 405
        assert (await ask(serial, replace(local, method="GET", query=b"link=1.2.3"))).status == 200
        far = Request(path=PATH, query=b"link=1.2.3", scope=REMOTE).having(host=HOST)
        assert (await ask(serial, far)).status == 403
        signing = replace(
            form({"origin": "http://localhost"}, action="sign-in", token=""), scope={}
        )
        signing = replace(signing, fields=(("host", "localhost"), *signing.fields[1:]))
        assert (await ask(serial, signing)).status == 400


class TestPurging:
    async def purge(self, serial, cookie, **members):
        return await ask(serial, form({"cookie": cookie}, **members))

    async def is_stored(self, serial, path="/page"):
        return "; hit;" in (await ask(serial, Request(path=path))).one("cache-status")

    @pytest.mark.parametrize(
        ("members", "word", "left"),
        [
            ({"action": "purge", "kind": "uri", "value": "/page"}, "purged", [False, True]),
            ({"action": "purge", "kind": "prefix", "value": " /pag "}, "purged", [False, True]),
            ({"action": "purge", "kind": "tag", "value": "none"}, "purged", [True, True]),
            ({"action": "purge-everything"}, "purged", [False, False]),
            ({"action": "purge", "kind": "uri", "value": ""}, "wrong", [True, True]),
            ({"action": "purge", "kind": "uri", "value": "page"}, "wrong", [True, True]),
            ({"action": "purge", "kind": "x", "value": "/page"}, "wrong", [True, True]),
            ({"action": "purge-everything", "token": "x"}, "refused", [True, True]),
            ({"action": "purge-everything", "token": TOKEN}, "refused", [True, True]),
        ],
        ids=str,
    )
    @awaited
    async def test_a_form_purges_with_the_token_for_purging(self, members, word, left):
        clock = Clock()
        serial = make(clock, **PURGING)
        cookie = await sign_in(serial)
        for path in ("/page", "/other"):
            await ask(serial, Request(path=path))
        clock.now += 1
        answer = await self.purge(serial, cookie, **{"token": PURGE_TOKEN, **members})
        assert (answer.status, answer.one("location")) == (303, f"{PATH}?done={word}#message")
        shown = await ask(
            serial, replace(PAGE, query=f"done={word}".encode()).having(cookie=cookie)
        )
        assert parse(shown.body).one("section", role="status").text == MESSAGES[word][1]
        assert [await self.is_stored(serial, path) for path in ("/page", "/other")] == left

    @awaited
    async def test_one_token_for_both_is_asked_for_once(self):
        clock = Clock()
        serial = make(clock, purge_path="/-/purge", purge_token=TOKEN)
        cookie = await sign_in(serial)
        page = await ask(serial, PAGE.having(cookie=cookie))
        assert parse(page.body).one("section", id="purge").all("input", type="password") == []
        await ask(serial, Request(path="/page"))
        clock.now += 1
        answer = await self.purge(serial, cookie, action="purge-everything")
        assert answer.one("location").endswith("?done=purged#message")
        assert not await self.is_stored(serial)

    @awaited
    async def test_without_a_session_nothing_is_purged(self):
        serial = make(purge_path="/-/purge", purge_token=TOKEN)
        await ask(serial, Request(path="/page"))
        answer = await self.purge(serial, "a=b", action="purge-everything")
        assert answer.status == 401
        assert await self.is_stored(serial)

    @awaited
    async def test_where_purging_over_http_is_off_the_page_has_no_form_for_it(self):
        serial = make()
        cookie = await sign_in(serial)
        page = await ask(serial, PAGE.having(cookie=cookie))
        assert parse(page.body).all("section", id="purge") == []
        answer = await self.purge(serial, cookie, action="purge-everything")
        assert answer.status == 400

    @awaited
    async def test_it_is_said_that_other_processes_were_not_told(self):
        store = DictStore()
        serial = make(store=store, **PURGING)
        await serial.engine.responses.purge_sync.listen()

        async def fails(key, **more):
            return None

        store.increment = fails
        cookie = await sign_in(serial)
        answer = await self.purge(serial, cookie, action="purge-everything", token=PURGE_TOKEN)
        assert answer.one("location") == f"{PATH}?done=not-told#message"


@pytest.mark.parametrize("body", [b"", b"x" * 100_000, b"a=b&" * 100, b"\xff=\x00", b"action=x"])
@awaited
async def test_a_form_that_says_nothing_does_nothing(body):
    serial = make()
    cookie = await sign_in(serial)
    answer = await ask(serial, replace(form({"cookie": cookie}), body=(body,)))
    assert answer.status == 400
    assert "does not say what to do" in parse(answer.body).text


@awaited
async def test_another_machine_is_told_why_in_its_own_format():
    serial = serial_of(Whole(b""), report_path=PATH)
    page = await ask(serial, PAGE)
    assert (page.status, page.media_type) == (403, "text/html")
    text = await ask(serial, Request(path=PATH, scope=REMOTE))
    assert (text.status, text.media_type) == (403, "text/plain")
    assert re.search("Set report_token to allow others", parse(page.body).text)
    assert re.search("Set report_token to allow others", text.body.decode())


@awaited
async def test_json_is_the_whole_report():
    answer = await ask(make(), PAGE.having(**BEARER, accept_encoding="gzip"))
    assert answer.coding == "gzip"
    answer = await ask(make(), Request(path=PATH).having(**BEARER, accept="application/json"))
    assert json.loads(answer.body)["totals"]["count"] == 0
