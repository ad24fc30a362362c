"""Which fields are stored, and that they come back as they were: RFC 9111, 3.1."""

from tests.conformance.table import CACHE, MAY, MUST, ask, case, reply

FRESH = "Cache-Control: max-age=60"


def stored(strength, name, *lines, section="9111 3.1"):
    """These lines stand in the first answer and in one from the cache."""
    return case(
        section,
        strength,
        name,
        ask(reply=reply(FRESH, *lines), has=lines),
        ask(source=CACHE, has=lines),
    )


def not_stored(strength, name, *lines, lacks, section="9111 3.1"):
    """An answer from the cache has none of these fields."""
    return case(
        section, strength, name, ask(reply=reply(FRESH, *lines)), ask(source=CACHE, lacks=lacks)
    )


CASES = [
    *(
        not_stored(MUST, name, f"{name}: {value}", lacks=(name.lower(),))
        for name, value in {
            "Keep-Alive": "timeout=5",
            "Proxy-Connection": "keep-alive",
            "TE": "trailers",
            "Upgrade": "h2c",
            "Proxy-Authenticate": "Basic",
            "Proxy-Authentication-Info": "a=b",
            "Proxy-Authorization": "Basic x",
        }.items()
    ),
    not_stored(MUST, "Connection", "Connection: keep-alive", lacks=("connection",)),
    not_stored(MUST, "what Connection names", "Connection: X-A", "X-A: 1", lacks=("x-a",)),
    not_stored(
        MUST,
        "what Connection names among others",
        "Connection: keep-alive, x-a ,X-B",
        "X-A: 1",
        "X-B: 1",
        lacks=("x-a", "x-b"),
    ),
    not_stored(
        MUST,
        "what two lines of Connection name",
        "Connection: X-A",
        "Connection: X-B",
        "X-A: 1",
        "X-B: 1",
        lacks=("x-a", "x-b"),
    ),
    not_stored(
        MUST,
        "all lines of what Connection names",
        "Connection: X-A",
        "X-A: 1",
        "X-A: 2",
        lacks=("x-a",),
    ),
    *(
        stored(MUST, f"{name} is stored", f"{name}: {value}")
        for name, value in {
            "Accept-Ranges": "bytes",
            "Allow": "GET, HEAD",
            "Content-Disposition": 'attachment; filename="a.txt"',
            "Content-Encoding": "foo",
            "Content-Language": "en, de",
            "Content-Location": "{path}/a",
            "Content-MD5": "rL0Y20zC+Fzt72VPzMSk2A==",
            "Content-Security-Policy": "default-src 'self'",
            "Content-Type": "text/plain; charset=utf-8",
            "ETag": '"a"',
            "Expires": "{+60}",
            "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
            "Link": "</a.css>; rel=preload",
            "Location": "/a",
            "Pragma": "foo",
            "Public-Key-Pins": "a=b",
            "Retry-After": "60",
            "Server": "Some/1.0 (of a kind)",
            "Strict-Transport-Security": "max-age=1",
            "Warning": '299 - "odd"',
            "WWW-Authenticate": "Basic",
            "X-Unknown": "foo",
        }.items()
    ),
    stored(MUST, "letters beyond ASCII", "X-A: \xe9\xfc\xff"),
    stored(MUST, "an empty value", "X-A:"),
    stored(MUST, "a long value", f"X-A: {'a' * 4000}"),
    stored(MUST, "a comma, a quote and a backslash", 'X-A: a, "b\\"c"'),
    stored(MUST, "lines of one field stay apart", "X-A: 1", "X-A: 2"),
    stored(MUST, "a date that is none", "Last-Modified: yesterday"),
    stored(MUST, "a tag that is none", "ETag: abc"),
    case(
        "9110 5.3",
        MUST,
        "lines of one field keep their order",
        ask(reply=reply(FRESH, "Link: <1>", "X-B: 1", "Link: <2>")),
        ask(source=CACHE, has=("Link: <1>", "Link: <2>", "X-B: 1")),
    ),
    case(
        "9111 4",
        MUST,
        "content of all bytes comes back",
        ask(reply=reply(FRESH, body=bytes(range(256)) * 8)),
        ask(source=CACHE, content=bytes(range(256)) * 8),
    ),
    case(
        "9111 4",
        MUST,
        "empty content comes back",
        ask(reply=reply(FRESH, body=b"")),
        ask(source=CACHE, content=b"", has=("Content-Length: 0",)),
    ),
    case(
        "9111 4",
        MAY,
        "large content comes back",
        ask(reply=reply(FRESH, body=b"0123456789" * 100_000)),
        ask(source=CACHE, content=b"0123456789" * 100_000),
    ),
]
