"""Whatever field tells the app who asks: by a lifetime of ours nobody gets another's answer."""

import asyncio
from email.utils import formatdate
from typing import Any, NamedTuple

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from starlette.authentication import AuthCredentials, SimpleUser, UnauthenticatedUser

from asgi_serial import set_policy
from asgi_serial.asgi.warming import warm
from asgi_serial.http.request_fields import Meaning, meaning_of

from .client import understand
from .driver import Clock, Request, ask, awaited, drive, find_faults, serial_of
from .shared_store import SharedStore

NOBODY = "nobody"
NAMES = st.one_of(
    st.sampled_from(
        [
            *("x-token", "x-ms-client-principal", "tailscale-user-login", "x-consumer-id"),
            *("x_token", "X-Token", "User_Id", "cookie2", "x-user-id", "x_api_key", "baggage"),
            *("user_agent", "Accept-Language", "sec-session-id", "x-forwarded-user-id", "from"),
            *("x-origin-host", "x-client-ip", "Cookie", "AUTHORIZATION"),
        ]
    ),
    st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True),
).filter(lambda name: meaning_of(name.encode()) is not Meaning.HARMLESS)


class Manner(NamedTuple):
    """How the app answers; it says nothing by which its answers are anybody else's."""

    control: str
    tag: str  # "own", or "row": the same for all
    is_dated: bool
    varies: bool
    status: int
    by_handler: bool  # the lifetime is the handler's
    in_pieces: bool


MANNERS = st.builds(
    Manner,
    control=st.sampled_from(
        [
            *("", "must-revalidate", "immutable", "stale-while-revalidate=90"),
            *("stale-if-error=90", "no-cache", "proxy-revalidate", 'no-cache="x-a"'),
        ]
    ),
    tag=st.sampled_from(["", "own", "row"]),
    is_dated=st.booleans(),
    varies=st.booleans(),
    status=st.sampled_from([200, 200, 200, 301, 404, 410]),
    by_handler=st.booleans(),
    in_pieces=st.booleans(),
)


class Site:
    """An app that knows its users by one field, and says in each answer for whom it is."""

    def __init__(self, name: str, manner: Manner) -> None:
        self.name = name.encode()
        self.manner = manner
        self.trouble = ""
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        manner, fields = self.manner, dict(scope["headers"])
        if manner.by_handler:
            set_policy(cache_ttl=60)
        await asyncio.sleep(0)
        if self.trouble == "raises":
            raise RuntimeError("the app is broken")
        owner = fields.get(self.name, NOBODY.encode())
        tag = b'"%s"' % (owner if manner.tag == "own" else b"row")
        headers = [(b"content-type", b"text/plain"), (b"x-owner", owner)]
        headers += [(b"cache-control", manner.control.encode())] * bool(manner.control)
        headers += [(b"vary", self.name)] * manner.varies
        headers += [(b"etag", tag)] * bool(manner.tag)
        dated = formatdate(1_700_000_000, usegmt=True).encode()
        headers += [(b"last-modified", dated)] * manner.is_dated
        status, body = manner.status, b"account of %s " % owner * 60
        if self.trouble:
            status = int(self.trouble)
        elif status == 200 and manner.tag and fields.get(b"if-none-match") == tag:
            status, body = 304, b""
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if manner.in_pieces:
            await send({"type": "http.response.body", "body": body[:7], "more_body": True})
            await asyncio.sleep(0)
            body = body[7:]
        await send({"type": "http.response.body", "body": body})


# Who grants the lifetime; the handler may do so as well.
GRANTS = [
    {"cache_ttl": 60},
    {"routes": {"/a": {"cache_ttl": 60}}},
    {"cache_heuristic": True},
    {"cache_negative_ttl": 60, "cache_heuristic": True},
    {},
]
SETTINGS = st.builds(
    lambda grant, more: {**grant, **more},
    st.sampled_from(GRANTS),
    st.fixed_dictionaries(
        {},
        optional={
            "cache_grace": st.just(90),
            "cache_stale_if_error": st.just(90),
            "cache_confirm": st.just(True),
            "cache_parts": st.just(True),
        },
    ),
)


