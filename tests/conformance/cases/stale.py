"""When a stale response may answer: RFC 9111, 4.2.4; RFC 5861."""

from tests.conformance.table import (
    ANY,
    CACHE,
    FAILED,
    MAY,
    MUST,
    ORIGIN,
    REFRESHED,
    VALIDATED,
    ask,
    case,
    not_reused,
    reply,
)

WHILE = "Cache-Control: max-age=10, stale-while-revalidate=60"
ON_ERROR = "Cache-Control: max-age=10, stale-if-error=60"
ERRORS = (500, 502, 503, 504)


def error(status):
    return reply("Cache-Control: no-store", status=status)


CASES = [
    case(
        "5861 3",
        MAY,
        "stale while it is asked for anew",
        ask(reply=reply(WHILE)),
        ask(reply=reply(WHILE), source=REFRESHED, after=20, has=("Age: 20",)),
        ask(source=CACHE),
    ),
    case(
        "5861 3",
        MAY,
        "stale while it is validated",
        ask(reply=reply(WHILE, 'ETag: "a"')),
        ask(
            reply=reply('ETag: "a"', status=304),
            source=REFRESHED,
            after=20,
            asked=('If-None-Match: "a"',),
        ),
        ask(source=CACHE, of=1),
    ),
    case(
        "5861 3",
        MAY,
        "fresh asks for nothing",
        ask(reply=reply(WHILE)),
        ask(source=CACHE, after=9),
    ),
    case(
        "5861 3",
        MAY,
        "an error behind the answer changes nothing",
        ask(reply=reply(WHILE, body=b"old")),
        ask(reply=error(503), source=REFRESHED, after=20),
        ask(reply=reply(WHILE), source=ANY, status=200, content=b"old"),
    ),
    not_reused("5861 3", MUST, "stale for longer than stale-while-revalidate", WHILE, after=71),
    not_reused(
        "5861 3",
        MUST,
        "stale-while-revalidate that is no number",
        "Cache-Control: max-age=10, stale-while-revalidate=abc",
        after=20,
    ),
    not_reused("5861 3", MUST, "stale-while-revalidate=0", f"{WHILE[:-2]}0", after=20),
    *(
        not_reused(
            "9111 4.2.4",
            MUST,
            f"{directive} forbids stale-while-revalidate",
            f"{WHILE}, {directive}",
            after=20,
        )
        for directive in ("must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache")
    ),
    not_reused(
        "9111 5.2.1.4",
        MAY,
        "no-cache of a request outweighs stale-while-revalidate",
        WHILE,
        then=("Cache-Control: no-cache",),
        after=20,
    ),
    *(
        case(
            "5861 4",
            MAY,
            f"stale in place of {status}",
            ask(reply=reply(ON_ERROR)),
            ask(reply=error(status), source=VALIDATED, after=20, has=("Age: 20",)),
        )
        for status in ERRORS
    ),
    case(
        "5861 4",
        MAY,
        "stale in place of a failure",
        ask(reply=reply(ON_ERROR)),
        ask(reply=reply(end=FAILED), source=VALIDATED, after=20),
    ),
    case(
        "5861 4",
        MAY,
        "stale in place of an error to a validation",
        ask(reply=reply(ON_ERROR, 'ETag: "a"')),
        ask(reply=error(503), source=VALIDATED, after=20, asked=('If-None-Match: "a"',)),
    ),
    case(
        "5861 4",
        MAY,
        "stale by the wish of the client",
        ask(reply=reply("Cache-Control: max-age=10")),
        ask("Cache-Control: stale-if-error=60", reply=error(503), source=VALIDATED, after=20),
    ),
    case(
        "5861 4",
        MAY,
        "the origin is heard once it is well again",
        ask(reply=reply(ON_ERROR)),
        ask(reply=error(503), source=VALIDATED, after=20),
        ask(reply=reply(ON_ERROR), source=ORIGIN),
        ask(source=CACHE),
    ),
    *(
        case(
            "5861 4",
            MUST,
            f"not in place of {status}",
            ask(reply=reply(ON_ERROR)),
            ask(reply=error(status), source=ORIGIN, after=20),
        )
        for status in (404, 410, 403)
    ),
    case(
        "5861 4",
        MAY,
        "a stored error stands in for no other",
        ask(reply=reply(ON_ERROR, status=503)),
        ask(reply=error(500), source=ORIGIN, after=20),
    ),
    case(
        "5861 4",
        MUST,
        "stale for longer than stale-if-error",
        ask(reply=reply(ON_ERROR)),
        ask(reply=error(503), source=ORIGIN, after=71),
    ),
    case(
        "9111 4.2.4",
        MUST,
        "an error passes where nothing allows a stale response",
        ask(reply=reply("Cache-Control: max-age=10")),
        ask(reply=error(503), source=ORIGIN, after=20),
    ),
    *(
        case(
            "9111 4.2.4",
            MUST,
            f"{directive} forbids stale-if-error",
            ask(reply=reply(f"{ON_ERROR}, {directive}")),
            ask(reply=error(503), source=ORIGIN, after=20),
        )
        for directive in ("must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache")
    ),
    case(
        "9111 4.2.4",
        MUST,
        "no response at all does not become a stale one against must-revalidate",
        ask(reply=reply("Cache-Control: max-age=10, must-revalidate")),
        ask(reply=reply(end=FAILED), source=ORIGIN, after=20, status=500),
    ),
]
