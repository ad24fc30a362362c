"""The directives of a request: RFC 9111, 5.2.1 and 5.4."""

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


def wish(make, strength, name, lines, *response, section="9111 5.2.1", **rest):
    """A request with these lines, for what is stored for a minute if nothing else is said."""
    then = (lines,) if isinstance(lines, str) else lines
    return make(section, strength, name, *(response or (FRESH,)), then=then, **rest)


CASES = [
    wish(not_reused, MAY, "no-cache", "Cache-Control: no-cache", section="9111 5.2.1.4"),
    wish(not_reused, MAY, "no-cache among others", "Cache-Control: a, No-Cache, b=c"),
    wish(
        not_reused,
        MAY,
        "no-cache in a second line",
        ("Cache-Control: a", "Cache-Control: no-cache"),
    ),
    wish(not_reused, MAY, "max-age=0", "Cache-Control: max-age=0", section="9111 5.2.1.1"),
    wish(not_reused, MAY, "max-age below the age", "Cache-Control: max-age=10", after=20),
    wish(reused, MAY, "max-age above the age", "Cache-Control: max-age=30", after=20),
    wish(reused, MAY, "max-age as great as the age", "Cache-Control: max-age=20", after=20),
    wish(
        not_reused,
        MAY,
        "max-age below an Age that came",
        "Cache-Control: max-age=20",
        FRESH,
        "Age: 30",
    ),
    wish(
        not_reused,
        MUST,
        "a great max-age does not make fresh",
        "Cache-Control: max-age=3600",
        after=60,
    ),
    wish(not_reused, MAY, "min-fresh above the rest", "Cache-Control: min-fresh=30", after=40),
    wish(reused, MAY, "min-fresh below the rest", "Cache-Control: min-fresh=30", after=20),
    wish(
        reused,
        MAY,
        "max-stale with a number, within it",
        "Cache-Control: max-stale=30",
        after=80,
        section="9111 5.2.1.2",
    ),
    wish(
        not_reused,
        MUST,
        "max-stale with a number, beyond it",
        "Cache-Control: max-stale=30",
        after=95,
        section="9111 4.2.4",
    ),
    wish(reused, MAY, "max-stale without a number", "Cache-Control: max-stale", after=3600),
    wish(
        reused,
        MAY,
        "max-stale beside max-age",
        "Cache-Control: max-age=100, max-stale=30",
        after=80,
    ),
    *(
        wish(
            not_reused,
            MUST,
            f"max-stale does not outweigh {directive}",
            "Cache-Control: max-stale=3600",
            f"Cache-Control: max-age=60, {directive}",
            after=80,
            section="9111 4.2.4",
        )
        for directive in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache")
    ),
    case(
        "9111 5.2.1.5",
        MUST,
        "a response to no-store is not stored",
        ask("Cache-Control: no-store", reply=reply(FRESH)),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 5.2.1.5",
        MUST,
        "a response to no-store among others is not stored",
        ask("Cache-Control: max-age=10, No-Store", reply=reply(FRESH)),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 5.2.1.7",
        SHOULD,
        "only-if-cached without anything stored",
        ask("Cache-Control: only-if-cached", source=CACHE, status=504),
    ),
    case(
        "9111 5.2.1.7",
        SHOULD,
        "only-if-cached with a fresh response",
        ask(reply=reply(FRESH)),
        ask("Cache-Control: only-if-cached", source=CACHE, after=30),
    ),
    case(
        "9111 5.2.1.7",
        SHOULD,
        "only-if-cached with a stale response",
        ask(reply=reply(FRESH)),
        ask("Cache-Control: only-if-cached", source=CACHE, status=504, after=60),
    ),
    case(
        "9111 5.2.1.7",
        MAY,
        "only-if-cached with a stale response that will do",
        ask(reply=reply(FRESH)),
        ask("Cache-Control: only-if-cached, max-stale=60", source=CACHE, after=90),
    ),
    wish(
        reused,
        MUST,
        "directives that are not known",
        "Cache-Control: foo, bar=1",
        section="9111 5.2.3",
    ),
    wish(
        reused,
        MUST,
        "a directive whose string looks like others",
        'Cache-Control: foo="no-cache, max-age=0"',
        section="9111 5.2.3",
    ),
    wish(reused, MAY, "no-transform", "Cache-Control: no-transform", section="9111 5.2.1.6"),
    case(
        "9111 5.2.1.4",
        MAY,
        "no-cache has the stored response validated",
        ask(reply=reply(FRESH, 'ETag: "a"')),
        ask(
            "Cache-Control: no-cache",
            reply=reply('ETag: "a"', status=304),
            source=VALIDATED,
            asked=('If-None-Match: "a"',),
        ),
    ),
    case(
        "9111 5.2.1.4",
        MAY,
        "what no-cache has brought answers the next",
        ask(reply=reply(FRESH)),
        ask("Cache-Control: no-cache", reply=reply(FRESH), source=ORIGIN),
        ask(source=CACHE),
    ),
    # Pragma.
    wish(not_reused, MAY, "Pragma: no-cache", "Pragma: no-cache", section="9111 5.4"),
    wish(
        reused,
        MAY,
        "Pragma: no-cache beside Cache-Control",
        ("Pragma: no-cache", "Cache-Control: max-age=60"),
        section="9111 5.4",
    ),
    wish(reused, MAY, "another Pragma", "Pragma: foo", section="9111 5.4"),
    reused(
        "9111 5.4", MAY, "Pragma means nothing in a response", FRESH, "Pragma: no-cache", after=59
    ),
]