class Step(NamedTuple):
    """What one client asks for, or what happens before others do."""

    who: str
    method: str = "GET"
    more: tuple[tuple[str, str], ...] = ()
    process: int = 0
    seconds: int = 0
    trouble: str = ""
    with_next: bool = False  # at the same time
    by_warming: bool = False


STEPS = st.lists(
    st.builds(
        Step,
        who=st.sampled_from([NOBODY, NOBODY, "alice", "bob", ""]),
        method=st.sampled_from(["GET", "GET", "GET", "HEAD"]),
        more=st.lists(
            st.sampled_from(
                [
                    *(("range", "bytes=0-9"), ("cache-control", "max-stale=600")),
                    *(("cache-control", "no-cache"), ("cache-control", "only-if-cached")),
                    *(("accept-encoding", "gzip"), ("if-none-match", '"row"')),
                ]
            ),
            max_size=2,
            unique_by=lambda field: field[0],
        ).map(tuple),
        process=st.integers(0, 1),
        seconds=st.sampled_from([0, 0, 0, 30, 70, 200]),
        trouble=st.sampled_from(["", "", "", "", "503", "raises"]),
        with_next=st.booleans(),
        by_warming=st.sampled_from([False] * 7 + [True]),
    ),
    min_size=2,
    max_size=10,
)


async def ask_as(app: Any, site: Site, step: Step) -> str:
    """Ask, and give whose answer came; "" where the client is told nothing of anybody."""
    identity = () if step.who == NOBODY else ((site.name.decode(), step.who),)
    request = Request(step.method, path="/a", fields=identity + step.more)
    recording = await drive(app, request)
    if recording.error is not None:
        return ""
    assert find_faults(recording, request) == []
    answer = understand(recording)
    if answer.status in (304, 504):
        return ""
    owner = answer.one("x-owner")
    assert owner is not None
    if step.method == "GET" and answer.status != 206:
        assert answer.content == b"account of %s " % owner.encode() * 60
    event(f"{(answer.one('cache-status') or 'uncached').split('=')[0]}")
    return f"to {step.who}: for {owner}"


@given(NAMES, MANNERS, SETTINGS, STEPS, st.booleans())
def test_nobody_is_given_an_answer_to_another_value_of_a_field(
    name: str, manner: Manner, settings: dict[str, Any], steps: list[Step], is_shared: bool
) -> None:
    """HEAD, parts, conditions, stale answers, crowds, refreshes and the second level included."""

    async def run() -> None:
        clock, site = Clock(), Site(name, manner)
        store = SharedStore() if is_shared else None
        serials = [serial_of(site, clock=clock, store=store, **settings) for _ in range(2)]
        crowd: list[Any] = []
        told: list[str] = []
        for step in steps:
            clock.now += step.seconds
            site.trouble = step.trouble
            serial = serials[step.process]
            if step.by_warming:
                headers = {} if step.who == NOBODY else {name: step.who}
                await warm(serial, ["http://example.org/a"], headers=headers)
            crowd.append(asyncio.ensure_future(ask_as(serial, site, step)))
            if not step.with_next:
                told += await asyncio.gather(*crowd)
                crowd.clear()
                for _ in range(20):  # what goes on behind the answers
                    await asyncio.sleep(0)
        told += await asyncio.gather(*crowd)
        for one in filter(None, told):
            who, owner = one.removeprefix("to ").split(": for ")
            assert who == owner, one

    asyncio.run(asyncio.wait_for(run(), 60))


PLAIN = Manner("", "", is_dated=False, varies=False, status=200, by_handler=False, in_pieces=False)


def said(answer: Any) -> str:
    return answer.one("cache-status").removeprefix("asgi_serial; ")


def asked_by(who: str, name: str = "x-token") -> Request:
    return Request(path="/a", fields=((name, who),))


