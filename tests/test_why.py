"""Asgi-Serial-Why explains one response to those who may know, and to nobody else."""

import asyncio
import gzip
import re

import msgpack
import pytest

from asgi_serial.admin.state import engine_report
from asgi_serial.http.structured import Token, format_item
from asgi_serial.reasons import REASONS, SUBJECTS
from tests.engine.driver import Clock, Request, Whole, ask, awaited, drive, fields_of, serial_of

TOKEN = "a-long-random-token"
WITH_TOKEN = {"report_token": TOKEN, "report_path": "/-/timing"}
HTML = {"content_type": "text/html", "cache_control": "max-age=60"}
DATA = {"content_type": "application/json", "cache_control": "max-age=60"}
LARGE, SMALL = b"<p>the same words</p>" * 100, b"<p>few</p>"
DOCUMENT = b"[" + b"1, " * 900 + b"1]"
PACKED = "application/vnd.msgpack"
GET = Request()
ASKING = GET.having(asgi_serial_why=TOKEN)
BROWSER = ASKING.having(accept_encoding="br")
# RFC 9651, 3.1: a list of tokens with parameters.
MEMBER = re.compile(r'([a-z]+)((?:;[a-z]+(?:="[ !#-\[\]-~]*"|=[A-Za-z][\w/.:-]*|=-?\d+)?)+)')


def why(answer):
    """The members of the field, each checked to be of the syntax and of known words."""
    (value,) = [value.decode() for name, value in answer.fields if name == b"asgi-serial-why"]
    members = value.split(", ")
    for member in members:
        match = MEMBER.fullmatch(member)
        assert match is not None, member
        assert match[1] in SUBJECTS
        reason = re.search(r";not=([a-z-]+)", member)
        assert reason is None or reason[1] in REASONS
    return members


def is_explained(answer):
    return any(name == b"asgi-serial-why" for name, _ in answer.fields)


async def failing(scope, receive, send):
    raise RuntimeError("of the app")


