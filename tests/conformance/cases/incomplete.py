"""Responses that are not whole: RFC 9111, 3.3; RFC 9112, 8."""

from tests.conformance.table import (
    BROKEN,
    CACHE,
    FAILED,
    MAY,
    MUST,
    ORIGIN,
    SHORT,
    ask,
    case,
    reply,
)

FRESH = "Cache-Control: max-age=60"
NAMES = {SHORT: "shorter than it said", BROKEN: "broken off in a chunk"}

CASES = [
    *(
        case(
            "9112 8",
            MUST,
            f"content {name} does not look whole",
            ask(reply=reply(FRESH, end=end)),
        )
        for end, name in NAMES.items()
    ),
    *(
        case(
            "9111 3.3",
            MUST,
            f"content {name} does not answer another",
            ask(reply=reply(FRESH, end=end)),
            ask(reply=reply(FRESH), source=ORIGIN),
            ask(source=CACHE),
        )
        for end, name in NAMES.items()
    ),
    *(
        case(
            "9111 3.3",
            MUST,
            f"content {name} gives no part either",
            ask(reply=reply(FRESH, 'ETag: "a"', end=end, body=b"0123456789")),
            ask("Range: bytes=0-3", reply=reply(FRESH, body=b"0123456789"), source=ORIGIN),
        )
        for end, name in NAMES.items()
    ),
    case(
        "9111 3.3",
        MUST,
        "content that broke off does not take the place of what is stored",
        ask(reply=reply(FRESH, 'ETag: "a"')),
        ask("Cache-Control: no-cache", reply=reply(FRESH, 'ETag: "b"', end=BROKEN), source=ORIGIN),
        ask(reply=reply(FRESH, 'ETag: "c"'), source=ORIGIN, after=60),
        ask(source=CACHE, has=('ETag: "c"',)),
    ),
    case(
        "9111 3",
        MUST,
        "no response at all is not stored",
        ask(reply=reply(FRESH, end=FAILED), status=500),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 3",
        MAY,
        "what comes after a failure is stored",
        ask(reply=reply(FRESH, end=FAILED), status=500),
        ask(reply=reply(FRESH), source=ORIGIN),
        ask(source=CACHE),
    ),
    case(
        "9111 3",
        MAY,
        "what comes after a response that is not stored is stored",
        ask(reply=reply("Cache-Control: no-store")),
        ask(reply=reply(FRESH), source=ORIGIN),
        ask(source=CACHE),
    ),
]