@awaited
async def test_a_field_that_nobody_knows_keeps_a_request_out_of_a_lifetime_of_ours():
    """The line names the field, whoever came first."""
    serial = serial_of(Site("x-token", PLAIN), cache_ttl=60)
    out = "detail=request-has-unknown-field:x-token"
    assert said(await ask(serial, asked_by("alice"))) == f"fwd=uri-miss; {out}"
    assert said(await ask(serial, Request(path="/a"))) == "fwd=uri-miss; stored"
    assert said(await ask(serial, asked_by("alice"))) == f"fwd=bypass; {out}"
    assert said(await ask(serial, Request(path="/a"))) == "hit; ttl=60"


@pytest.mark.parametrize("more", [(), (("range", "bytes=0-9"),), (("x-api-key", "k"),)])
@awaited
async def test_what_else_a_request_says_is_heard_beside_an_unknown_field(more):
    serial = serial_of(Site("x-other", PLAIN._replace(control="max-age=60")))
    await ask(serial, Request(path="/a"))
    answer = await ask(serial, Request(path="/a", fields=(("x-token", "t"), *more)))
    lines = {"": "hit; ttl=60", "x-api-key": "fwd=bypass; detail=request-has-credentials"}
    assert said(answer) == lines.get(more[0][0] if more else "", "hit; ttl=60")
    assert answer.status == (206 if more and more[0][0] == "range" else 200)


BROWSER = (
    *(("user-agent", "Mozilla/5.0"), ("accept", "*/*"), ("accept-language", "de")),
    *(("accept-encoding", "gzip, br"), ("dnt", "1"), ("sec-gpc", "1"), ("sec-ch-ua", '"x"')),
    *(("sec-fetch-site", "same-origin"), ("sec-ch-ua-arch", '"x86"'), ("priority", "u=1")),
    *(("referer", "https://example.org/"), ("upgrade-insecure-requests", "1")),
    *(("x-forwarded-for", "192.0.2.1"), ("x-real-ip", "192.0.2.1"), ("via", "1.1 proxy")),
    *(("x-forwarded-proto", "https"), ("x-request-id", "7"), ("traceparent", "00-a-b-01")),
)


@awaited
async def test_a_browser_behind_a_proxy_is_answered_by_a_lifetime_of_ours():
    serial = serial_of(Site("x-token", PLAIN), cache_ttl=60)
    for line in ("fwd=uri-miss; stored", "hit; ttl=60"):
        assert said(await ask(serial, Request(path="/a", fields=BROWSER))) == line


@pytest.mark.parametrize("control", ["max-age=60", "public", "s-maxage=60"])
@awaited
async def test_a_response_that_speaks_for_itself_is_for_all(control):
    """RFC 9111, 4: a lifetime that the response states holds whatever else the request carries."""
    serial = serial_of(Site("x-other", PLAIN._replace(control=control)), cache_ttl=60)
    await ask(serial, asked_by("alice"))
    assert said(await ask(serial, asked_by("bob"))) == "hit; ttl=60"


@pytest.mark.parametrize(
    "settings",
    [
        {"routes": {"/a": {"cache_shared": True}}},
        {"cache_ignore_fields": "X-Token"},
        {"routes": {"/a": {"cache_partition": lambda scope: "all"}}},
    ],
)
@awaited
async def test_who_runs_the_app_may_say_that_a_field_does_not_matter(settings):
    serial = serial_of(Site("x-other", PLAIN), cache_ttl=60, **settings)
    await ask(serial, asked_by("alice"))
    assert said(await ask(serial, asked_by("bob"))) == "hit; ttl=60"


@pytest.mark.parametrize(
    "settings",
    [
        {"cache_key_fields": "x-token"},
        {"routes": {"/a": {"cache_partition": "x-token"}}},
    ],
)
@awaited
async def test_a_field_that_is_keyed_tells_the_answers_apart(settings):
    serial = serial_of(site := Site("x-token", PLAIN), cache_ttl=60, **settings)
    for _ in range(2):
        for who in ("alice", "bob"):
            assert (await ask(serial, asked_by(who))).one("x-owner") == who
    assert site.calls == 2


