"""Answers to POST that may be kept for GET: RFC 9110, 9.3.3; RFC 9111, 4 and 4.4."""

from tests.conformance.table import ANY, CACHE, MAY, MUST, ORIGIN, ask, case, reply

FRESH = "Cache-Control: max-age=60"
HERE = "Content-Location: {path}"


def posted(strength, name, *lines, status=200, then=(), first=(), source=ORIGIN, **rest):
    """What POST is answered with these lines, and a GET after it."""
    return case(
        "9110 9.3.3",
        strength,
        name,
        ask(*first, method="POST", body=b"x", reply=reply(*lines, status=status)),
        ask(*then, reply=reply(FRESH), source=source, **rest),
        preset=True,
    )


def reused(name, *lines, **rest):
    return posted(MAY, name, *lines, source=CACHE, **rest)


CASES = [
    reused("a lifetime, and the URI in Content-Location", FRESH, HERE),
    reused("a lifetime in shared caches", "Cache-Control: s-maxage=60", HERE),
    reused("Expires", "Expires: {+60}", HERE),
    reused("the URI written out", FRESH, "Content-Location: http://example.org{path}"),
    reused("HEAD", FRESH, HERE, method="HEAD"),
    reused("the same varying field", FRESH, HERE, "Vary: X-A", first=("X-A: 1",), then=("X-A: 1",)),
    reused("public, and a cookie", "Cache-Control: public, max-age=60", HERE, first=("Cookie: a",)),
    posted(MUST, "no lifetime", HERE),
    posted(MUST, "a lifetime to be guessed", HERE, "Last-Modified: {-1000}"),
    posted(MUST, "public without a lifetime", "Cache-Control: public", HERE),
    posted(MUST, "no Content-Location", FRESH),
    posted(MUST, "another path in Content-Location", FRESH, "Content-Location: {path}/b"),
    posted(MUST, "another query in Content-Location", FRESH, "Content-Location: {path}?a"),
    posted(
        MUST,
        "another host in Content-Location",
        FRESH,
        "Content-Location: http://other.example{path}",
    ),
    posted(
        MUST,
        "another scheme in Content-Location",
        FRESH,
        "Content-Location: https://example.org{path}",
    ),
    posted(MUST, "two of Content-Location", FRESH, HERE, HERE),
    posted(MUST, "no-store", "Cache-Control: no-store, max-age=60", HERE),
    posted(MUST, "private", "Cache-Control: private, max-age=60", HERE),
    posted(MUST, "Vary: *", FRESH, HERE, "Vary: *"),
    posted(MUST, "another varying field", FRESH, HERE, "Vary: X-A", first=("X-A: 1",)),
    posted(MUST, "a user's answer", FRESH, HERE, first=("Authorization: a",)),
    posted(MUST, "a cookie that is set", FRESH, HERE, "Set-Cookie: a=b"),
    posted(MUST, "an answer that is stale", FRESH, HERE, after=61),
    posted(MAY, "what tells of something made", FRESH, HERE, status=201),
    case(
        "9110 9.3.3",
        MUST,
        "PUT",
        ask(method="PUT", body=b"x", reply=reply(FRESH, HERE)),
        ask(reply=reply(FRESH)),
        preset=True,
    ),
    case(
        "9110 9.3.3",
        MUST,
        "a POST is not answered by that to another",
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE)),
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE)),
        preset=True,
    ),
    case(
        "9111 4.4",
        MUST,
        "what a POST has answered takes the place of what it has made invalid",
        ask(reply=reply(FRESH)),
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE)),
        ask(source=CACHE, of=2),
        preset=True,
    ),
    case(
        "9111 4.4",
        MUST,
        "a POST that answers nothing to be kept drops what another has answered",
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE)),
        ask(method="POST", body=b"x", reply=reply(FRESH)),
        ask(),
        preset=True,
    ),
    case(
        "9111 4.3.4",
        MAY,
        "what a POST has answered is confirmed by its tag",
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE, 'ETag: "a"')),
        ask(
            reply=reply(FRESH, 'ETag: "a"', status=304),
            source=ANY,
            of=1,
            status=200,
            after=61,
            asked=('If-None-Match: "a"',),
        ),
        preset=True,
    ),
    case(
        "9110 9.3.3",
        MUST,
        "where nothing is said of it a POST's answer is for no GET",
        ask(method="POST", body=b"x", reply=reply(FRESH, HERE)),
        ask(reply=reply(FRESH)),
    ),
]
