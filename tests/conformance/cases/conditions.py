"""Conditions of clients, judged by what is stored: RFC 9111, 4.3.2; RFC 9110, 13."""

from tests.conformance.table import CACHE, MUST, ORIGIN, SHOULD, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
MODIFIED = "Last-Modified: {-1000}"


def judged(strength, name, status, *lines, response=(FRESH, TAG, MODIFIED), section="9111 4.3.2"):
    """The status of a request with these lines, answered by a stored response."""
    return case(
        section,
        strength,
        name,
        ask(reply=reply(*response)),
        ask(*lines, source=CACHE, status=status),
    )


def by_tag(strength, name, status, value, tag='"a"', section="9110 13.1.2"):
    return judged(
        strength,
        name,
        status,
        f"If-None-Match: {value}",
        response=(FRESH, f"ETag: {tag}"),
        section=section,
    )


def by_date(strength, name, status, value, *response, section="9110 13.1.3"):
    return judged(
        strength,
        name,
        status,
        f"If-Modified-Since: {value}",
        response=(FRESH, *(response or (MODIFIED,))),
        section=section,
    )


CASES = [
    by_tag(SHOULD, "the tag", 304, '"a"'),
    by_tag(SHOULD, "another tag", 200, '"b"'),
    by_tag(SHOULD, "the tag in a list", 304, '"b", "a", "c"'),
    by_tag(SHOULD, "a list without the tag", 200, '"b", "c"'),
    by_tag(SHOULD, "a list with empty elements", 304, ',"b",, "a"'),
    by_tag(SHOULD, "any tag", 304, "*"),
    by_tag(MUST, "a weak tag for a strong one", 304, 'W/"a"', section="9110 8.8.3.2"),
    by_tag(MUST, "a strong tag for a weak one", 304, '"a"', tag='W/"a"', section="9110 8.8.3.2"),
    by_tag(MUST, "a weak tag for a weak one", 304, 'W/"a"', tag='W/"a"', section="9110 8.8.3.2"),
    by_tag(MUST, "another weak tag", 200, 'W/"b"', tag='W/"a"', section="9110 8.8.3.2"),
    by_tag(SHOULD, "a tag with a comma", 304, '"x", "a,b"', tag='"a,b"'),
    by_tag(SHOULD, "a part of a tag with a comma", 200, '"a", "b"', tag='"a,b"'),
    by_tag(SHOULD, "a tag in another case", 200, '"A"'),
    by_tag(SHOULD, "an empty tag", 304, '""', tag='""'),
    by_tag(SHOULD, "a tag with letters beyond ASCII", 304, '"\xe9"', tag='"\xe9"'),
    judged(
        SHOULD,
        "the tag in a second line",
        304,
        'If-None-Match: "b"',
        'If-None-Match: "a"',
        section="9110 13.1.2",
    ),
    by_date(SHOULD, "the date of the last change", 304, "{-1000}"),
    by_date(SHOULD, "a date after the last change", 304, "{-900}"),
    by_date(SHOULD, "a date before the last change", 200, "{-1001}"),
    by_date(SHOULD, "the date in the format of RFC 850", 304, "{-1000 rfc850}"),
    by_date(SHOULD, "the date in the format of asctime", 304, "{-1000 asctime}"),
    by_date(MUST, "a date that is none", 200, "yesterday"),
    by_date(MUST, "a number", 200, "0"),
    by_date(
        SHOULD, "Date, where there is no Last-Modified", 304, "{+0}", TAG, section="9111 4.3.2"
    ),
    by_date(
        SHOULD,
        "before Date, where there is no Last-Modified",
        200,
        "{-1}",
        TAG,
        section="9111 4.3.2",
    ),
    judged(
        MUST,
        "the tag is the same and the date earlier",
        304,
        'If-None-Match: "a"',
        "If-Modified-Since: {-2000}",
        section="9110 13.1.3",
    ),
    judged(
        MUST,
        "another tag and the same date",
        200,
        'If-None-Match: "b"',
        "If-Modified-Since: {-1000}",
        section="9110 13.1.3",
    ),
    *(
        case(
            "9110 13.2.1",
            MUST,
            f"conditions mean nothing to {status}",
            ask(reply=reply(FRESH, TAG, MODIFIED, status=status)),
            ask('If-None-Match: "a"', source=CACHE),
            ask("If-Modified-Since: {-1000}", source=CACHE),
        )
        for status in (301, 404, 410)
    ),
    case(
        "9110 15.4.5",
        MUST,
        "304 has the fields that 200 would have had",
        ask(
            reply=reply(
                FRESH,
                TAG,
                "Expires: {+60}",
                "Vary: X-A",
                "Content-Location: {path}/b",
                "Date: {+0}",
            )
        ),
        ask(
            'If-None-Match: "a"',
            source=CACHE,
            status=304,
            after=10,
            has=(
                FRESH,
                TAG,
                "Expires: {+50}",
                "Vary: X-A",
                "Content-Location: {path}/b",
                "Date: {-10}",
            ),
        ),
    ),
    case(
        "9110 15.4.5",
        SHOULD,
        "304 has no fields of content",
        ask(reply=reply(FRESH, TAG, "Content-Type: text/plain", "Content-Language: en")),
        ask(
            'If-None-Match: "a"',
            source=CACHE,
            status=304,
            lacks=("content-type", "content-language"),
        ),
    ),
    case(
        "9110 13.1.2",
        SHOULD,
        "HEAD with the tag",
        ask(reply=reply(FRESH, TAG)),
        ask('If-None-Match: "a"', method="HEAD", source=CACHE, status=304),
    ),
    case(
        "9110 13.1.2",
        MUST,
        "a condition of PUT is the origin's",
        ask(reply=reply(FRESH, TAG)),
        ask(
            'If-None-Match: "a"',
            method="PUT",
            reply=reply(status=412),
            asked=('If-None-Match: "a"',),
        ),
    ),
    case(
        "9110 13.1.1",
        MUST,
        "If-Match of PUT is the origin's",
        ask(reply=reply(FRESH, TAG)),
        ask('If-Match: "b"', method="PUT", reply=reply(status=412), asked=('If-Match: "b"',)),
    ),
    case(
        "9110 13.1.4",
        MUST,
        "If-Unmodified-Since of DELETE is the origin's",
        ask(
            "If-Unmodified-Since: {-1000}",
            method="DELETE",
            reply=reply(status=412),
            asked=("If-Unmodified-Since: {-1000}",),
        ),
    ),
    case(
        "9111 4.3.2",
        MUST,
        "the tag of a variant is judged by its own response",
        ask("X-A: 1", reply=reply(FRESH, 'ETag: "1"', "Vary: X-A")),
        ask("X-A: 2", reply=reply(FRESH, 'ETag: "2"', "Vary: X-A")),
        ask("X-A: 2", 'If-None-Match: "1"', source=CACHE, of=2),
        ask("X-A: 1", 'If-None-Match: "1"', source=CACHE, of=1, status=304),
    ),
    case(
        "9111 4.3.2",
        SHOULD,
        "a stale response judges no condition",
        ask(reply=reply(FRESH, TAG)),
        ask('If-None-Match: "a"', reply=reply(FRESH, 'ETag: "b"'), source=ORIGIN, after=60),
    ),
]