@awaited
async def test_what_the_app_varies_on_is_compared_and_is_no_reason():
    serial = serial_of(site := Site("x-token", PLAIN._replace(varies=True)), cache_ttl=60)
    for _ in range(2):
        for who in ("alice", "bob"):
            assert (await ask(serial, asked_by(who))).one("x-owner") == who
    assert site.calls == 2
    other = Request(path="/a", fields=(("x-token", "alice"), ("x-role", "admin")))
    assert said(await ask(serial, other)) == "fwd=bypass; detail=request-has-unknown-field:x-role"


@awaited
async def test_a_partition_is_not_lifted_by_its_field_for_others():
    serial = serial_of(
        Site("x-role", PLAIN), cache_ttl=60, routes={"/a": {"cache_partition": "cookie:sid"}}
    )
    for role in ("admin", "guest"):
        asked = Request(path="/a", fields=(("cookie", "sid=1"), ("x-role", role)))
        assert (await ask(serial, asked)).one("x-owner") == role


@awaited
async def test_a_request_with_such_a_field_does_not_wait_for_anothers_call():
    gate = asyncio.Event()
    asked = []

    async def app(scope, receive, send):
        asked.append(dict(scope["headers"]).get(b"x-token", b"nobody"))
        await gate.wait()
        await Site("x-token", PLAIN)(scope, receive, send)

    serial = serial_of(app, cache_ttl=60)
    crowd = [Request(path="/a")] * 3 + [asked_by("alice"), asked_by("bob")]
    asking = [asyncio.ensure_future(ask(serial, each)) for each in crowd]
    for _ in range(20):
        await asyncio.sleep(0)
    assert sorted(asked) == [b"alice", b"bob", b"nobody"]
    gate.set()
    answers = [await each for each in asking]
    assert [one.one("x-owner") for one in answers] == [NOBODY] * 3 + ["alice", "bob"]


class Lazy:
    """A user that can not be had now."""

    @property
    def is_authenticated(self):
        raise RuntimeError("no database here")

    scopes = is_authenticated


def with_tls(**tls):
    return {"extensions": {"tls": {"client_cert_chain": [], "client_cert_name": None, **tls}}}


KNOWN = {
    "a certificate's name": with_tls(client_cert_name="CN=alice"),
    "a certificate": with_tls(client_cert_chain=["-----BEGIN CERTIFICATE-----"]),
    "a user": {"user": SimpleUser("alice")},
    "a user of an unknown kind": {"user": object()},
    "a user by name": {"user": "alice"},
    "a user who can not be asked": {"user": Lazy()},
    "what a user may do": {"user": UnauthenticatedUser(), "auth": AuthCredentials(["admin"])},
    "a token": {"user": None, "auth": "token"},
    "rights that can not be asked for": {"auth": Lazy()},
}
UNKNOWN = {
    "no certificate": with_tls(),
    "no such extension": {"extensions": {"http.response.pathsend": {}}},
    "TLS without more": {"extensions": {"tls": None}},
    "no extensions": {"extensions": None},
    "nobody": {"user": UnauthenticatedUser(), "auth": AuthCredentials()},
    "nobody in Litestar": {"user": None, "auth": None},
}


