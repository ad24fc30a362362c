"""Parts of a representation: RFC 9110, 13.1.5, 14 and 15.3.7; RFC 9111, 3.3 and 3.4."""

from tests.conformance.table import ANY, CACHE, MAY, MUST, ORIGIN, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
DIGITS = b"0123456789"
WHOLE = ask(reply=reply(FRESH, TAG, "Last-Modified: {-1000}", body=DIGITS))


def part(strength, name, value, content, span, *lines, section="9110 14.1.2", **rest):
    """A range of what is stored, answered as that part of it."""
    return case(
        section,
        strength,
        name,
        WHOLE,
        ask(
            f"Range: {value}",
            *lines,
            source=CACHE,
            status=206,
            content=content,
            has=(f"Content-Range: bytes {span}/10", f"Content-Length: {len(content)}"),
            **rest,
        ),
    )


def whole(strength, name, value, *lines, section="9110 14.2", method="GET"):
    """A range that is answered by all that is stored."""
    return case(
        section,
        strength,
        name,
        WHOLE,
        ask(
            f"Range: {value}",
            *lines,
            source=CACHE,
            status=200,
            lacks=("content-range",),
            method=method,
        ),
    )


CASES = [
    part(MAY, "the first bytes", "bytes=0-3", b"0123", "0-3"),
    part(MAY, "bytes in the middle", "bytes=3-5", b"345", "3-5"),
    part(MAY, "one byte", "bytes=4-4", b"4", "4-4"),
    part(MAY, "from a byte to the end", "bytes=7-", b"789", "7-9"),
    part(MAY, "the last bytes", "bytes=-3", b"789", "7-9"),
    part(MUST, "beyond the end", "bytes=8-100", b"89", "8-9"),
    part(MUST, "more last bytes than there are", "bytes=-100", DIGITS, "0-9"),
    part(MAY, "all bytes", "bytes=0-", DIGITS, "0-9"),
    part(MUST, "the unit in capitals", "BYTES=0-3", b"0123", "0-3", section="9110 14.1"),
    part(
        MAY,
        "If-Range with the tag",
        "bytes=0-3",
        b"0123",
        "0-3",
        'If-Range: "a"',
        section="9110 13.1.5",
    ),
    part(
        MAY,
        "If-Range with the date of the last change",
        "bytes=0-3",
        b"0123",
        "0-3",
        "If-Range: {-1000}",
        section="9110 13.1.5",
    ),
    part(MAY, "some time later", "bytes=0-3", b"0123", "0-3", after=30),
    whole(MUST, "If-Range with another tag", "bytes=0-3", 'If-Range: "b"', section="9110 13.1.5"),
    whole(MUST, "If-Range with a weak tag", "bytes=0-3", 'If-Range: W/"a"', section="9110 13.1.5"),
    whole(
        MUST,
        "If-Range with an earlier date",
        "bytes=0-3",
        "If-Range: {-2000}",
        section="9110 13.1.5",
    ),
    whole(
        MUST, "If-Range with a later date", "bytes=0-3", "If-Range: {-10}", section="9110 13.1.5"
    ),
    whole(MUST, "another unit", "lines=0-3"),
    whole(MAY, "no range at all", "bytes=abc"),
    whole(MAY, "a range that ends before it begins", "bytes=5-2"),
    whole(MAY, "a range without an end or a start", "bytes=-"),
    whole(MUST, "HEAD", "bytes=0-3", method="HEAD"),
    case(
        "9110 15.5.17",
        MAY,
        "from after the end",
        WHOLE,
        ask(
            "Range: bytes=10-",
            source=CACHE,
            status=416,
            has=("Content-Range: bytes */10",),
        ),
    ),
    case(
        "9110 15.5.17",
        MAY,
        "no last bytes",
        WHOLE,
        ask("Range: bytes=-0", source=CACHE, status=416, has=("Content-Range: bytes */10",)),
    ),
    case(
        "9110 15.3.7",
        MUST,
        "a part has the fields of the whole",
        WHOLE,
        ask(
            "Range: bytes=0-3",
            source=CACHE,
            status=206,
            content=b"0123",
            has=(FRESH, TAG, "Age: 5"),
            after=5,
        ),
    ),
    case(
        "9110 13.2.2",
        MUST,
        "a condition comes before a range",
        WHOLE,
        ask("Range: bytes=0-3", 'If-None-Match: "a"', source=CACHE, status=304),
    ),
    case(
        "9110 13.2.2",
        MUST,
        "a condition that does not hold leaves the range",
        WHOLE,
        ask("Range: bytes=0-3", 'If-None-Match: "b"', source=CACHE, status=206, content=b"0123"),
    ),
    case(
        "9110 14.2",
        MUST,
        "a range means nothing to 404",
        ask(reply=reply(FRESH, status=404, body=DIGITS)),
        ask("Range: bytes=0-3", source=CACHE),
    ),
    case(
        "9110 14.2",
        MUST,
        "a range means nothing to POST",
        ask("Range: bytes=0-3", method="POST", body=b"x", reply=reply(body=DIGITS)),
    ),
    case(
        "9111 3.3",
        MUST,
        "a part of the origin's is not the whole",
        ask(
            "Range: bytes=0-3",
            reply=reply(FRESH, TAG, "Content-Range: bytes 0-3/10", status=206, body=b"0123"),
        ),
        ask(reply=reply(FRESH, TAG, body=DIGITS), source=ORIGIN),
    ),
    case(
        "9111 3.3",
        MUST,
        "a part of the origin's is not another part",
        ask(
            "Range: bytes=0-3",
            reply=reply(FRESH, TAG, "Content-Range: bytes 0-3/10", status=206, body=b"0123"),
        ),
        ask(
            "Range: bytes=4-5",
            reply=reply(FRESH, TAG, "Content-Range: bytes 4-5/10", status=206, body=b"45"),
            source=ORIGIN,
        ),
    ),
    case(
        "9111 3.3",
        MUST,
        "a part without a range that was asked for is not the whole",
        ask(reply=reply(FRESH, TAG, "Content-Range: bytes 0-3/10", status=206, body=b"0123")),
        ask(reply=reply(FRESH, TAG, body=DIGITS), source=ORIGIN),
    ),
    case(
        "9111 3.3",
        MUST,
        "416 of the origin answers no other range",
        ask(
            "Range: bytes=20-",
            reply=reply(FRESH, "Content-Range: bytes */10", status=416, body=b""),
        ),
        ask(reply=reply(FRESH, body=DIGITS), source=ORIGIN),
    ),
    case(
        "9111 3.3",
        MUST,
        "a part that breaks off makes no stored whole shorter",
        WHOLE,
        ask(
            "Range: bytes=0-3",
            "Cache-Control: no-cache",
            reply=reply(FRESH, TAG, "Content-Range: bytes 0-3/10", status=206, body=b"0123"),
            source=ANY,
        ),
        ask(source=ANY, reply=reply(FRESH, TAG, body=DIGITS), status=200, content=DIGITS),
    ),
    case(
        "9110 14.2",
        MAY,
        "the whole that answers a range is stored",
        ask("Range: bytes=0-3", reply=reply(FRESH, TAG, body=DIGITS), source=ANY),
        ask(source=CACHE, status=200, content=DIGITS),
    ),
    case(
        "9110 14.2",
        MUST,
        "a stale whole gives no part",
        WHOLE,
        ask(
            "Range: bytes=0-3",
            reply=reply(
                "Cache-Control: no-store", "Content-Range: bytes 0-3/10", status=206, body=b"abcd"
            ),
            source=ORIGIN,
            after=60,
        ),
    ),
    case(
        "9110 15.3.7.2",
        MUST,
        "several parts have a Content-Range each and none for all",
        WHOLE,
        ask("Range: bytes=0-0, 5-5", source=CACHE, status=206, lacks=("content-range",)),
    ),
    part(MAY, "several parts of which one is beyond the end", "bytes=20-30, 4-5", b"45", "4-5"),
    case(
        "9110 13.1.5",
        MUST,
        "If-Range without a range means nothing",
        WHOLE,
        ask('If-Range: "b"', source=CACHE),
    ),
    case(
        "9110 13.1.5",
        MUST,
        "If-Range with a date that is too young to be strong",
        ask(reply=reply(FRESH, "Last-Modified: {+0}", body=DIGITS)),
        ask(
            "Range: bytes=0-3",
            "If-Range: {-5}",
            source=CACHE,
            after=5,
            status=200,
            lacks=("content-range",),
        ),
    ),
    case(
        "9110 14.2",
        MAY,
        "a range of a variant",
        ask("X-A: 1", reply=reply(FRESH, "Vary: X-A", body=b"abcdef")),
        ask("X-A: 2", reply=reply(FRESH, "Vary: X-A", body=DIGITS)),
        ask("X-A: 1", "Range: bytes=-2", source=CACHE, status=206, content=b"ef"),
    ),
]