async def streaming(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": fields_of(**HTML)})
    for piece in (LARGE, LARGE):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


OWN = "format;not=client-takes-own-format"


@pytest.mark.parametrize(
    ("options", "app", "request_", "expected"),
    [
        pytest.param(
            {},
            Whole(LARGE, **HTML),
            BROWSER,
            ["cache;not=miss", "storage;did=stored;ttl=60", OWN, "coding;did=br"],
            id="a miss that is compressed and stored",
        ),
        pytest.param(
            {},
            Whole(SMALL, content_type="text/html", content_length=str(len(SMALL))),
            BROWSER,
            ["cache;not=miss", "storage;not=no-freshness", OWN, "coding;not=too-small"],
            id="a pass",
        ),
        pytest.param(
            {},
            streaming,
            BROWSER,
            ["cache;not=miss", "storage;did=collected", OWN, "coding;did=br"],
            id="a stream",
        ),
        pytest.param(
            {},
            Whole(DOCUMENT, **DATA),
            BROWSER.having(accept=PACKED),
            [
                *("cache;not=miss", "storage;did=stored;ttl=60"),
                *(f'format;did="{PACKED}"', "coding;did=br"),
            ],
            id="a translation",
        ),
        pytest.param(
            {},
            Whole(SMALL, **HTML),
            Request("PUT", body=(msgpack.packb([1]),)).having(
                asgi_serial_why=TOKEN, content_type=PACKED
            ),
            [
                *("decoding;not=upload-not-translated", "cache;not=method-not-cached"),
                *("storage;not=method-not-cached", OWN, "coding;not=client-takes-none"),
            ],
            id="a write",
        ),
        pytest.param(
            {},
            Whole(SMALL, content_type="text/html"),
            ASKING.having(x_token="secret"),
            [
                *("cache;not=miss", "storage;not=no-freshness"),
                *(OWN, "coding;not=client-takes-none"),
            ],
            id="an unknown field",
        ),
        pytest.param(
            {"cache_ttl": 60},
            Whole(LARGE, content_type="text/html"),
            BROWSER.having(x_token="secret"),
            [
                "cache;not=miss",
                'storage;not=request-has-unknown-field;field="x-token"',
                *(OWN, "coding;did=br"),
            ],
            id="an unknown field that keeps it out",
        ),
        pytest.param(
            {},
            Whole(gzip.compress(LARGE), content_type="text/html", content_encoding="gzip"),
            BROWSER,
            ["cache;not=miss", "storage;not=no-freshness", "content;not=already-encoded"],
            id="encoded by the app",
        ),
        pytest.param(
            {"cache": False, "compression": False, "formats": False, "decoding": False},
            Whole(LARGE, **HTML),
            BROWSER,
            ["cache;not=cache-turned-off", OWN, "coding;not=turned-off"],
            id="everything off",
        ),
        pytest.param(
            {},
            Whole(LARGE, **HTML),
            ASKING.having(content_encoding="compress", content_length="3"),
            ["request;not=unsupported-coding"],
            id="a refusal",
        ),
        pytest.param(
            {"format_strict": True},
            Whole(DOCUMENT, **DATA),
            ASKING.having(accept="text/csv"),
            ["cache;not=miss", "request;not=not-acceptable"],
            id="a refusal once the app has answered",
        ),
        pytest.param(
            {},
            Whole(SMALL, **HTML),
            ASKING.having(cache_control="only-if-cached"),
            ["request;not=miss"],
            id="a refusal to call the app",
        ),
        pytest.param(
            {},
            Whole(b"", status=500, content_type="text/plain"),
            BROWSER,
            ["cache;not=miss", "storage;not=no-freshness", OWN, "coding;not=too-small"],
            id="an error",
        ),
        pytest.param(
            {},
            Whole(LARGE, **HTML),
            Request("POST", body=(b"x",)).having(
                asgi_serial_why=TOKEN, accept_encoding="br", content_encoding="identity"
            ),
            [
                *("cache;not=method-not-cached", "storage;not=method-not-cached"),
                *(OWN, "coding;did=br"),
            ],
            id="a POST",
        ),
    ],
)
@awaited
async def test_a_response_is_explained_to_who_sends_the_token(options, app, request_, expected):
    assert why(await ask(serial_of(app, **WITH_TOKEN, **options), request_)) == expected


@awaited
async def test_hits_304s_and_parts_are_explained_by_the_form_that_is_sent():
    serial_app = serial_of(Whole(LARGE, **HTML), **WITH_TOKEN)
    tag = (await ask(serial_app, GET.having(accept_encoding="br"))).one("etag")
    hit = ["cache;did=hit;ttl=60", OWN, "coding;did=br"]
    assert why(await ask(serial_app, BROWSER)) == hit
    assert why(await ask(serial_app, BROWSER)) == hit
    assert why(await ask(serial_app, BROWSER.having(if_none_match=tag))) == hit
    plain = ["cache;did=hit;ttl=60", OWN, "coding;not=client-takes-none"]
    assert why(await ask(serial_app, ASKING)) == plain
    part = await ask(serial_app, ASKING.having(range="bytes=0-3"))
    assert (part.status, why(part)) == (206, plain)
    packed = serial_of(Whole(DOCUMENT, **DATA), **WITH_TOKEN)
    for _ in range(2):
        answer = await ask(packed, BROWSER.having(accept=PACKED))
    assert why(answer) == ["cache;did=hit;ttl=60", f'format;did="{PACKED}"', "coding;did=br"]


@awaited
async def test_stale_and_validated_responses_are_explained():
    fails = False

    async def app(scope, receive, send):
        if fails:
            raise RuntimeError("of the app")
        asked = b"if-none-match" in dict(scope["headers"])
        fields = fields_of(
            content_type="text/html",
            etag='"1"',
            cache_control="max-age=60, stale-if-error=1000",
        )
        status, body = (304, b"") if asked else (200, SMALL)
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    clock = Clock()
    serial_app = serial_of(app, clock=clock, **WITH_TOKEN)
    await ask(serial_app, BROWSER)
    clock.now += 100
    assert why(await ask(serial_app, BROWSER)) == [
        *("cache;did=validated;why=stale", "storage;did=stored;ttl=60"),
        *(OWN, "coding;not=too-small"),
    ]
    clock.now += 100
    assert why(await ask(serial_app, BROWSER.having(cache_control="max-stale"))) == [
        "cache;did=stale;why=stale-accepted;ttl=-40",
        *(OWN, "coding;not=too-small"),
    ]
    fails = True
    assert why(await ask(serial_app, BROWSER)) == [
        "cache;did=stale;why=stale-if-error",
        *(OWN, "coding;not=too-small"),
    ]


@pytest.mark.parametrize(
    ("body", "fields", "expected"),
    [
        (gzip.compress(b"{}", mtime=0), {"content_encoding": "gzip"}, "decoding;did=gzip"),
        (msgpack.packb([1]), {"content_type": PACKED}, "decoding;did=msgpack"),
        (b"{}", {"content_encoding": "gzip"}, "decoding;not=decoding-turned-off"),
    ],
)
@awaited
async def test_what_was_done_to_the_body_of_a_request_is_explained(body, fields, expected):
    options = {"decoding": "turned-off" not in expected, "format_uploads": True}
    serial_app = serial_of(Whole(SMALL, **HTML), **WITH_TOKEN, **options)
    request_ = Request("PUT", body=(body,)).having(asgi_serial_why=TOKEN, **fields)
    assert why(await ask(serial_app, request_))[0] == expected


@awaited
async def test_that_a_response_is_that_of_another_call_is_explained():
    released = asyncio.Event()

    async def app(scope, receive, send):
        await released.wait()
        await Whole(SMALL, **HTML)(scope, receive, send)

    serial_app = serial_of(app, cache_ttl=60, **WITH_TOKEN)
    asking = [asyncio.ensure_future(ask(serial_app, one)) for one in (GET, ASKING)]
    for _ in range(10):
        await asyncio.sleep(0)
    released.set()
    plain, explained = await asyncio.gather(*asking)
    assert not is_explained(plain)
    assert why(explained)[0] == "cache;did=hit;ttl=60;collapsed"


@awaited
async def test_an_explained_stale_response_is_refreshed_as_any_other():
    app = Whole(
        SMALL, content_type="text/html", cache_control="max-age=60, stale-while-revalidate=60"
    )
    clock = Clock()
    serial_app = serial_of(app, clock=clock, **WITH_TOKEN)
    await ask(serial_app, GET)
    clock.now += 100
    answer = await ask(serial_app, ASKING)
    assert why(answer)[0] == "cache;did=stale;why=stale-while-revalidate;ttl=-40"
    for _ in range(10):
        await asyncio.sleep(0)
    assert app.calls == 2
    again = await ask(serial_app, GET)
    assert again.one("cache-status") == "asgi_serial; hit; ttl=60"
    assert not is_explained(again)


@awaited
async def test_the_response_is_that_of_any_other_client_but_no_cache_may_keep_it():
    serial_app = serial_of(Whole(LARGE, **HTML), **WITH_TOKEN)
    explained = await ask(serial_app, BROWSER)
    plain = await ask(serial_app, GET.having(accept_encoding="br"))
    assert plain.one("cache-status").startswith("asgi_serial; hit")
    assert not is_explained(plain)
    assert plain.one("cache-control") == "max-age=60"
    assert explained.body == plain.body
    assert [value for name, value in explained.fields if name == b"cache-control"] == [
        *(b"max-age=60", b"no-store")
    ]
    # An explanation that was given once is not repeated to the next of the same kind.
    assert is_explained(await ask(serial_app, BROWSER))
    assert not is_explained(await ask(serial_app, GET.having(accept_encoding="br")))


@awaited
async def test_no_cache_that_goes_by_another_field_than_cache_control_may_keep_it():
    """RFC 9213, 2.2: a targeted field replaces Cache-Control; products have fields of their own."""
    lifetimes = {"cdn_cache_control": "max-age=600", "x_accel_expires": "600"}
    app = Whole(LARGE, **HTML, **lifetimes, surrogate_control="max-age=600")
    serial_app = serial_of(app, **WITH_TOKEN)
    explained, plain = await ask(serial_app, ASKING), await ask(serial_app, GET)
    assert explained.one("cdn-cache-control") == explained.one("surrogate-control") == "no-store"
    assert explained.one("x-accel-expires") == "0"
    assert plain.one("cdn-cache-control") == plain.one("surrogate-control") == "max-age=600"
    assert plain.one("x-accel-expires") == "600"


@awaited
async def test_a_token_in_authorization_is_a_credential_as_any_other():
    app = Whole(LARGE, **HTML)
    serial_app = serial_of(app, **WITH_TOKEN)
    await ask(serial_app, GET)
    answer = await ask(serial_app, GET.having(authorization=f"Bearer {TOKEN}"))
    assert why(answer)[:2] == [
        *("cache;not=request-has-credentials", "storage;not=request-has-credentials")
    ]
    assert app.calls == 2
    assert (await ask(serial_app, GET)).one("cache-status").startswith("asgi_serial; hit")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"asgi_serial_why": "another"},
        {"asgi_serial_why": TOKEN[:-1]},
        {"asgi_serial_why": f"Bearer {TOKEN}"},
        {"asgi_serial_why": TOKEN * 100_000},
        {"asgi_serial_why": ""},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \u00e9"},
    ],
    ids=["none", "another", "a part", "a scheme", "a megabyte", "empty", "Basic", "no ASCII"],
)
@awaited
async def test_without_the_token_nothing_is_explained(fields):
    serial_app = serial_of(Whole(LARGE, **HTML), **WITH_TOKEN)
    answer = await ask(serial_app, GET.having(**fields))
    assert not is_explained(answer)
    assert answer.one("cache-control") == "max-age=60"