@pytest.mark.parametrize("scope", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("control", ["", "max-age=60"])
@awaited
async def test_a_client_that_is_known_otherwise_has_credentials(scope, control):
    """ASGI's TLS extension; `user` and `auth` as an outer AuthenticationMiddleware sets them."""
    serial = serial_of(Site("x-token", PLAIN._replace(control=control)), cache_ttl=60)
    asked = Request(path="/a", scope=scope)
    out = "detail=request-has-credentials"
    assert said(await ask(serial, asked)) == f"fwd=uri-miss; {out}"
    assert said(await ask(serial, Request(path="/a"))) == "fwd=uri-miss; stored"
    assert said(await ask(serial, asked)) == f"fwd=bypass; {out}"


@pytest.mark.parametrize("scope", UNKNOWN.values(), ids=UNKNOWN)
@awaited
async def test_a_client_that_nobody_knows_has_none(scope):
    serial = serial_of(Site("x-token", PLAIN), cache_ttl=60)
    for line in ("fwd=uri-miss; stored", "hit; ttl=60"):
        assert said(await ask(serial, Request(path="/a", scope=scope))) == line


@pytest.mark.parametrize("scope", KNOWN.values(), ids=KNOWN)
@awaited
async def test_public_is_for_those_too(scope):
    serial = serial_of(Site("x-token", PLAIN._replace(control="public")), cache_ttl=60)
    asked = Request(path="/a", scope=scope)
    for line in ("fwd=uri-miss; stored", "hit; ttl=60"):
        assert said(await ask(serial, asked)) == line


@awaited
async def test_a_certificate_is_not_lifted_by_a_cookie_but_by_a_function():
    alice, bob = (
        Request(path="/a", fields=(("cookie", "sid=1"),), scope=with_tls(client_cert_name=name))
        for name in ("CN=alice", "CN=bob")
    )
    routes = {"/a": {"cache_partition": "cookie:sid"}}
    serial = serial_of(Site("x-token", PLAIN), cache_ttl=60, routes=routes)
    await ask(serial, alice)
    assert said(await ask(serial, bob)).endswith("detail=request-has-credentials")

    def certified(scope):
        return scope["extensions"]["tls"]["client_cert_name"]

    routes = {"/a": {"cache_partition": certified}}
    serial = serial_of(Site("x-token", PLAIN), cache_ttl=60, routes=routes)
    assert [said(await ask(serial, one)) for one in (alice, bob, alice)] == [
        "fwd=uri-miss; stored",
        "fwd=uri-miss; stored",
        "hit; ttl=60",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("X_Forwarded_Host", "x_forwarded_host", "X-Forwarded-Host", "x_original-url"),
        *("x-forwarded-ssl", "Front_End_Https", "wl-proxy-ssl", "cf-visitor", "x-arr-ssl"),
        *("X_HTTP_METHOD_OVERRIDE", "x_forwarded_proto", "Host", "Origin", "X_Shop"),
    ],
)
@awaited
async def test_what_may_route_elsewhere_keeps_a_request_out_in_every_spelling(name):
    """Also where the response states its own lifetime, or is for all."""
    manner = PLAIN._replace(control="public, max-age=60")
    serial = serial_of(Site(name, manner), cache_key_fields="x-shop")
    asked = asked_by("evil.example", name)
    expected = f"fwd=bypass; detail=request-has-unkeyed-field:{name}"
    assert said(await ask(serial, asked)) == expected
    assert said(await ask(serial, Request(path="/a"))) == "fwd=uri-miss; stored"
    assert said(await ask(serial, asked)) == expected


@pytest.mark.parametrize("name", ["X_Lang", "x_lang", "X-LANG"])
@awaited
async def test_what_the_app_varies_on_in_another_spelling_keeps_a_request_out(name):
    """RFC 9111, 4.1: an app behind WSGI reads in `X_Lang` what it says it varies on."""
    serial = serial_of(Site(name, PLAIN._replace(control="max-age=60", varies=True)))
    serial.app.name = b"x-lang"
    out = f"detail=request-has-unkeyed-field:{'x-lang'}"
    assert said(await ask(serial, asked_by("de", name))) == f"fwd=uri-miss; {out}"
    assert said(await ask(serial, Request(path="/a"))) == "fwd=uri-miss; stored"
    assert said(await ask(serial, asked_by("de", name))) == f"fwd=bypass; {out}"


@awaited
async def test_a_name_that_is_no_bytes_keeps_a_request_out():
    """Against ASGI; apps are known to be tested with such scopes."""
    serial = serial_of(Site("x-token", PLAIN._replace(control="max-age=60")))
    asked = Request(path="/a", scope={"headers": [(b"host", b"a"), ("x-token", b"t")]})
    expected = "fwd=bypass; detail=request-has-unkeyed-field:'x-token'"
    assert said(await ask(serial, asked)) == expected


