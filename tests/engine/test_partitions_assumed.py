"""A partition that was assumed for a request is held against what its handler says now."""

import pytest

from asgi_serial import set_policy
from asgi_serial.bounds.memo import MAX_BYTES

from .driver import Clock, Request, ask, awaited, serial_of
from .making import JSON

TENANT, SESSION = "cookie:tenant", "cookie:session"
LONG = "/" + "x" * 10_000  # nothing is learned of such a path


def cookies_of(scope):
    fields = dict(scope["headers"])
    pairs = fields.get(b"cookie", b"").decode().split("; ")
    return dict(pair.split("=") for pair in pairs if pair)


def tenant_of(scope):
    return cookies_of(scope).get("tenant")


def session_of(scope):
    return cookies_of(scope).get("session")


class Dashboard:
    """An app that says who asks, with a policy and fields that `speak` chooses for the request."""

    def __init__(self, speak):
        self.speak = speak
        self.calls = 0
        self.status = 200

    async def __call__(self, scope, receive, send):
        self.calls += 1
        policy, control, owner = self.speak(scope)
        if policy:
            set_policy(**policy)
        if self.status is None:
            raise RuntimeError
        while (await receive()).get("more_body"):
            pass
        fields = [JSON, (b"cache-control", control), (b"etag", b'"of-%s"' % owner.encode())]
        known = dict(scope["headers"]).get(b"if-none-match") == fields[-1][1]
        status = 304 if known else self.status
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send(
            {"type": "http.response.body", "body": b"" if known else b'"%s"' % owner.encode()}
        )


def having(session, tenant="acme", *, path="/dash", **fields):
    return Request(path=path).having(cookie=f"session={session}; tenant={tenant}", **fields)


def of_admin_or_tenant(admin_policy, *, find_tenant=tenant_of):
    """What a handler says that keeps an admin's page for himself, all others' for their tenant."""

    def speak(scope):
        if session_of(scope) == "root":
            return admin_policy, b"private, max-age=60", "root"
        return {"cache_partition": find_tenant}, b"private, max-age=60", tenant_of(scope)

    return speak


@pytest.mark.parametrize(
    "admin_policy",
    [
        {"cache_partition": session_of},
        {"cache_partition": SESSION},
        {"cache_partition": "x-missing"},
        {"cache": False},
        {},
    ],
    ids=["of a function", "of a cookie", "of nobody", "not cached", "private"],
)
@pytest.mark.parametrize("moves", [0, 30, 100], ids=["fresh", "another path", "stale"])
@awaited
async def test_a_partition_named_now_goes_before_the_one_that_was_learned(admin_policy, moves):
    clock = Clock()
    app = Dashboard(of_admin_or_tenant(admin_policy))
    site = serial_of(app, clock=clock)
    path = "/other" if moves == 30 else "/dash"
    assert (await ask(site, having("joe", path=path))).document == "acme"
    clock.now += moves
    for session in ("root", "joe", "jim", "root", "jim"):
        # While the tenant's page is fresh his admin may be given it: his handler is not asked.
        got = await ask(site, having(session, path="/dash"))
        assert got.document == ("acme" if session != "root" else got.document)
        assert got.document in ("acme", "root")
        assert got.one("cache-control").startswith("private")


@pytest.mark.parametrize("path", ["/dash", LONG], ids=["the first request", "a long path"])
@pytest.mark.parametrize("forgets", [False, True], ids=["learned", "forgotten"])
@pytest.mark.parametrize(("wide", "narrow"), [(TENANT, session_of), (tenant_of, session_of)])
@awaited
async def test_a_handler_that_is_narrower_than_the_pattern_is_heard(path, forgets, wide, narrow):
    def speak(scope):
        return {"cache_partition": narrow}, b"private, max-age=60", session_of(scope)

    site = serial_of(Dashboard(speak), routes={"/**": {"cache_partition": wide}})
    for _ in range(3):
        for session in ("joe", "jim"):
            assert (await ask(site, having(session, path=path))).document == session
            if forgets:
                site.engine.learned.policies.clear()