def local(host="localhost:8000", client=("127.0.0.1", 5000), **fields):
    return Request(scope={"client": client}).having(host=host, **fields)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(local(), True, id="IPv4"),
        pytest.param(local("[::1]", ("::1", 5000)), True, id="IPv6"),
        pytest.param(local(client=("192.0.2.1", 5000)), False, id="another machine"),
        pytest.param(local("example.org"), False, id="another host: DNS rebinding"),
        pytest.param(local(x_forwarded_for="192.0.2.1"), False, id="past a proxy"),
        pytest.param(local(forwarded="for=192.0.2.1"), False, id="past another proxy"),
        pytest.param(local(client=None), False, id="an unknown client"),
        pytest.param(local(origin="https://evil.example"), False, id="a page of another origin"),
    ],
)
@awaited
async def test_debug_explains_to_the_machine_itself_only(request_, expected):
    answer = await ask(serial_of(Whole(LARGE, **HTML), debug=True), request_)
    assert is_explained(answer) is expected
    assert not is_explained(await ask(serial_of(Whole(LARGE, **HTML)), request_))


@awaited
async def test_what_is_stored_of_an_explained_response_holds_no_explanation():
    """Neither the second request of another client, nor one that waits for the call, gets it."""
    serial_app = serial_of(Whole(LARGE, **HTML), debug=True)
    assert is_explained(await ask(serial_app, local()))
    other = await ask(serial_app, local(client=("192.0.2.1", 1)))
    assert other.one("cache-status").startswith("asgi_serial; hit")
    assert not is_explained(other)


