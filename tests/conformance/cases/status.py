"""Which status codes are stored: RFC 9111, 3; RFC 9110, 15.1."""

from tests.conformance.table import MAY, MUST, ORIGIN, ask, case, not_reused, reply, reused

FRESH = "Cache-Control: max-age=60"
GUESSED = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
STATED = (302, 303, 307, 400, 403, 421, 451, 500, 502, 503, 504)
UNKNOWN = (299, 399, 499, 599)

CASES = [
    *(
        reused("9110 15.1", MAY, f"{status} with max-age", FRESH, status=status, after=30)
        for status in GUESSED
    ),
    *(
        reused("9111 3", MAY, f"{status} with max-age", FRESH, status=status, after=30)
        for status in STATED
    ),
    *(
        reused("9111 3", MAY, f"{status}, which is not known, with max-age", FRESH, status=status)
        for status in UNKNOWN
    ),
    *(
        reused(
            "9111 4.2.2",
            MAY,
            f"{status} with a guess",
            "Last-Modified: {-8640000}",
            status=status,
            preset=True,
            after=60,
        )
        for status in GUESSED
    ),
    *(
        not_reused(
            "9111 4.2.2",
            MUST,
            f"{status} with no guess",
            "Last-Modified: {-8640000}",
            status=status,
            preset=True,
        )
        for status in (*STATED, *UNKNOWN)
    ),
    *(
        not_reused("9111 4.2", MUST, f"{status} once stale", FRESH, status=status, after=60)
        for status in (301, 404, 503)
    ),
    *(
        not_reused(
            "9111 5.2.2.5",
            MUST,
            f"{status} with no-store",
            "Cache-Control: no-store",
            status=status,
        )
        for status in (204, 301, 404)
    ),
    case(
        "9111 3",
        MUST,
        "304 to a client's condition does not answer those without one",
        ask('If-None-Match: "a"', reply=reply(FRESH, 'ETag: "a"', status=304), status=304),
        ask(reply=reply(FRESH, 'ETag: "a"'), source=ORIGIN),
    ),
]
