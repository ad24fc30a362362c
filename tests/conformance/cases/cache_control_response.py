"""The directives of a response: RFC 9111, 5.2.2; RFC 8246."""

from tests.conformance.table import (
    CACHE,
    MAY,
    MUST,
    ORIGIN,
    SHOULD,
    VALIDATED,
    ask,
    case,
    not_reused,
    reply,
    reused,
)

FRESH = "Cache-Control: max-age=60"

CASES = [
    not_reused("9111 5.2.2.5", MUST, "no-store", "Cache-Control: no-store"),
    not_reused(
        "9111 5.2.2.5", MUST, "no-store beside max-age", "Cache-Control: no-store, max-age=60"
    ),
    not_reused(
        "9111 5.2.2.5", MUST, "no-store after max-age", "Cache-Control: max-age=60, no-store"
    ),
    not_reused("9111 5.2.2.5", MUST, "no-store in capitals", "Cache-Control: max-age=60, NO-STORE"),
    not_reused("9111 5.2.2.5", MUST, "no-store in another line", FRESH, "Cache-Control: no-store"),
    not_reused(
        "9111 5.2.2.5", MUST, "no-store beside Expires", "Cache-Control: no-store", "Expires: {+60}"
    ),
    not_reused(
        "9111 5.2.2.5",
        MUST,
        "no-store beside public and s-maxage",
        "Cache-Control: public, s-maxage=60, no-store",
    ),
    not_reused(
        "9111 5.2.2.5",
        MUST,
        "no-store beside an invalid directive",
        "Cache-Control: max-age=60, =, no-store",
    ),
    reused(
        "9111 5.2.2.5",
        MAY,
        "no-store as another name's part",
        "Cache-Control: max-age=60, x-no-store",
    ),
    not_reused("9111 5.2.2.7", MUST, "private", "Cache-Control: private, max-age=60"),
    not_reused("9111 5.2.2.7", MUST, "private in capitals", "Cache-Control: Private, max-age=60"),
    not_reused(
        "9111 5.2.2.7", MUST, "private beside s-maxage", "Cache-Control: private, s-maxage=60"
    ),
    not_reused(
        "9111 5.2.2.7", MUST, "private beside public", "Cache-Control: public, private, max-age=60"
    ),
    not_reused("9111 5.2.2.7", MUST, "private in another line", FRESH, "Cache-Control: private"),
    not_reused(
        "9111 5.2.2.7",
        SHOULD,
        "private with a name unquoted",
        "Cache-Control: max-age=60, private=x-a",
    ),
    case(
        "9111 5.2.2.7",
        MAY,
        "private with names: the rest is reused",
        ask(
            reply=reply(
                'Cache-Control: max-age=60, private="X-A, x-b"', "X-A: 1", "X-B: 1", "X-C: 1"
            )
        ),
        ask(source=CACHE, lacks=("x-a", "x-b"), has=("X-C: 1",)),
    ),
    case(
        "9111 5.2.2.7",
        MUST,
        "private with names: the first answer has the fields",
        ask(
            reply=reply('Cache-Control: max-age=60, private="X-A"', "X-A: 1"),
            has=("X-A: 1",),
        ),
    ),
    not_reused("9111 5.2.2.4", MUST, "no-cache", "Cache-Control: no-cache"),
    not_reused(
        "9111 5.2.2.4", MUST, "no-cache beside max-age", "Cache-Control: no-cache, max-age=60"
    ),
    not_reused("9111 5.2.2.4", MUST, "no-cache in another line", FRESH, "Cache-Control: no-cache"),
    not_reused(
        "9111 5.2.2.4", MUST, "no-cache beside Expires", "Cache-Control: No-Cache", "Expires: {+60}"
    ),
    not_reused(
        "9111 5.2.2.4", SHOULD, "no-cache with a string that has no end", f'{FRESH}, no-cache="x-a'
    ),
    case(
        "9111 5.2.2.4",
        MAY,
        "no-cache: reused once the origin says so",
        ask(reply=reply("Cache-Control: no-cache, max-age=60", 'ETag: "a"')),
        ask(reply=reply('ETag: "a"', status=304), source=VALIDATED, asked=('If-None-Match: "a"',)),
    ),
    case(
        "9111 5.2.2.4",
        MUST,
        "no-cache: asked for each time",
        ask(reply=reply("Cache-Control: no-cache, max-age=60", 'ETag: "a"')),
        ask(reply=reply('ETag: "a"', status=304), source=VALIDATED),
        ask(reply=reply('ETag: "a"', status=304), source=VALIDATED),
    ),
    case(
        "9111 5.2.2.4",
        MAY,
        "no-cache with names: the rest is reused",
        ask(reply=reply('Cache-Control: max-age=60, no-cache="x-a"', "X-A: 1", "X-C: 1")),
        ask(source=CACHE, lacks=("x-a",), has=("X-C: 1",)),
    ),
    reused(
        "9111 5.2.2.2", MAY, "must-revalidate while fresh", f"{FRESH}, must-revalidate", after=59
    ),
    not_reused(
        "9111 5.2.2.2", MUST, "must-revalidate once stale", f"{FRESH}, must-revalidate", after=60
    ),
    reused(
        "9111 5.2.2.8", MAY, "proxy-revalidate while fresh", f"{FRESH}, proxy-revalidate", after=59
    ),
    not_reused(
        "9111 5.2.2.8", MUST, "proxy-revalidate once stale", f"{FRESH}, proxy-revalidate", after=60
    ),
    reused("9111 5.2.2.9", MAY, "public", f"{FRESH}, public", after=59),
    reused("9111 5.2.2.6", MAY, "no-transform", f"{FRESH}, no-transform", after=59),
    reused("8246 2", MAY, "immutable while fresh", f"{FRESH}, immutable", after=59),
    not_reused("8246 2", MUST, "immutable once stale", f"{FRESH}, immutable", after=60),
    not_reused("8246 2", MUST, "immutable without a lifetime", "Cache-Control: immutable"),
    reused(
        "9111 5.2.2.3",
        MAY,
        "must-understand with a status that is known",
        "Cache-Control: max-age=60, must-understand",
    ),
    reused(
        "9111 5.2.2.3",
        MAY,
        "must-understand outweighs no-store where the status is known",
        "Cache-Control: must-understand, no-store, max-age=60",
    ),
    *(
        not_reused(
            "9111 5.2.2.3",
            MUST,
            f"must-understand with a status that is not known, {status}",
            "Cache-Control: max-age=60, must-understand",
            status=status,
        )
        for status in (299, 399, 499, 599)
    ),
    not_reused(
        "9111 5.2.2.3",
        MUST,
        "must-understand and no-store with a status that is not known",
        "Cache-Control: must-understand, no-store, max-age=60",
        status=499,
    ),
    case(
        "9111 5.2.2",
        MUST,
        "Cache-Control passes on as it came",
        ask(
            reply=reply('cache-control: foo, MAX-AGE=060 , bar="b, c"'),
            has=('Cache-Control: foo, MAX-AGE=060 , bar="b, c"',),
        ),
        ask(source=CACHE, has=('Cache-Control: foo, MAX-AGE=060 , bar="b, c"',)),
    ),
    case(
        "9111 5.2.2.5",
        MUST,
        "no-store does not go on answering by what was stored before",
        ask(reply=reply("Cache-Control: max-age=10")),
        ask(reply=reply("Cache-Control: no-store"), source=ORIGIN, after=20),
        ask(reply=reply("Cache-Control: no-store"), source=ORIGIN),
    ),
]
