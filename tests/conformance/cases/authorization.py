"""Requests with credentials: RFC 9111, 3.5 and 7.3."""

from tests.conformance.table import (
    CACHE,
    MAY,
    MUST,
    ORIGIN,
    SHOULD,
    ask,
    case,
    not_reused,
    reply,
    reused,
)

FRESH = "Cache-Control: max-age=60"
ALICE, BOB = "Authorization: Basic YWxpY2U6YQ==", "Authorization: Basic Ym9iOmI="
SECTION = "9111 3.5"

CASES = [
    not_reused(SECTION, MUST, "for the same user", FRESH, first=(ALICE,), then=(ALICE,)),
    not_reused(SECTION, MUST, "for another user", FRESH, first=(ALICE,), then=(BOB,)),
    not_reused(SECTION, MUST, "for no user", FRESH, first=(ALICE,)),
    not_reused(SECTION, MUST, "by Expires", "Expires: {+60}", first=(ALICE,), then=(BOB,)),
    not_reused(SECTION, MUST, "with an empty field", FRESH, first=("Authorization:",), then=(BOB,)),
    *(
        reused(SECTION, MAY, f"{directive} allows it", value, first=(ALICE,), then=(BOB,))
        for directive, value in {
            "public": f"{FRESH}, public",
            "s-maxage": "Cache-Control: s-maxage=60",
            "must-revalidate": f"{FRESH}, must-revalidate",
        }.items()
    ),
    *(
        reused(SECTION, MAY, f"{directive} allows it for no user", value, first=(ALICE,))
        for directive, value in {
            "public": f"{FRESH}, public",
            "s-maxage": "Cache-Control: s-maxage=60",
        }.items()
    ),
    *(
        not_reused(
            SECTION, MUST, f"{directive} does not allow it", value, first=(ALICE,), then=(BOB,)
        )
        for directive, value in {
            "proxy-revalidate": f"{FRESH}, proxy-revalidate",
            "immutable": f"{FRESH}, immutable",
            "no-transform": f"{FRESH}, no-transform",
            "x-public": f"{FRESH}, x-public",
            "public in a string": f'{FRESH}, a="public"',
        }.items()
    ),
    not_reused(
        SECTION,
        MUST,
        "private outweighs s-maxage",
        "Cache-Control: private, s-maxage=60",
        first=(ALICE,),
        then=(BOB,),
    ),
    not_reused(
        SECTION,
        MUST,
        "must-revalidate once stale",
        f"{FRESH}, must-revalidate",
        first=(ALICE,),
        then=(BOB,),
        after=60,
    ),
    not_reused(
        "9111 4.1",
        MUST,
        "public that varies by user",
        f"{FRESH}, public",
        "Vary: Authorization",
        first=(ALICE,),
        then=(BOB,),
    ),
    case(
        SECTION,
        MUST,
        "401 is not for those who may",
        ask(reply=reply(FRESH, "WWW-Authenticate: Basic", "Vary: Authorization", status=401)),
        ask(ALICE, reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 7.3",
        SHOULD,
        "a cookie that is set stays with who it is for",
        ask(reply=reply(FRESH, "Set-Cookie: id=1"), has=("Set-Cookie: id=1",)),
        ask(reply=reply(FRESH), source=ORIGIN, lacks=("set-cookie",)),
    ),
    not_reused(
        "9111 7.3",
        SHOULD,
        "a response to a cookie stays with who has it",
        FRESH,
        first=("Cookie: id=1",),
        then=("Cookie: id=2",),
    ),
    reused(
        "9111 7.3",
        MAY,
        "public allows it beside a cookie",
        f"{FRESH}, public",
        first=("Cookie: id=1",),
        then=("Cookie: id=2",),
    ),
    case(
        "9110 11.6.2",
        MUST,
        "credentials reach the origin",
        ask(ALICE, asked=(ALICE,)),
        ask(BOB, asked=(BOB,), source=ORIGIN),
    ),
    case(
        SECTION,
        MUST,
        "conditions do not open what is not shared",
        ask(ALICE, reply=reply(FRESH, 'ETag: "a"')),
        ask(BOB, 'If-None-Match: "a"', reply=reply(FRESH, 'ETag: "b"'), source=ORIGIN),
    ),
    case(
        SECTION,
        MAY,
        "what is shared answers those with credentials",
        ask(reply=reply("Cache-Control: s-maxage=60")),
        ask(ALICE, source=CACHE),
    ),
]