@awaited
async def test_an_explained_request_is_counted_as_any_other():
    serial_app = serial_of(Whole(LARGE, **HTML), **WITH_TOKEN)
    for request_ in (ASKING, GET, ASKING):
        await ask(serial_app, request_)
    report = engine_report(serial_app.engine)
    assert report.totals["count"] == serial_app.engine.gauges.started == 3


@awaited
async def test_the_apps_exception_reaches_the_server():
    recording = await drive(serial_of(failing, **WITH_TOKEN), ASKING)
    assert isinstance(recording.error, RuntimeError)
    assert recording.messages == []


@awaited
async def test_without_a_token_the_field_is_unknown_as_any_other():
    serial_app = serial_of(Whole(LARGE, content_type="text/html"), cache_ttl=60)
    answer = await ask(serial_app, ASKING)
    assert answer.one("cache-status").endswith("request-has-unknown-field:asgi-serial-why")


@pytest.mark.parametrize("kind", [iter, tuple], ids=["an iterator", "a tuple"])
@awaited
async def test_fields_in_any_form_are_read_and_left_to_the_app(kind):
    app = Whole(LARGE, **HTML)
    scope = ASKING.having(x_other="1").make_scope()
    scope["headers"] = kind(
        [(bytearray(name), bytearray(value)) for name, value in scope["headers"]]
    )
    sent = []

    async def send(message):
        sent.append(message)

    await serial_of(app, **WITH_TOKEN)(scope, ASKING.make_receive(), send)
    assert any(name == b"asgi-serial-why" for name, _ in sent[0]["headers"])
    assert [bytes(name) for name, _ in app.scopes[0]["headers"]] == [b"host", b"x-other"]


async def echoing(scope, receive, send):
    fields = fields_of(content_type="text/plain")
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": repr(scope["headers"]).encode()})


@awaited
async def test_the_token_is_not_stored_with_what_an_app_shows_of_a_request():
    serial_app = serial_of(echoing, cache_ttl=60, **WITH_TOKEN)
    explained = await ask(serial_app, ASKING)
    assert is_explained(explained)
    other = await ask(serial_app, GET)
    assert other.one("cache-status").startswith("asgi_serial; hit")
    assert TOKEN.encode() not in explained.body + other.body


@awaited
async def test_what_is_not_the_token_reaches_the_app_as_a_field_that_nobody_knows():
    serial_app = serial_of(echoing, cache_ttl=60, **WITH_TOKEN)
    answer = await ask(serial_app, GET.having(asgi_serial_why="of an attacker"))
    assert answer.one("cache-status").endswith("request-has-unknown-field:asgi-serial-why")
    assert b"attacker" not in (await ask(serial_app, GET)).body


@awaited
async def test_without_a_token_debug_leaves_the_field_to_the_app():
    answer = await ask(serial_of(echoing, debug=True), local(asgi_serial_why="a word"))
    assert is_explained(answer)
    assert b"asgi-serial-why" in answer.body


def test_a_string_is_escaped_and_keeps_to_its_characters():
    """RFC 9651, 4.1.6."""
    item = format_item("cache", {"did": Token("a"), "text": 'a"b\\c\r\nd\u00e9'})
    assert item == r'cache;did=a;text="a\"b\\cd"'
