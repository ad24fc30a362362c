"""HEAD beside GET: RFC 9110, 9.3.2; RFC 9111, 4 and 4.3.5."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, SHOULD, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'


CASES = [
    case(
        "9110 9.3.2",
        MAY,
        "HEAD is answered by the response to GET",
        ask(reply=reply(FRESH, "X-A: 1", body=b"12345")),
        ask(method="HEAD", source=CACHE, has=("X-A: 1", "Content-Length: 5")),
    ),
    case(
        "9111 4",
        MUST,
        "GET is not answered by the response to HEAD",
        ask(method="HEAD", reply=reply(FRESH)),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 4.3.5",
        MAY,
        "HEAD changes the fields of the response to GET",
        ask(reply=reply(FRESH, TAG, "X-A: 1", body=b"12345")),
        ask(
            "Cache-Control: no-cache",
            method="HEAD",
            reply=reply(FRESH, TAG, "X-A: 2", body=b"12345"),
            source=ORIGIN,
            after=10,
        ),
        ask(source=CACHE, of=1, has=("X-A: 2",)),
    ),
    case(
        "9111 4.3.5",
        MAY,
        "HEAD makes the response to GET fresh again",
        ask(reply=reply(FRESH, TAG, body=b"12345")),
        ask(method="HEAD", reply=reply(FRESH, TAG, body=b"12345"), source=ORIGIN, after=60),
        ask(source=CACHE, of=1, after=30),
    ),
    *(
        case(
            "9111 4.3.5",
            SHOULD,
            f"HEAD with another {name} makes the response to GET stale",
            ask(
                reply=reply(FRESH, TAG, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", body=b"123")
            ),
            ask("Cache-Control: no-cache", method="HEAD", reply=reply(FRESH, *lines, body=body)),
            ask(reply=reply(FRESH), source=ORIGIN),
        )
        for name, lines, body in (
            ("tag", ('ETag: "b"',), b"123"),
            ("length", (TAG,), b"12345"),
            ("last change", (TAG, "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"), b"123"),
        )
    ),
]