@awaited
async def test_what_was_learned_is_bounded_and_more_of_it_changes_no_answer():
    def speak(scope):
        return {"cache_partition": session_of}, b"private, max-age=60", session_of(scope)

    site = serial_of(Dashboard(speak), routes={"/**": {"cache_partition": TENANT}})
    paths = [f"/{number}" + "x" * 3_000 for number in range(150)]
    for path in paths:
        await ask(site, having("joe", path=path))
    assert 0 < len(site.engine.learned.policies) < len(paths)
    assert site.engine.learned.policies.held_bytes <= MAX_BYTES
    for session in ("joe", "jim"):
        assert (await ask(site, having(session, path=paths[0]))).document == session


@pytest.mark.parametrize(
    "other",
    [
        {"fields": (("host", "tenants.example.org"),)},
        {"fields": (("x-forwarded-proto", "https"),)},
        {"scope": {"scheme": "https"}},
        {"scope": {"root_path": "/tenants"}},
        {"scope": {"raw_path": b"/%64ash"}},
    ],
    ids=["host", "forwarded scheme", "scheme", "root path", "raw path"],
)
@awaited
async def test_what_is_learned_holds_for_what_is_routed_alike_only(other):
    def speak(scope):
        is_tenants = cookies_of(scope)["session"] == "none"
        policy = {"cache_partition": tenant_of} if is_tenants else {}
        return policy, b"private, max-age=60", session_of(scope)

    site = serial_of(Dashboard(speak))
    of_tenants = having("none")
    fields = (*of_tenants.fields, *other.get("fields", ()))
    await ask(site, Request(path="/dash", fields=fields, scope=other.get("scope", {})))
    assert len(site.engine.learned.policies) == 1
    for session in ("alice", "bob"):
        got = await ask(site, having(session))
        assert got.document == session
        assert got.one("cache-status").endswith("detail=private")


@awaited
async def test_a_tenants_page_does_not_stand_in_where_the_handler_fails_for_another_user():
    clock = Clock()
    app = Dashboard(of_admin_or_tenant({"cache_partition": session_of}))
    site = serial_of(app, clock=clock, cache_stale_if_error=1000)
    await ask(site, having("joe"))
    clock.now += 100
    app.status = None
    assert (await ask(site, having("jim"))).document == "acme"
    with pytest.raises(RuntimeError):
        await ask(site, having("root"))
    app.status = 503
    assert (await ask(site, having("jim"))).document == "acme"
    assert (await ask(site, having("root"))).status == 503


@awaited
async def test_a_304_about_a_tenants_page_is_no_answer_to_another_user():
    clock = Clock()

    def speak(scope):
        partition = session_of if session_of(scope) == "root" else tenant_of
        return {"cache_partition": partition}, b"max-age=60", tenant_of(scope)

    app = Dashboard(speak)
    site = serial_of(app, clock=clock)
    await ask(site, having("joe"))
    clock.now += 100
    got = await ask(site, having("root"))
    assert (got.status, got.document, app.calls) == (200, "acme", 3)


@pytest.mark.parametrize("named", [session_of, None], ids=["another's", "nobody's"])
@awaited
async def test_a_part_of_a_tenants_page_is_not_completed_for_another_user(named):
    pages = {"acme": b"0123456789", "root": b"ABCDEFGHIJ"}

    async def app(scope, receive, send):
        is_root = session_of(scope) == "root"
        if named is not None or not is_root:
            set_policy(cache_partition=named if is_root else tenant_of)
        page = pages["root" if is_root else "acme"]
        wanted = dict(scope["headers"]).get(b"range")
        first, last = wanted[6:].split(b"-") if wanted else (0, len(page) - 1)
        part = page[int(first) : int(last) + 1]
        fields = [
            (b"content-type", b"text/plain"),
            (b"cache-control", b"private, max-age=60"),
            (b"etag", b'"1"'),
            (b"content-length", b"%d" % len(part)),
        ]
        if wanted:
            said = b"bytes %d-%d/%d" % (int(first), int(last), len(page))
            fields.append((b"content-range", said))
        status = 206 if wanted else 200
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": part})

    site = serial_of(app, cache_parts=True)
    for _ in range(2):  # what is told of its handler is known to the second
        assert (await ask(site, having("joe", range="bytes=0-4"))).content == b"01234"
    assert (await ask(site, having("root"))).content == pages["root"]
    assert (await ask(site, having("joe"))).content == pages["acme"]