@pytest.mark.parametrize("name", ["x_api_key", "X-API-Key", "Cookie", "X_Remote_User"])
@awaited
async def test_who_asks_in_another_spelling_has_credentials(name):
    serial = serial_of(Site(name, PLAIN._replace(control="max-age=60")))
    for who in ("alice", "bob"):
        answer = await ask(serial, asked_by(who, name))
        assert answer.one("x-owner") == who
        assert said(answer).endswith("detail=request-has-credentials")


@awaited
async def test_a_partition_is_not_entered_by_another_spelling_of_its_field():
    routes = {"/a": {"cache_partition": "x-user-id", "cache_ttl": 60}}
    serial = serial_of(site := Site("x_user_id", PLAIN), routes=routes)
    for who in ("alice", "bob", "alice"):
        asked = Request(path="/a", fields=(("x-user-id", "eve"), ("x_user_id", who)))
        assert (await ask(serial, asked)).one("x-owner") == who
    assert site.calls == 3


@pytest.mark.parametrize("name", ["x_shop", "x-shop"])
@awaited
async def test_a_part_of_the_key_that_is_named_with_an_underscore_is_read_in_both_spellings(name):
    serial = serial_of(site := Site(name, PLAIN), cache_ttl=60, cache_key_fields="X_Shop")
    for _ in range(2):
        for who in ("a", "b"):
            assert (await ask(serial, asked_by(who, name))).one("x-owner") == who
    assert site.calls == 2


@pytest.mark.parametrize("name", ["x" * 65, "x(y)", "é"])
@awaited
async def test_a_name_that_is_long_or_no_token_is_not_shown(name):
    serial = serial_of(Site(name, PLAIN), cache_ttl=60)
    answer = await ask(serial, asked_by("alice", name))
    assert said(answer) == "fwd=uri-miss; detail=request-has-unknown-field"


@pytest.mark.parametrize("setting", [{}, {"cache_ttl": 60}])
@awaited
async def test_too_many_fields_that_nobody_knows_keep_a_request_out(setting):
    serial = serial_of(Site("x-token", PLAIN._replace(control="public, max-age=60")), **setting)
    asked = Request(path="/a", fields=tuple((f"x-{number}", "a") for number in range(257)))
    assert said(await ask(serial, asked)) == "fwd=bypass; detail=request-has-unkeyed-field"
    assert said(await ask(serial, Request(path="/a"))) == "fwd=uri-miss; stored"
    assert said(await ask(serial, asked)) == "fwd=bypass; detail=request-has-unkeyed-field"
    fewer = Request(path="/a", fields=asked.fields[1:])
    assert said(await ask(serial, fewer)).startswith("hit")


@awaited
async def test_the_log_names_the_field(caplog):
    caplog.set_level("DEBUG", "asgi_serial")
    await ask(serial_of(Site("x-token", PLAIN), cache_ttl=60), asked_by("alice"))
    assert "request-has-unknown-field (x-token)" in caplog.text
    assert "alice" not in caplog.text


@awaited
async def test_a_304_that_grants_less_is_not_stored_for_a_request_with_such_a_field(caplog):
    """RFC 9111, 3.2: its Cache-Control replaces the stored one, which was public."""
    caplog.set_level("DEBUG", "asgi_serial")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        confirms = b"if-none-match" in dict(scope["headers"])
        control = b"no-transform" if confirms else b"public"
        headers = [(b"etag", b'"a"'), (b"cache-control", control)]
        status = 304 if confirms else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if confirms else b"all"})

    serial = serial_of(app, clock=(clock := Clock()), cache_ttl=60)
    assert said(await ask(serial, asked_by("alice"))) == "fwd=uri-miss; stored"
    clock.now += 61
    assert "; detail=request-has-unknown-field" in said(await ask(serial, asked_by("alice")))
    assert "request-has-unknown-field (x-token)" in caplog.text
