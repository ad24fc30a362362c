"""Few values of a field in Vary: the app sees the one that is chosen, and few variants are kept."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_serial import set_policy
from asgi_serial.http.choices import choose_language

from .driver import Clock, Request, ask, awaited, serial_of, settled
from .making import JSON
from .shared_store import SharedStore

OFFERED = ("en", "de", "fr")
NORMALIZED = {"cache_vary_normalize": {"accept-language": OFFERED}}
TEXTS = {"en": "Hello", "de": "Hallo", "fr": "Bonjour"}
FRESH = (b"cache-control", b"max-age=60")


def lines_of(scope, name=b"accept-language"):
    return [value for other, value in scope["headers"] if other == name]


class Site:
    """An app in three languages, which says what it was shown and numbers its responses.

    It reads the field as apps do: it takes the first range that it knows.
    """

    def __init__(self, *fields, vary=b"Accept-Language", name=b"accept-language"):
        self.fields, self.vary, self.name = list(fields) or [FRESH], vary, name
        self.calls = 0
        self.status = 200
        self.gate = None

    async def __call__(self, scope, receive, send):
        self.calls += 1
        if scope["method"] == "POST":
            await receive()
        shown = b", ".join(lines_of(scope, self.name)).decode("latin-1")
        language = choose_language(tuple(one.encode() for one in OFFERED), shown.encode("latin-1"))
        etag = b'"%s"' % language
        if self.gate is not None:
            await self.gate.wait()
        status = self.status
        if status == 200 and dict(scope["headers"]).get(b"if-none-match") == etag:
            status = 304
        fields = [JSON, (b"etag", etag), (b"content-language", language), *self.fields]
        if self.vary:
            fields.append((b"vary", self.vary))
        document = {"text": TEXTS[language.decode()], "shown": shown}
        body = b"" if status == 304 else json.dumps(document).encode()
        if status == 200 and scope["method"] == "GET":
            fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})


def asking(value, **more):
    made = Request(**more)
    return made if value is None else made.having(accept_language=value)


async def shown_to(serial_app, request):
    return (await ask(serial_app, request)).document["shown"]


@awaited
async def test_a_thousand_values_make_as_many_variants_as_are_offered():
    site = Site()
    serial_app = serial_of(site, **NORMALIZED)
    for number in range(1000):
        value = f"{OFFERED[number % 3]}-{number:04}, x{number % 7}-a;q=0.{number % 9}"
        answer = await ask(serial_app, asking(value))
        assert answer.document == {
            "text": TEXTS[OFFERED[number % 3]],
            "shown": OFFERED[number % 3],
        }
    assert site.calls == 3
    for value in (None, "", "nl", "*", "\xff"):
        assert await shown_to(serial_app, asking(value)) == "en"
    assert site.calls == 3


@pytest.mark.parametrize("vary", [b"Accept-Language", b"accept-language, Accept", b"Origin", b""])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("de-CH, de;q=0.9", "de"),
        ("DE", "de"),
        ("nl, it;q=0.2", "en"),
        (None, "en"),
        ("", "en"),
        ("fr" + ", x" * 5_000, "fr"),
    ],
)
@awaited
async def test_the_app_sees_what_is_chosen(value, shown, vary):
    serial_app = serial_of(Site(vary=vary), **NORMALIZED)
    for _ in range(2):
        assert await shown_to(serial_app, asking(value)) == shown


@awaited
async def test_several_lines_are_one_list():
    """RFC 9110, 5.3."""
    site = Site()
    serial_app = serial_of(site, **NORMALIZED)
    lines = Request(fields=(("accept-language", "nl"), ("x", "1"), ("accept-language", "de")))
    seen = []

    async def outer(scope, receive, send):
        await serial_app(scope, receive, send)
        seen.append(lines_of(scope))

    assert await shown_to(outer, lines) == "de"
    assert await shown_to(serial_app, asking("de")) == "de"
    assert (site.calls, seen) == (1, [[b"nl", b"de"]])


def is_as_sent(**more):
    return asking("de-CH, de;q=0.9", **more)


AS_SENT = {
    "no-store": is_as_sent().having(cache_control="no-store"),
    "POST": is_as_sent(method="POST", body=(b"{}",)).having(content_length="2"),
    "PUT": is_as_sent(method="PUT"),
    "DELETE": is_as_sent(method="DELETE"),
    "OPTIONS": is_as_sent(method="OPTIONS"),
    "a session": is_as_sent().having(cookie="session=1"),
    "Authorization": is_as_sent().having(authorization="Basic eDp5"),
    "an API key": is_as_sent().having(x_api_key="1"),
    "a body": is_as_sent(body=(b"{}",)).having(content_length="2"),
    "routed elsewhere": is_as_sent().having(x_forwarded_host="b.example"),
}


@pytest.mark.parametrize("request_", AS_SENT.values(), ids=AS_SENT)
@pytest.mark.parametrize("said", [b"max-age=60", b"public, max-age=60", b"private", b"no-store"])
@awaited
async def test_a_request_that_passes_shows_what_was_sent_and_stores_nothing(request_, said):
    site = Site((b"cache-control", said))
    serial_app = serial_of(site, **NORMALIZED)
    for number in range(1, 3):
        assert await shown_to(serial_app, request_) == "de-CH, de;q=0.9"
        assert site.calls == number
    assert serial_app.engine.responses.stored == 0


@pytest.mark.parametrize("policy", [{"cache": False}, {"skip": lambda scope: True}])
@awaited
async def test_a_route_without_a_cache_shows_what_was_sent(policy):
    serial_app = serial_of(Site(), routes={"/": policy}, **NORMALIZED)
    assert await shown_to(serial_app, asking("de-CH")) == "de-CH"


@awaited
async def test_what_is_public_is_sent_to_those_with_credentials_in_their_language():
    site = Site((b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(site, **NORMALIZED)
    for value in ("de", "fr", "en"):
        await ask(serial_app, asking(value))
    for value, text in [("de-CH", "Hallo"), ("fr-CA, en", "Bonjour"), ("nl", "Hello")]:
        answer = await ask(serial_app, asking(value).having(cookie="session=1"))
        assert (answer.document["text"], answer.cached) == (text, "hit")


@awaited
async def test_a_public_response_is_stored_from_credentials_that_ask_for_it_exactly():
    site = Site((b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(site, **NORMALIZED)
    await ask(serial_app, asking("de").having(cookie="session=1"))
    assert (await ask(serial_app, asking("de-CH"))).cached == "hit"


@awaited
async def test_a_stale_public_response_is_confirmed_by_a_request_with_credentials():
    clock = Clock()
    site = Site((b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(site, clock=clock, **NORMALIZED)
    await ask(serial_app, asking("de"))
    clock.now += 100
    answer = await ask(serial_app, asking("de-CH").having(cookie="session=1"))
    assert answer.document == {"text": "Hallo", "shown": "de"}
    assert (await ask(serial_app, asking("de-AT"))).cached == "hit"


@awaited
async def test_a_route_that_is_shared_shows_what_is_chosen():
    site = Site()
    serial_app = serial_of(site, routes={"/": {"cache_shared": True}}, **NORMALIZED)
    assert await shown_to(serial_app, asking("de-CH").having(cookie="session=1")) == "de"
    assert (await ask(serial_app, asking("de-AT").having(cookie="session=2"))).cached == "hit"


@awaited
async def test_a_users_own_responses_are_kept_by_the_chosen_value():
    site = Site((b"cache-control", b"private, max-age=60"))
    policy = {"cache_partition": "cookie:session"}
    serial_app = serial_of(site, routes={"/": policy}, **NORMALIZED)
    for value in ("de-CH", "de-AT", "DE, en"):
        assert await shown_to(serial_app, asking(value).having(cookie="session=1")) == "de"
    assert site.calls == 1


@awaited
async def test_a_field_of_the_key_counts_by_its_chosen_value():
    site = Site(vary=b"")
    serial_app = serial_of(site, cache_key_fields="accept-language", **NORMALIZED)
    for number in range(100):
        await ask(serial_app, asking(f"de-{number:04}"))
    assert (await ask(serial_app, asking("en"))).document["text"] == "Hello"
    assert site.calls == 2


@awaited
async def test_the_outside_keeps_its_fields():
    site, seen = Site(), []
    serial_app = serial_of(site, **NORMALIZED)

    async def outer(scope, receive, send):
        given_ = scope["headers"]

        async def watch(message):
            seen.append(lines_of(scope))
            await send(message)

        await serial_app(scope, receive, watch)
        seen.append(scope["headers"] is given_)

    await ask(outer, asking("de-CH"))
    assert seen[-1] is True
    site.fields = [(b"cache-control", b"no-store")]
    seen.clear()
    await ask(outer, asking("de-CH", path="/unstored"))
    assert seen == [[b"de-CH"], [b"de-CH"], True]


@pytest.mark.parametrize("value", ["de-CH", None])
@awaited
async def test_what_the_app_changes_in_its_fields_stays(value):
    class Changing(Site):
        async def __call__(self, scope, receive, send):
            scope["headers"] = [*scope["headers"], (b"x-by-app", b"1")]
            await super().__call__(scope, receive, send)

    serial_app = serial_of(Changing((b"cache-control", b"no-store")), **NORMALIZED)
    scope = asking(value).make_scope()
    given_ = [*scope["headers"]]

    async def send(message):
        pass

    await serial_app(scope, Request().make_receive(), send)
    assert sorted(scope["headers"]) == sorted([*given_, (b"x-by-app", b"1")])


@awaited
async def test_a_followers_language_is_its_own():
    site = Site()
    site.gate = asyncio.Event()
    serial_app = serial_of(site, cache_ttl=60, **NORMALIZED)
    values = ["en-GB", "de-CH", "fr-CA", "de-AT", "en-US", "fr", "nl", "de"]
    asked = [asyncio.create_task(ask(serial_app, asking(value))) for value in values]
    await settled()
    assert site.calls == 1
    site.gate.set()
    texts = [(await one).document["text"] for one in asked]
    expected = [TEXTS.get(value[:2], "Hello") for value in values]
    assert texts == expected
    assert site.calls <= 3


@awaited
async def test_a_response_in_the_other_spelling_is_not_stored():
    """An app behind WSGI reads both `Accept-Language` and `Accept_Language`."""
    site = Site()
    serial_app = serial_of(site, **NORMALIZED)
    for number in range(1, 3):
        await ask(
            serial_app, Request(fields=(("accept_language", "fr"), ("accept-language", "de")))
        )
        assert site.calls == number
    assert (await ask(serial_app, asking("de"))).cached == "fwd=uri-miss, stored"


@awaited
async def test_an_upload_that_turns_out_to_be_cached_is_stored_once_it_was_shown_the_choice():
    class Searching(Site):
        async def __call__(self, scope, receive, send):
            set_policy(cache_body=True)
            await super().__call__(scope, receive, send)

    serial_app = serial_of(Searching(), **NORMALIZED)
    posted = asking("de-CH", method="POST", body=(b"{}",)).having(content_length="2")
    assert await shown_to(serial_app, posted) == "de-CH"
    assert await shown_to(serial_app, posted) == "de"
    again = asking("de-AT", method="POST", body=(b"{}",)).having(content_length="2")
    assert (await ask(serial_app, again)).cached == "hit"


@awaited
async def test_a_response_to_a_post_that_saw_another_value_is_not_stored_for_get():
    site = Site(FRESH, (b"content-location", b"/"))
    serial_app = serial_of(site, cache_posted=True, **NORMALIZED)
    posted = asking("de-CH", method="POST", body=(b"{}",)).having(content_length="2")
    assert await shown_to(serial_app, posted) == "de-CH"
    assert await shown_to(serial_app, asking("de")) == "de"
    exact = asking("fr", method="POST", body=(b"{}",)).having(content_length="2")
    await ask(serial_app, exact)
    assert (await ask(serial_app, asking("fr-CA"))).document["text"] == "Bonjour"


@awaited
async def test_a_stale_response_is_refreshed_in_its_language():
    clock = Clock()
    site = Site((b"cache-control", b"max-age=60, stale-while-revalidate=600"))
    serial_app = serial_of(site, clock=clock, **NORMALIZED)
    for value in ("de-CH", "fr"):
        await ask(serial_app, asking(value))
    clock.now += 100
    assert (await ask(serial_app, asking("de-AT"))).document["text"] == "Hallo"
    await settled()
    assert site.calls == 3
    answer = await ask(serial_app, asking("de"))
    assert (answer.document["shown"], answer.cached) == ("de", "hit")


@awaited
async def test_warming_without_the_field_stores_the_default():
    site = Site()
    serial_app = serial_of(site, **NORMALIZED)
    await serial_app.warm(["http://example.org/"])
    await serial_app.warm(["http://example.org/"], headers={"Accept-Language": "de-CH"})
    assert (await ask(serial_app, asking("en-GB"))).cached == "hit"
    assert (await ask(serial_app, asking("de"))).cached == "hit"
    assert site.calls == 2


@awaited
async def test_another_field_has_one_of_its_values():
    site = Site(vary=b"X-Country", name=b"x-country")
    offers = {"x-country": ["US", "DE"]}
    serial_app = serial_of(site, cache_vary_normalize=offers)
    for value, shown in [("de", "DE"), ("DE", "DE"), ("fr", "US"), ("US", "US"), (None, "US")]:
        made = Request() if value is None else Request().having(x_country=value)
        assert await shown_to(serial_app, made) == shown
    assert site.calls == 2


@awaited
async def test_an_unknown_field_is_still_no_reason_to_share_by_a_lifetime_of_ours():
    """Without Vary the app may answer by it, whatever few values it has."""
    site = Site((b"x", b"1"), vary=b"", name=b"x-country")
    offers = {"x-country": ["US", "DE"]}
    serial_app = serial_of(site, cache_ttl=60, cache_vary_normalize=offers)
    await ask(serial_app, Request().having(x_country="DE"))
    assert (await ask(serial_app, Request().having(x_country="US"))).cached != "hit"


@awaited
async def test_without_the_setting_each_value_is_its_own():
    site = Site()
    serial_app = serial_of(site)
    for value in ("de-CH", "de-AT"):
        assert await shown_to(serial_app, asking(value)) == value
    assert site.calls == 2


VALUES = st.sampled_from(
    [None, "", "de", "de-CH, en;q=0.5", "en-GB", "fr, de;q=0.9", "nl, de;q=0.1", "*", "en;q=0", "x"]
)
FURTHER = st.sampled_from(
    [
        {},
        {"range": "bytes=0-9"},
        {"if_none_match": '"de"'},
        {"cache_control": "no-cache"},
        {"cache_control": "no-store"},
        {"cache_control": "max-stale=1000"},
        {"cookie": "session=1"},
        {"cookie": "_ga=1"},
        {"authorization": "Basic eDp5"},
        {"accept": "application/msgpack"},
        {"accept_encoding": "br"},
    ]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
        VALUES,
        FURTHER,
        st.sampled_from([0, 1]),  # the process
        st.sampled_from([0, 0, 1, 70, 200]),  # seconds
        st.sampled_from([200, 200, 200, 503]),
    ),
    min_size=1,
    max_size=12,
)
SAID = st.sampled_from(
    [
        b"max-age=60",
        b"public, max-age=60",
        b"max-age=60, stale-while-revalidate=100, stale-if-error=300",
        b"public, max-age=60, stale-if-error=300",
        b"private, max-age=60",
    ]
)


@settings(max_examples=150)
@given(SAID, STEPS, st.booleans())
def test_everybody_gets_their_language_and_nothing_stored_has_seen_another_value(
    said, steps, has_parts
):
    """In two processes with a second level: hits, stale ones, refreshes, ranges, HEAD, POST."""

    async def run():
        store, clock, site = SharedStore(), Clock(), Site((b"cache-control", said))
        options = {"store": store, "clock": clock, "cache_parts": has_parts, **NORMALIZED}
        processes = [serial_of(site, **options) for _ in range(2)]
        for method, value, further, process, seconds, status in steps:
            clock.now += seconds
            site.status = status
            calls = site.calls
            request = asking(value, method=method).having(**further)
            answer = await ask(processes[process], request)
            wanted = choose_language(tuple(one.encode() for one in OFFERED), (value or "").encode())
            if answer.status in (200, 206):
                assert answer.one("content-language") == wanted.decode()
            elif answer.status == 304:
                assert answer.one("etag")[1:3] == wanted.decode()
            if answer.document and answer.status == 200:
                shown = answer.document["shown"]
                assert answer.document["text"] == TEXTS[wanted.decode()]
                if site.calls == calls or "stored" in (answer.one("cache-status") or ""):
                    assert shown == wanted.decode()
                elif "cookie" not in further:
                    assert shown in (wanted.decode(), value or "")
            await settled(20)
            await processes[process].engine.responses.flush()

    asyncio.run(asyncio.wait_for(run(), 300))
