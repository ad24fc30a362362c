"""Stale responses, validated with the origin: RFC 9111, 4.3.1 and 4.3.3."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, VALIDATED, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
SAME = reply(TAG, status=304)


CASES = [
    case(
        "9111 4.3.1",
        MAY,
        "a stale response is validated by its tag",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=SAME, source=VALIDATED, after=60, asked=('If-None-Match: "a"',)),
    ),
    case(
        "9111 4.3.1",
        MAY,
        "a stale response is validated by its weak tag",
        ask(reply=reply(FRESH, 'ETag: W/"a"')),
        ask(
            reply=reply('ETag: W/"a"', status=304),
            source=VALIDATED,
            after=60,
            asked=('If-None-Match: W/"a"',),
        ),
    ),
    case(
        "9111 4.3.1",
        MAY,
        "a stale response is validated by its last change",
        ask(reply=reply(FRESH, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")),
        ask(
            reply=reply(status=304),
            source=VALIDATED,
            after=60,
            asked=("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",),
        ),
    ),
    case(
        "9111 4.3.1",
        MAY,
        "a last change goes back as it came",
        ask(reply=reply(FRESH, "Last-Modified: Sun Nov  6 08:49:37 1994")),
        ask(
            reply=reply(status=304),
            source=VALIDATED,
            after=60,
            asked=("If-Modified-Since: Sun Nov  6 08:49:37 1994",),
        ),
    ),
    case(
        "9111 4.3.1",
        MAY,
        "a stale response is validated by both",
        ask(reply=reply(FRESH, TAG, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")),
        ask(
            reply=SAME,
            source=VALIDATED,
            after=60,
            asked=('If-None-Match: "a"', "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
        ),
    ),
    case(
        "9111 4.3.1",
        MUST,
        "a response without a validator is asked for anew",
        ask(reply=reply(FRESH)),
        ask(source=ORIGIN, after=60, not_asked=("if-none-match", "if-modified-since")),
    ),
    case(
        "9111 4.3.1",
        MAY,
        "the other fields of a request go along",
        ask("X-A: 1", reply=reply(FRESH, TAG)),
        ask("X-A: 2", reply=SAME, source=VALIDATED, after=60, asked=("X-A: 2",)),
    ),
    case(
        "9111 4.3.1",
        MUST,
        "HEAD is not validated as GET",
        ask(reply=reply(FRESH, TAG)),
        ask(method="HEAD", reply=reply(FRESH, TAG), source=ORIGIN, after=60),
    ),
    case(
        "9111 4.3.3",
        MUST,
        "a new response answers in place of the stale one, and the next too",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply(FRESH, 'ETag: "b"'), source=ORIGIN, after=60, has=('ETag: "b"',)),
        ask(source=CACHE, has=('ETag: "b"',)),
    ),
    case(
        "9111 4.3.3",
        MUST,
        "a 404 answers in place of the stale response",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=reply("Cache-Control: no-store", status=404), source=ORIGIN, after=60),
    ),
    # Clients with conditions of their own.
    case(
        "9111 4.3.3",
        MAY,
        "a client that has the validated response gets 304",
        ask(reply=reply(FRESH, TAG)),
        ask('If-None-Match: "a"', reply=SAME, source=VALIDATED, after=60, status=304),
    ),
    case(
        "9111 4.3.3",
        MUST,
        "a client that has another response gets the validated one",
        ask(reply=reply(FRESH, TAG)),
        ask(
            'If-None-Match: "old"',
            reply=SAME,
            source=VALIDATED,
            after=60,
            status=200,
            asked=('If-None-Match: "a"',),
        ),
    ),
    case(
        "9111 4.3.3",
        MUST,
        "a client without a condition gets no 304",
        ask(reply=reply(FRESH, TAG)),
        ask(reply=SAME, source=VALIDATED, after=60, status=200),
    ),
    case(
        "9111 4.3.3",
        MAY,
        "what a client's condition has brought answers the next",
        ask(reply=reply(FRESH, TAG)),
        ask(
            'If-None-Match: "a"',
            reply=reply(FRESH, TAG, status=304),
            source=VALIDATED,
            after=60,
            status=304,
        ),
        ask(source=CACHE, after=30, of=1),
    ),
]
