"""Rules of several sections at once: variants, validation, ranges, stale responses."""

from tests.conformance.table import (
    ANY,
    CACHE,
    MAY,
    MUST,
    ORIGIN,
    REFRESHED,
    VALIDATED,
    ask,
    case,
    reply,
)

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
SAME = reply(FRESH, TAG, status=304)
VARIED = (FRESH, "Vary: X-A")
CDN = "CDN-Cache-Control"
DIGITS = b"0123456789"
DOWN = reply("Cache-Control: no-store", status=503)

CASES = [
    # Variants and validation.
    case(
        "9111 4.3.1",
        MAY,
        "a variant is validated by its own tag",
        ask("X-A: 1", reply=reply(*VARIED, 'ETag: "1"')),
        ask("X-A: 2", reply=reply(*VARIED, 'ETag: "2"')),
        ask(
            "X-A: 1",
            reply=reply(*VARIED, 'ETag: "1"', status=304),
            source=VALIDATED,
            of=1,
            after=60,
        ),
    ),
    case(
        "9111 4.3.4",
        MUST,
        "304 to one variant makes no other fresh",
        ask("X-A: 1", reply=reply(*VARIED, 'ETag: "1"')),
        ask("X-A: 2", reply=reply(*VARIED, 'ETag: "2"')),
        ask(
            "X-A: 1",
            reply=reply(*VARIED, 'ETag: "1"', status=304),
            source=VALIDATED,
            of=1,
            after=60,
        ),
        ask("X-A: 2", reply=reply(*VARIED, 'ETag: "3"'), source=ORIGIN),
    ),
    case(
        "9111 3.2",
        MUST,
        "304 to one variant changes no field of another",
        ask("X-A: 1", reply=reply(*VARIED, 'ETag: "1"', "X-B: old")),
        ask("X-A: 2", reply=reply(*VARIED, 'ETag: "2"', "X-B: old"), after=30),
        ask(
            "X-A: 1",
            reply=reply(*VARIED, 'ETag: "1"', "X-B: new", status=304),
            source=VALIDATED,
            of=1,
            after=40,
            has=("X-B: new",),
        ),
        ask("X-A: 2", source=CACHE, of=2, has=("X-B: old",)),
    ),
    case(
        "9111 4.1",
        MUST,
        "a variant that the origin has replaced by one for all",
        ask("X-A: 1", reply=reply("Cache-Control: max-age=10", "Vary: X-A")),
        ask("X-A: 1", reply=reply(FRESH), source=ORIGIN, after=20),
        ask("X-A: 1", source=CACHE, of=2),
    ),
    case(
        "9111 4.1",
        MUST,
        "Vary: * that comes later is heeded",
        ask("X-A: 1", reply=reply("Cache-Control: max-age=10", "Vary: X-A")),
        ask("X-A: 1", reply=reply(FRESH, "Vary: *"), source=ORIGIN, after=20),
        ask("X-A: 1", reply=reply(FRESH, "Vary: *"), source=ORIGIN),
    ),
    # What no longer may be stored.
    *(
        case(
            "9111 4.3.3",
            MUST,
            f"{name} in place of a stale response is the last of it",
            ask(reply=reply("Cache-Control: max-age=10", TAG)),
            ask(reply=reply(*lines, status=status), source=ORIGIN, after=20),
            ask(reply=reply(FRESH), source=ORIGIN, after=1),
        )
        for name, lines, status in (
            ("no-store", ("Cache-Control: no-store",), 200),
            ("private", ("Cache-Control: private, max-age=60",), 200),
            ("404 without a lifetime", (), 404),
        )
    ),
    case(
        "9111 4.3.3",
        MAY,
        "an error to a validation leaves the stored response for the next",
        ask(reply=reply("Cache-Control: max-age=10", TAG)),
        ask(reply=DOWN, source=ORIGIN, after=20),
        ask(reply=SAME, source=VALIDATED, of=1, asked=('If-None-Match: "a"',)),
    ),
    # Ranges and validation.
    case(
        "9110 14.2",
        MAY,
        "a part of a stale whole, once it is validated",
        ask(reply=reply(FRESH, TAG, body=DIGITS)),
        ask(
            "Range: bytes=0-3", reply=SAME, source=VALIDATED, after=60, status=206, content=b"0123"
        ),
    ),
    case(
        "9110 13.1.5",
        MUST,
        "a part is not of another whole than If-Range names",
        ask(reply=reply(FRESH, TAG, body=DIGITS)),
        ask(reply=reply(FRESH, 'ETag: "b"', body=b"abcdefghij"), source=ORIGIN, after=60),
        ask(
            "Range: bytes=0-3",
            'If-Range: "a"',
            source=CACHE,
            status=200,
            content=b"abcdefghij",
        ),
    ),
    case(
        "9111 3.3",
        MUST,
        "a part of the origin's does not make the stored whole another",
        ask(reply=reply(FRESH, TAG, body=DIGITS)),
        ask(
            "Range: bytes=2-3",
            "Cache-Control: no-cache",
            reply=reply(FRESH, TAG, "Content-Range: bytes 2-3/10", status=206, body=b"23"),
            source=ANY,
        ),
        ask(
            reply=reply(FRESH, TAG, body=DIGITS),
            source=ANY,
            status=200,
            content=DIGITS,
            lacks=("content-range",),
        ),
    ),
    case(
        "9110 14.2",
        MAY,
        "a part of a response that is stale while it is asked for anew",
        ask(reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60", body=DIGITS)),
        ask(
            "Range: bytes=0-3",
            reply=reply(FRESH, body=b"abcdefghij"),
            source=REFRESHED,
            after=20,
            status=206,
        ),
        ask(
            "Range: bytes=0-3",
            reply=reply(FRESH, body=b"abcdefghij"),
            source=CACHE,
            status=206,
            content=b"abcd",
        ),
    ),
    # Stale responses and conditions.
    case(
        "9111 4.3.2",
        MAY,
        "a condition is judged by a response that is stale while it is asked for anew",
        ask(reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60", TAG)),
        ask('If-None-Match: "a"', reply=SAME, source=REFRESHED, after=20, status=304),
    ),
    case(
        "5861 4",
        MAY,
        "HEAD is answered by a stale response in place of an error",
        ask(reply=reply("Cache-Control: max-age=10, stale-if-error=60")),
        ask(method="HEAD", reply=DOWN, source=VALIDATED, after=20, status=200),
    ),
    case(
        "5861 4",
        MUST,
        "an error to POST is not hidden by a stale response",
        ask(reply=reply("Cache-Control: max-age=10, stale-if-error=60")),
        ask(method="POST", body=b"x", reply=DOWN, source=ORIGIN, after=20),
    ),
    case(
        "5861 3",
        MAY,
        "each variant is asked for anew by itself",
        ask(
            "X-A: 1",
            reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60", "Vary: X-A"),
        ),
        ask(
            "X-A: 2",
            reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60", "Vary: X-A"),
        ),
        ask(
            "X-A: 1",
            reply=reply(*VARIED),
            source=REFRESHED,
            of=1,
            after=20,
            asked=("X-A: 1",),
        ),
        ask("X-A: 2", reply=reply(*VARIED), source=REFRESHED, of=2, asked=("X-A: 2",)),
    ),
    case(
        "5861 3",
        MUST,
        "a response behind the answer that may not be stored is not stored",
        ask(reply=reply("Cache-Control: max-age=10, stale-while-revalidate=60")),
        ask(reply=reply("Cache-Control: private"), source=REFRESHED, after=20, of=1),
        ask(reply=reply(FRESH), source=ANY, after=60),
        ask(source=ANY, lacks=("x-never",)),
    ),
    case(
        "5861 3",
        MAY,
        "by the directives for this cache",
        ask(
            reply=reply(f"{CDN}: max-age=10, stale-while-revalidate=60", "Cache-Control: no-store")
        ),
        ask(reply=reply(FRESH), source=REFRESHED, after=20),
    ),
    case(
        "5861 4",
        MAY,
        "in place of an error, by the directives for this cache",
        ask(reply=reply(f"{CDN}: max-age=10, stale-if-error=60", "Cache-Control: no-store")),
        ask(reply=DOWN, source=VALIDATED, after=20),
    ),
    case(
        "9213 2.2",
        MUST,
        "must-revalidate for this cache forbids a stale response",
        ask(
            reply=reply(
                f"{CDN}: max-age=10, must-revalidate",
                "Cache-Control: max-age=10, stale-if-error=60",
            )
        ),
        ask(reply=DOWN, source=ORIGIN, after=20),
    ),
    case(
        "9213 2.2",
        MUST,
        "must-revalidate for others does not forbid a stale response",
        ask(
            reply=reply(
                f"{CDN}: max-age=10, stale-if-error=60",
                "Cache-Control: max-age=10, must-revalidate",
            )
        ),
        ask(reply=DOWN, source=VALIDATED, after=20),
    ),
    case(
        "9111 4.2.4",
        MUST,
        "a wish of the client does not outweigh what 304 has forbidden",
        ask(reply=reply("Cache-Control: max-age=10", TAG)),
        ask(
            reply=reply("Cache-Control: max-age=10, must-revalidate", TAG, status=304),
            source=VALIDATED,
            after=20,
        ),
        ask("Cache-Control: max-stale", reply=reply(FRESH), source=ORIGIN, after=20),
    ),
    # Lifetimes.
    case(
        "9111 4.2.1",
        MUST,
        "304 without Expires leaves the one that has passed",
        ask(reply=reply("Expires: {+60}", TAG)),
        ask(reply=reply(TAG, status=304), source=VALIDATED, after=60),
        ask(reply=reply(TAG, status=304), source=VALIDATED, after=1),
    ),
    case(
        "9111 5.2.1.1",
        MAY,
        "max-age of a request is about the age since the validation",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=SAME, source=VALIDATED, after=60),
        ask("Cache-Control: max-age=20", source=CACHE, after=10),
    ),
    case(
        "9111 5.2.1.4",
        MUST,
        "what no-cache has found changed answers all others",
        ask(reply=reply(FRESH, TAG)),
        ask(
            "Cache-Control: no-cache",
            reply=reply(FRESH, 'ETag: "b"'),
            source=ORIGIN,
        ),
        ask(source=CACHE, of=2, has=('ETag: "b"',)),
        ask('If-None-Match: "a"', source=CACHE, of=2, status=200),
    ),
    case(
        "9111 5.2.1.5",
        MUST,
        "no-store of a request leaves no trace of its validation",
        ask(reply=reply(FRESH, TAG)),
        ask("Cache-Control: no-store, no-cache", reply=reply(FRESH, 'ETag: "b"'), source=ORIGIN),
        ask(source=ANY, reply=reply(FRESH, TAG), has=(TAG,)),
    ),
]
