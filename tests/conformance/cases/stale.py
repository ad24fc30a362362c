"""When a stale response may answer: RFC 9111, 4.2.4; RFC 5861."""

from tests.conformance.table import (
    CACHE,
    FAILED,
    MAY,
    MUST,
    ORIGIN,
    ask,
    case,
    not_reused,
    reply,
)

WHILE = "Cache-Control: max-age=10, stale-while-revalidate=60"
ON_ERROR = "Cache-Control: max-age=10, stale-if-error=60"


def error(status):
    return reply("Cache-Control: no-store", status=status)


CASES = [
    case(
        "5861 3",
        MAY,
        "fresh asks for nothing",
        ask(reply=reply(WHILE)),
        ask(source=CACHE, after=9),
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
            MUST,
            f"not in place of {status}",
            ask(reply=reply(ON_ERROR)),
            ask(reply=error(status), source=ORIGIN, after=20),
        )
        for status in (404, 410, 403)
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
