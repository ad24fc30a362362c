"""Whatever handlers, patterns and nested calls say of users, nobody is told what is another's."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from asgi_serial import serial, set_policy

from .driver import Clock, Recording, Request, ask, serial_of

HOSTS, PATHS = ("one.example", "two.example"), ("/a", "/" + "b" * 1100)
SESSIONS, TENANTS = ("1", "2", "3"), ("x", "y")


def cookies_of(scope):
    value = dict(scope["headers"])[b"cookie"].decode()
    return dict(pair.split("=") for pair in value.split("; "))


def session_of(scope):
    return cookies_of(scope)["session"]


def tenant_of(scope):
    return cookies_of(scope)["tenant"]


# What tells users apart, and of whom everybody may see the answer then.
PARTITIONS = {
    None: "session",
    session_of: "session",
    "cookie:session": "session",
    tenant_of: "tenant",
    "cookie:tenant": "tenant",
}

manners = st.fixed_dictionaries(
    {
        "partition": st.sampled_from(list(PARTITIONS)),
        "control": st.sampled_from(["private, max-age=60", "max-age=60", "", "max-age=60"]),
        "nested": st.sampled_from(["", "", "site", "bare", "helper"]),
        "fails": st.sampled_from([False, False, False, True]),
    }
)
# A handler says one thing to one user and another to others.
handlers = st.tuples(manners, manners)
sites = st.fixed_dictionaries({(host, path): handlers for host in HOSTS for path in PATHS})
wishes = st.tuples(
    *(st.sampled_from(HOSTS), st.sampled_from(PATHS)),
    *(st.sampled_from(SESSIONS), st.sampled_from(TENANTS)),
    *(st.sampled_from(["", "gzip"]), st.sampled_from([0, 0, 30, 100]), st.booleans()),
)


@serial(cache_ttl="60s", cache_shared=True)
async def config(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"dark"})


class Site:
    """An app that tells who has asked, and for whom its handler has said that it is."""

    def __init__(self, manners):
        self.manners = manners

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/config":
            await config(scope, receive, send)
            return
        host = dict(scope["headers"])[b"host"].decode()
        session, tenant = session_of(scope), tenant_of(scope)
        manner = self.manners[host, scope["path"]][session == "1"]
        if manner["partition"] is not None:
            set_policy(cache_partition=manner["partition"])
        await self.call_others(manner["nested"], scope, receive)
        if manner["fails"]:
            raise RuntimeError
        whose = PARTITIONS[manner["partition"]]
        told = {"host": host, "session": session, "tenant": tenant, "whose": whose}
        fields = [
            (b"content-type", b"application/json"),
            (b"etag", b'"%s"' % whose.encode()),
            *([(b"cache-control", manner["control"].encode())] if manner["control"] else []),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    async def call_others(self, which, scope, receive):
        request = Request(path="/config").having(host="one.example", cookie="session=9; tenant=z")
        if which == "helper":
            await config(scope, receive, Recording().send)
        elif which:
            app = self if which == "bare" else self.outside
            await app(request.make_scope(), request.make_receive(), Recording().send)


async def visit(manners, pattern, asked):
    clock, site = Clock(), Site(manners)
    routes = {"/**": {"cache_partition": pattern}} if pattern is not None else {}
    site.outside = serial_of(site, clock=clock, routes=routes, cache_stale_if_error=50)
    for host, path, session, tenant, coding, seconds, forgets in asked:
        clock.now += seconds
        if forgets:
            site.outside.engine.learned.policies.clear()
        fields = {"host": host, "cookie": f"session={session}; tenant={tenant}"}
        fields |= {"accept_encoding": coding} if coding else {}
        try:
            answer = await ask(site.outside, Request(path=path).having(**fields))
        except RuntimeError:
            continue
        told = answer.document
        assert told["host"] == host
        named = manners[host, path][told["session"] == "1"]["partition"]
        by = "tenant" if PARTITIONS[named or pattern] == "tenant" else "session"
        asker = {"session": session, "tenant": tenant}
        assert told[by] == asker[by]


@given(sites, st.sampled_from(list(PARTITIONS)), st.lists(wishes, min_size=2, max_size=14))
def test_nobody_is_told_what_is_anothers(manners, pattern, asked):
    asyncio.run(visit(manners, pattern, asked))
