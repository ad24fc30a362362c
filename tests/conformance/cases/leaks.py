"""What must not outlive a write, or reach another: RFC 9111, 3.1, 3.5, 4.4 and 7.3."""

from tests.conformance.table import (
    ANY,
    FAILED,
    MUST,
    ORIGIN,
    ask,
    case,
    reply,
)

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
DOWN = reply("Cache-Control: no-store", status=503)

CASES = [
    # Writes.
    case(
        "9111 4.4",
        MUST,
        "a write drops what is stale too",
        ask(reply=reply("Cache-Control: max-age=10, stale-if-error=600")),
        ask(method="PUT", body=b"x", reply=reply(status=204), after=20),
        ask(reply=DOWN, source=ORIGIN),
    ),
    case(
        "9111 4.4",
        MUST,
        "a write leaves nothing to be validated by",
        ask(reply=reply(FRESH, TAG)),
        ask(method="DELETE", reply=reply(status=204)),
        ask(reply=reply(status=404), source=ORIGIN, not_asked=("if-none-match",)),
    ),
    case(
        "9111 4.4",
        MUST,
        "a write that fails in between leaves what is stored, or nothing",
        ask(reply=reply(FRESH, TAG)),
        ask(method="PUT", body=b"x", reply=reply(end=FAILED), source=ORIGIN, status=500),
        ask(reply=reply(FRESH, TAG), source=ANY, status=200),
    ),
    # Fields that are for one answer only.
    case(
        "9111 3.1",
        MUST,
        "fields that private names in a 304 are not kept",
        ask(reply=reply(FRESH, TAG)),
        ask(
            reply=reply('Cache-Control: max-age=60, private="x-b"', TAG, "X-B: 1", status=304),
            source=ANY,
            status=200,
            after=60,
        ),
        ask(source=ANY, status=200, reply=reply(FRESH, TAG), lacks=("x-b",)),
    ),
    case(
        "9111 7.3",
        MUST,
        "a cookie that a 304 sets is for no other",
        ask(reply=reply(FRESH, TAG)),
        ask(
            reply=reply(FRESH, TAG, "Set-Cookie: id=1", status=304),
            source=ANY,
            status=200,
            after=60,
        ),
        ask(source=ANY, reply=reply(FRESH, TAG), lacks=("set-cookie",)),
    ),
    case(
        "9111 7.3",
        MUST,
        "a cookie that HEAD sets is for no other",
        ask(reply=reply(FRESH, TAG, body=b"12345")),
        ask(
            "Cache-Control: no-cache",
            method="HEAD",
            reply=reply(FRESH, TAG, "Set-Cookie: id=1", body=b"12345"),
            source=ANY,
        ),
        ask(source=ANY, reply=reply(FRESH, TAG), lacks=("set-cookie",)),
    ),
    # Credentials.
    case(
        "9111 3.5",
        MUST,
        "credentials do not make a validated response another's",
        ask(reply=reply(FRESH, TAG)),
        ask(
            "Authorization: a",
            reply=reply(FRESH, 'ETag: "mine"', "X-User: a"),
            source=ANY,
            after=60,
        ),
        ask(reply=reply(FRESH, TAG), source=ANY, lacks=("x-user",)),
    ),
    case(
        "9111 3.5",
        MUST,
        "304 to a user does not make a private answer common",
        ask("Authorization: a", reply=reply(FRESH, TAG, "X-User: a")),
        ask(
            "Authorization: b",
            reply=reply(FRESH, TAG, status=304),
            source=ORIGIN,
            lacks=("x-user",),
        ),
        ask(reply=reply(FRESH), source=ORIGIN, lacks=("x-user",)),
    ),
    case(
        "9111 3.5",
        MUST,
        "credentials do not take part behind another's answer",
        ask(reply=reply("Cache-Control: s-maxage=10, max-age=10", TAG)),
        ask(
            "Authorization: a",
            reply=reply("Cache-Control: no-store", "X-User: a"),
            source=ORIGIN,
            after=20,
        ),
        ask(reply=reply(FRESH), source=ORIGIN, lacks=("x-user",)),
    ),
]
