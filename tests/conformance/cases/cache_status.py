"""What the cache says of itself: RFC 9211."""

from tests.conformance.table import CACHE, MAY, REFRESHED, VALIDATED, ask, case, reply

FRESH = "Cache-Control: max-age=60"
KEPT = ask(reply=reply(FRESH, 'ETag: "a"'))


def says(section, name, *steps):
    return case(section, MAY, name, *steps)


CASES = [
    says("9211 2.1", "a hit", KEPT, ask(source=CACHE, says=("hit",))),
    says(
        "9211 2.2", "nothing was stored", ask(reply=reply(FRESH), says=("fwd=uri-miss", "stored"))
    ),
    says(
        "9211 2.2",
        "nothing is stored",
        ask(reply=reply("Cache-Control: no-store"), says=("fwd=uri-miss",)),
    ),
    says(
        "9211 2.2",
        "another variant was stored",
        ask("X-A: 1", reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 2", reply=reply(FRESH, "Vary: X-A"), says=("fwd=vary-miss", "stored")),
    ),
    says(
        "9211 2.2",
        "a stale response was stored",
        ask(reply=reply(FRESH)),
        ask(reply=reply(FRESH), says=("fwd=stale", "stored"), after=60),
    ),
    says(
        "9211 2.2",
        "the request asks for it",
        KEPT,
        ask("Cache-Control: no-cache", says=("fwd=request",)),
    ),
    says("9211 2.2", "the method", ask(method="POST", body=b"x", says=("fwd=method",))),
    says(
        "9211 2.2", "the cache is passed by", ask("Cache-Control: no-store", says=("fwd=bypass",))
    ),
    says(
        "9211 2.3",
        "a stale response is validated",
        KEPT,
        ask(
            reply=reply('ETag: "a"', status=304),
            source=VALIDATED,
            after=60,
            says=("fwd=stale", "fwd-status=304"),
        ),
    ),
    says(
        "9211 2.4", "the rest of the lifetime", KEPT, ask(source=CACHE, after=20, says=("ttl=40",))
    ),
    says(
        "9211 2.4",
        "the rest of the lifetime, by an Age that came",
        ask(reply=reply(FRESH, "Age: 10")),
        ask(source=CACHE, after=20, says=("ttl=30",)),
    ),
    says(
        "9211 2.4",
        "a stale hit has less than none",
        ask(reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60")),
        ask(reply=reply(FRESH), source=REFRESHED, after=15, says=("hit", "ttl=-5")),
    ),
    says(
        "9211 2.1",
        "304 from the cache is a hit",
        KEPT,
        ask('If-None-Match: "a"', source=CACHE, status=304, says=("hit",)),
    ),
    says(
        "9211 2.1",
        "HEAD from the cache is a hit",
        KEPT,
        ask(method="HEAD", source=CACHE, says=("hit",)),
    ),
    says(
        "9211 2",
        "what caches before have said stays",
        ask(
            reply=reply(FRESH, "Cache-Status: other; hit"),
            says=("other", "hit, asgi_serial", "fwd=uri-miss"),
        ),
        ask(source=CACHE, says=("other", "hit, asgi_serial", "hit")),
    ),
]
