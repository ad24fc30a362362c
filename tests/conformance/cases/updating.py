"""What 304 changes in a stored response: RFC 9111, 3.2 and 4.3.4."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, VALIDATED, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
SAME = reply(TAG, status=304)


def updated(strength, name, stored, more, has, lacks=(), section="9111 3.2"):
    """A 304 with the lines `more` gives the stored response these fields, for the next too."""
    return case(
        section,
        strength,
        name,
        ask(reply=reply(FRESH, TAG, *stored)),
        ask(
            reply=reply(FRESH, TAG, *more, status=304),
            source=VALIDATED,
            after=60,
            has=has,
            lacks=lacks,
        ),
        ask(source=CACHE, has=has, lacks=lacks),
    )


CASES = [
    case(
        "9111 4.3.4",
        MAY,
        "a validated response is fresh again",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply(FRESH, TAG, status=304), source=VALIDATED, after=60),
        ask(source=CACHE, after=59, has=("Age: 59",)),
        ask(reply=SAME, source=VALIDATED, after=1),
    ),
    case(
        "9111 4.3.4",
        MAY,
        "304 without a lifetime leaves the one there was",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=SAME, source=VALIDATED, after=60),
        ask(source=CACHE, after=59),
    ),
    case(
        "9111 4.3.4",
        MUST,
        "304 with a shorter lifetime",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply("Cache-Control: max-age=10", TAG, status=304), source=VALIDATED, after=60),
        ask(source=CACHE, after=9),
        ask(reply=SAME, source=VALIDATED, after=1),
    ),
    case(
        "9111 4.3.4",
        MAY,
        "304 without a tag validates what was asked for",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply(status=304), source=VALIDATED, after=60),
    ),
    case(
        "9111 4.3.4",
        MAY,
        "304 with the weak form of the tag",
        ask(reply=reply(FRESH, 'ETag: W/"a"')),
        ask(reply=reply('ETag: W/"a"', FRESH, status=304), source=VALIDATED, after=60),
        ask(source=CACHE, after=30),
    ),
    case(
        "9111 4.3.4",
        MUST,
        "304 with another strong tag validates nothing",
        ask(reply=reply(FRESH, TAG)),
        ask(
            reply=reply(FRESH, 'ETag: "b"', status=304),
            again=reply(FRESH, 'ETag: "b"'),
            source=ORIGIN,
            after=60,
            status=200,
        ),
    ),
    updated(MUST, "304 changes a field", ("X-A: 1",), ("X-A: 2",), ("X-A: 2",)),
    updated(MUST, "304 adds a field", (), ("X-A: 2",), ("X-A: 2",)),
    updated(MUST, "304 leaves the other fields", ("X-A: 1",), ("X-B: 2",), ("X-A: 1", "X-B: 2")),
    updated(
        MUST,
        "304 changes all lines of a field",
        ("X-A: 1", "X-A: 2"),
        ("X-A: 3",),
        ("X-A: 3",),
    ),
    updated(
        MUST,
        "304 does not change Content-Length",
        ("Content-Type: text/plain",),
        ("Content-Length: 1",),
        ("Content-Type: text/plain",),
    ),
    updated(
        MUST,
        "304 does not store fields that Connection names",
        (),
        ("Connection: X-A", "X-A: 2"),
        (),
        ("x-a", "connection"),
    ),
    case(
        "9111 3.2",
        MUST,
        "304 changes Expires and Date",
        ask(reply=reply("Expires: {+60}", TAG)),
        ask(reply=reply("Expires: {+90}", TAG, status=304), source=VALIDATED, after=60),
        ask(source=CACHE, after=80, has=("Expires: {+10}", "Date: {-80}", "Age: 80")),
        ask(reply=SAME, source=VALIDATED, after=10),
    ),
    case(
        "9111 3.2",
        MUST,
        "the Age of a 304 is counted",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply(FRESH, TAG, "Age: 30", status=304), source=VALIDATED, after=60),
        ask(source=CACHE, after=10, has=("Age: 40",)),
        ask(reply=SAME, source=VALIDATED, after=20),
    ),
    case(
        "9111 5.2.2.5",
        MUST,
        "a 304 with no-store is the last of it",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply("Cache-Control: no-store", TAG, status=304), source=VALIDATED, after=60),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9111 5.2.2.7",
        MUST,
        "a 304 with private is the last of it",
        ask(reply=reply(FRESH, TAG)),
        ask(
            reply=reply("Cache-Control: private, max-age=60", TAG, status=304),
            source=VALIDATED,
            after=60,
        ),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
]