BYPASSES = {
    "plain": {},
    "a forwarding field": {"fields": (("x-forwarded-host", "a.example"),)},
    "no-store": {"fields": (("cache-control", "no-store"),)},
    "a fat GET": {"fields": (("content-length", "1"),), "body": (b"x",)},
    "HEAD": {"method": "HEAD"},
    "POST": {"method": "POST", "body": (b"x",)},
    "gzip": {"fields": (("accept-encoding", "gzip"),)},
}


def fails(scope):
    raise KeyError("user")


@pytest.mark.parametrize("bypass", BYPASSES)
@pytest.mark.parametrize("partition", [SESSION, session_of, fails])
@pytest.mark.parametrize("speaker", ["pattern", "handler", "handler without a cache"])
@awaited
async def test_every_answer_of_a_route_with_a_partition_is_private(bypass, partition, speaker):
    """RFC 9111, 5.2.2.7: so that no other cache keeps it."""
    policy = {"cache_partition": partition, "cache_ttl": 60}
    app = Dashboard(lambda scope: ({} if speaker == "pattern" else policy, b"public", "me"))
    options = {"routes": {"/dash": policy}} if speaker == "pattern" else {}
    site = serial_of(app, cache=speaker != "handler without a cache", **options)
    asked = BYPASSES[bypass]
    fields = (*having("alice").fields, *asked.get("fields", ()))
    request = Request(asked.get("method", "GET"), "/dash", fields, asked.get("body", ()))
    if speaker == "handler without a cache":
        await ask(site, having("alice"))  # that handlers of this process speak is known by now
    for _ in range(4):
        got = await ask(site, request)
        assert "private" in got.one("cache-control")
        assert "public" not in got.one("cache-control")


@pytest.mark.parametrize("bypass", BYPASSES)
@pytest.mark.parametrize("partition", [SESSION, session_of, fails])
@awaited
async def test_an_answer_of_a_partition_is_private_with_all_else_turned_off(bypass, partition):
    app = Dashboard(lambda _: ({}, b"public", "me"))
    off = dict.fromkeys(("cache", "compression", "formats", "decoding"), False)
    site = serial_of(app, routes={"/dash": {"cache_partition": partition}}, **off)
    asked = BYPASSES[bypass]
    fields = (*having("alice").fields, *asked.get("fields", ()))
    request = Request(asked.get("method", "GET"), "/dash", fields, asked.get("body", ()))
    assert (await ask(site, request)).one("cache-control") == "private"


@pytest.mark.parametrize("fields", [{}, {"accept_encoding": "gzip"}], ids=["plain", "gzip"])
@awaited
async def test_a_response_that_would_pass_is_private_as_well(fields):
    """Nothing was stored of the last two, and what was learned of its handler is forgotten."""
    app = Dashboard(lambda _: ({"cache_partition": lambda _: "alice"}, b"public", "alice"))
    site = serial_of(app, cache_ttl=None)
    for _ in range(6):
        got = await ask(site, Request(path="/dash").having(**fields))
        assert got.one("cache-control") == "private"
        site.engine.learned.policies.clear()


@awaited
async def test_a_handler_that_keys_on_no_body_is_heard_where_the_pattern_does():
    app = Dashboard(lambda scope: ({"cache_body": False}, b"max-age=60", session_of(scope)))
    site = serial_of(app, routes={"POST /dash": {"cache_body": True, "cache_shared": True}})
    for _ in range(2):
        for session in ("joe", "jim"):
            fields = having(session).fields
            got = await ask(site, Request("POST", "/dash", fields, (b"q",)))
            assert got.document == session
