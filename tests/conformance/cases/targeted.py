"""Directives for caches of this kind: RFC 9213."""

from tests.conformance.table import CACHE, MAY, MUST, SHOULD, ask, case, not_reused, reply, reused

FRESH, NEVER = "Cache-Control: max-age=60", "Cache-Control: no-store"
CDN, OWN = "CDN-Cache-Control", "Asgi-Serial-Cache-Control"

CASES = [
    reused("9213 2.2", MUST, "max-age outweighs no-store", f"{CDN}: max-age=60", NEVER, after=59),
    not_reused("9213 2.2", MUST, "max-age, after it", f"{CDN}: max-age=60", NEVER, after=60),
    reused(
        "9213 2.2",
        MUST,
        "max-age outweighs private",
        f"{CDN}: max-age=60",
        "Cache-Control: private",
    ),
    reused(
        "9213 2.2",
        MUST,
        "a longer max-age",
        f"{CDN}: max-age=60",
        "Cache-Control: max-age=1",
        after=30,
    ),
    not_reused("9213 2.2", MUST, "a shorter max-age", f"{CDN}: max-age=1", FRESH, after=30),
    not_reused("9213 2.2", MUST, "no-store outweighs max-age", f"{CDN}: no-store", FRESH),
    not_reused("9213 2.2", MUST, "private outweighs max-age", f"{CDN}: private", FRESH),
    not_reused("9213 2.2", MUST, "no-cache outweighs max-age", f"{CDN}: no-cache", FRESH),
    not_reused(
        "9213 2.2",
        MUST,
        "a later Expires is not looked at",
        f"{CDN}: max-age=1",
        "Expires: {+60}",
        after=30,
    ),
    reused(
        "9213 2.2", MUST, "an earlier Expires is not looked at", f"{CDN}: max-age=60", "Expires: 0"
    ),
    not_reused(
        "9213 2.2",
        MUST,
        "without a lifetime that of Cache-Control is not looked at",
        f"{CDN}: none",
        FRESH,
    ),
    not_reused(
        "9213 2.2",
        MUST,
        "without a lifetime s-maxage is not looked at",
        f"{CDN}: must-revalidate",
        "Cache-Control: s-maxage=60",
    ),
    reused(
        "9213 2.1",
        MUST,
        "directives that are not known",
        f"{CDN}: foo, max-age=60, bar=(1 2)",
        NEVER,
    ),
    reused("9213 2.1", MUST, "parameters", f"{CDN}: max-age=60;foo=bar", NEVER, after=59),
    reused(
        "9651 3.2",
        MUST,
        "of two alike the last holds: longer",
        f"{CDN}: max-age=0, max-age=60",
        NEVER,
    ),
    not_reused(
        "9651 3.2", MUST, "of two alike the last holds: 0", f"{CDN}: max-age=60, max-age=0", FRESH
    ),
    reused("9651 4.2", MUST, "two lines", f"{CDN}: foo", f"{CDN}: max-age=60", NEVER),
    not_reused(
        "9651 4.2",
        MUST,
        "two lines, no-store in the second",
        f"{CDN}: max-age=60",
        f"{CDN}: no-store",
        FRESH,
    ),
    *(
        reused("9213 2.1", MUST, f"{name}: Cache-Control holds", f"{CDN}: {value}", FRESH, after=59)
        for name, value in {
            "an empty field": "",
            "a name in capitals": "No-Store",
            "an element without a name": "no-store, =",
            "a comma at the end": "no-store,",
            "two commas": "no-store,, max-age=1",
            "no value after the sign": "no-store, max-age=",
            "a string without an end": 'no-store, a="b',
            "white space around the sign": "no-store, max-age = 1",
            "a number with a unit": "no-store, max-age=1s",
            "letters beyond ASCII": "no-store, a=\xe9",
            "white space between": "no-store max-age=1",
        }.items()
    ),
    *(
        not_reused("9213 2.1", MUST, f"{name}: no-store holds", f"{CDN}: {value}", NEVER)
        for name, value in {
            "a field that can not be read": "max-age=60, &",
            "a name in capitals": "MAX-AGE=60",
        }.items()
    ),
    *(
        not_reused("9213 2.1", SHOULD, f"max-age as {name}", f"{CDN}: max-age={value}", NEVER)
        for name, value in {
            "a string": '"60"',
            "a decimal": "60.0",
            "negative": "-60",
            "a list": "(60)",
        }.items()
    ),
    not_reused("9213 2.1", SHOULD, "max-age without a value", f"{CDN}: max-age", NEVER),
    reused("9213 2.1", MAY, "no-store that is false", f"{CDN}: no-store=?0, max-age=60", NEVER),
    reused(
        "9213 2.2", MUST, "the nearer field holds", f"{OWN}: max-age=60", f"{CDN}: no-store", NEVER
    ),
    not_reused(
        "9213 2.2",
        MUST,
        "the nearer field forbids",
        f"{OWN}: no-store",
        f"{CDN}: max-age=60",
        FRESH,
    ),
    not_reused(
        "9213 2.2",
        MUST,
        "the nearer field can not be read, the next forbids",
        f"{OWN}: &",
        f"{CDN}: no-store",
        FRESH,
    ),
    reused(
        "9213 2.2", MUST, "fields for others mean nothing", "Other-Cache-Control: no-store", FRESH
    ),
    case(
        "9213 2.2",
        MAY,
        "the field passes on",
        ask(reply=reply(f"{CDN}: max-age=60", NEVER), has=(f"{CDN}: max-age=60", NEVER)),
        ask(source=CACHE, has=(f"{CDN}: max-age=60", NEVER)),
    ),
    not_reused("9111 4.2.3", MUST, "Age counts", f"{CDN}: max-age=60", NEVER, "Age: 60"),
    not_reused(
        "9111 3.5",
        MUST,
        "credentials, with max-age",
        f"{CDN}: max-age=60",
        "Cache-Control: public, max-age=60",
        first=("Authorization: a",),
        then=("Authorization: b",),
    ),
    not_reused(
        "9111 4.1",
        MUST,
        "Vary counts",
        f"{CDN}: max-age=60",
        "Vary: X-A",
        first=("X-A: 1",),
        then=("X-A: 2",),
    ),
]
