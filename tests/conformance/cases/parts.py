"""Parts that are stored, and put together: RFC 9111, 3.3 and 3.4; RFC 9110, 13.1.5 and 15.3.7."""

from tests.conformance.table import BROKEN, CACHE, MAY, MUST, ORIGIN, SHORT, ask, case, reply

FRESH = "Cache-Control: max-age=60"
TAG = 'ETag: "a"'
DIGITS = b"0123456789"


def part(span, *lines, body=None, fresh=FRESH, tag=TAG, **rest):
    """A 206 of the origin with these of the ten digits."""
    first, last = map(int, span.split("-"))
    content = DIGITS[first : last + 1] if body is None else body
    said = (fresh, tag, f"Content-Range: bytes {span}/10", *lines)
    return reply(*said, status=206, body=content, **rest)


def get(span, *lines, first=(), **rest):
    """A request that the origin answers by that part."""
    return ask(f"Range: bytes={span}", *first, reply=part(span, *lines, **rest))


def hit(value, content, span, *lines, **rest):
    """A request that is answered by a part that is stored."""
    return ask(
        f"Range: bytes={value}",
        *lines,
        source=CACHE,
        status=206,
        content=content,
        has=(f"Content-Range: bytes {span}/10", f"Content-Length: {len(content)}"),
        **rest,
    )


def miss(value, *lines, **rest):
    """A request with a range that has to reach the origin, as it is."""
    return ask(f"Range: bytes={value}", *lines, asked=(f"Range: bytes={value}",), **rest)


def whole(*lines, **rest):
    """A request for all of it, which the origin answers."""
    return ask(*lines, reply=reply(FRESH, TAG, body=DIGITS), source=ORIGIN, **rest)


def parts(section, strength, name, *steps):
    return case(section, strength, name, *steps, preset=True)


def not_kept(name, *lines, section="9111 3.3", then=(), **rest):
    """A part that answers no later request for the very same bytes."""
    return parts(section, MUST, name, get("0-3", *lines, **rest), miss("0-3", *then))


def complete(name, span, rest, *, bare=False):
    """A plain GET where a part is stored, for which the origin is asked for the rest."""
    lines = (FRESH, TAG) if bare else (FRESH, TAG, "X-A: 1")
    first, last = map(int, rest.split("-"))
    answer = reply(
        *lines, f"Content-Range: bytes {rest}/10", status=206, body=DIGITS[first : last + 1]
    )
    step = ask(
        reply=answer,
        status=200,
        content=DIGITS,
        has=("X-A: 1", TAG, "Content-Length: 10"),
        lacks=("content-range",),
        asked=(f"Range: bytes={rest}", 'If-Range: "a"'),
        says=("fwd=partial",),
    )
    return parts(
        "9111 3.4",
        MAY,
        name,
        get(span, "X-A: 1"),
        step,
        ask(source=CACHE, status=200, content=DIGITS),
    )


CASES = [
    # What a part answers.
    parts("9111 3.3", MAY, "the same bytes", get("2-5"), hit("2-5", b"2345", "2-5")),
    parts("9111 3.3", MAY, "bytes within it", get("2-5"), hit("3-4", b"34", "3-4")),
    parts("9111 3.3", MAY, "to the end of what ends it", get("5-9"), hit("7-", b"789", "7-9")),
    parts("9111 3.3", MAY, "the last bytes", get("5-9"), hit("-3", b"789", "7-9")),
    parts("9111 3.3", MAY, "beyond the end", get("5-9"), hit("8-99", b"89", "8-9")),
    parts(
        "9110 15.3.7",
        MUST,
        "it has the fields of the part, and an Age",
        get("2-5", "Content-Type: text/plain", "Last-Modified: {-1000}"),
        ask(
            "Range: bytes=3-4",
            source=CACHE,
            status=206,
            content=b"34",
            has=(FRESH, TAG, "Content-Type: text/plain", "Age: 5"),
            says=("hit", "ttl=55"),
            after=5,
        ),
    ),
    parts(
        "9530 2",
        MUST,
        "a digest of the content of one part is not that of another",
        get("2-5", "Content-Digest: sha-256=:AAAA:", "Repr-Digest: sha-256=:BBBB:"),
        ask(
            "Range: bytes=3-4",
            source=CACHE,
            status=206,
            content=b"34",
            has=("Repr-Digest: sha-256=:BBBB:",),
            lacks=("content-digest",),
        ),
    ),
    parts(
        "9110 15.3.7",
        MAY,
        "a part of what the origin has encoded",
        get("2-5", "Content-Encoding: gzip"),
        ask(
            "Range: bytes=3-4",
            source=CACHE,
            status=206,
            content=b"34",
            has=("Content-Encoding: gzip",),
        ),
    ),
    parts(
        "9110 14.1.1",
        MAY,
        "a part that was not the one asked for",
        ask("Range: bytes=0-3", reply=part("2-5")),
        hit("2-5", b"2345", "2-5"),
    ),
    # What it does not.
    parts("9111 3.3", MUST, "no range at all", get("2-5"), whole(status=200)),
    parts(
        "9111 3.3", MUST, "no range at all, of what is whole but for a byte", get("0-8"), whole()
    ),
    parts("9111 3.3", MUST, "HEAD", get("2-5"), ask(method="HEAD", source=ORIGIN)),
    parts(
        "9111 3.3",
        MUST,
        "HEAD with a range",
        get("2-5"),
        ask("Range: bytes=2-5", method="HEAD", source=ORIGIN),
    ),
    parts("9111 3.3", MUST, "a byte before it", get("2-5"), miss("1-5")),
    parts("9111 3.3", MUST, "a byte after it", get("2-5"), miss("2-6")),
    parts("9111 3.3", MUST, "to an end that it lacks", get("2-5"), miss("2-")),
    parts("9111 3.3", MUST, "last bytes that it lacks", get("2-5"), miss("-4")),
    parts("9111 3.3", MUST, "from after the end", get("2-5"), miss("20-")),
    parts("9111 3.3", MUST, "several ranges", get("2-5"), miss("2-3, 4-5")),
    parts(
        "9211 2.2",
        MAY,
        "Cache-Status says that there is a part",
        get("2-5"),
        miss("1-5", says=("fwd=partial",)),
    ),
    # Conditions.
    parts(
        "9110 13.1.5",
        MAY,
        "If-Range with its tag",
        get("2-5"),
        hit("2-5", b"2345", "2-5", 'If-Range: "a"'),
    ),
    parts(
        "9110 13.1.5",
        MAY,
        "If-Range with the date of the last change",
        get("2-5", "Last-Modified: {-1000}"),
        hit("2-5", b"2345", "2-5", "If-Range: {-1000}"),
    ),
    *(
        parts("9110 13.1.5", MUST, f"If-Range with {name}", get("2-5"), miss("2-5", line))
        for name, line in (
            ("another tag", 'If-Range: "b"'),
            ("a weak tag", 'If-Range: W/"a"'),
            ("a date where there is none", "If-Range: {-1000}"),
        )
    ),
    *(
        parts("9111 4.3.2", MUST, f"a condition by {line}", get("2-5"), miss("2-5", line))
        for line in (
            'If-None-Match: "a"',
            'If-Match: "a"',
            "If-Modified-Since: {-10}",
            "If-Unmodified-Since: {+10}",
        )
    ),
    # Who may have it, and for how long.
    parts("9111 4.2", MUST, "a part that is stale", get("2-5"), miss("2-5", after=61)),
    parts(
        "9111 5.2.1.4",
        MUST,
        "no-cache of the client",
        get("2-5"),
        miss("2-5", "Cache-Control: no-cache"),
    ),
    parts(
        "9111 5.2.1.7",
        MAY,
        "only-if-cached is answered by a part",
        get("2-5"),
        hit("2-5", b"2345", "2-5", "Cache-Control: only-if-cached"),
    ),
    parts(
        "9111 5.2.1.7",
        MUST,
        "only-if-cached is not answered by too small a part",
        get("2-5"),
        ask(
            "Range: bytes=0-5",
            "Cache-Control: only-if-cached",
            source=CACHE,
            status=504,
            lacks=("content-range",),
        ),
    ),
    parts("9111 3.5", MUST, "Authorization", get("2-5"), miss("2-5", "Authorization: a")),
    parts("9111 7.3", MUST, "a cookie", get("2-5"), miss("2-5", "Cookie: a=b")),
    parts(
        "9111 4.1",
        MAY,
        "the same varying field",
        get("2-5", "Vary: X-A", first=("X-A: 1",)),
        hit("2-5", b"2345", "2-5", "X-A: 1"),
    ),
    parts(
        "9111 4.1",
        MUST,
        "another varying field",
        get("2-5", "Vary: X-A", first=("X-A: 1",)),
        miss("2-5", "X-A: 2"),
    ),
    # What is no part to be kept.
    not_kept("one that says no-store", fresh="Cache-Control: no-store, max-age=60"),
    not_kept("one that is private", fresh="Cache-Control: private, max-age=60"),
    not_kept("one that says no-cache", fresh="Cache-Control: no-cache, max-age=60"),
    not_kept("one that is stale", fresh="Cache-Control: max-age=0"),
    not_kept("one without a lifetime", fresh="X-A: 1"),
    not_kept("one that sets a cookie", "Set-Cookie: a=b"),
    not_kept("one that varies on everything", "Vary: *"),
    not_kept("one to a user", first=("Authorization: a",)),
    not_kept("one to a client that says no-store", first=("Cache-Control: no-store",)),
    not_kept("one that is shorter than it says", body=b"012"),
    not_kept("one that is longer than it says", body=b"01234"),
    not_kept("one that ends before its length", end=SHORT),
    not_kept("one that breaks off", end=BROKEN),
    not_kept("one of several types", "Content-Type: multipart/byteranges; boundary=x"),
    not_kept("one with two of Content-Range", "Content-Range: bytes 0-3/10"),
    parts(
        "9111 3.3",
        MUST,
        "one of which it is not known how long the whole is",
        ask(
            "Range: bytes=0-3",
            reply=reply(FRESH, TAG, "Content-Range: bytes 0-3/*", status=206, body=b"0123"),
        ),
        miss("0-3"),
    ),
    parts(
        "9111 3.3",
        MUST,
        "one that nobody has asked for",
        ask(reply=part("0-3")),
        miss("0-3"),
    ),
    # Together.
    parts(
        "9111 3.4",
        MAY,
        "the bytes after it",
        get("0-3"),
        get("4-6"),
        hit("2-5", b"2345", "2-5"),
    ),
    parts(
        "9111 3.4",
        MAY,
        "the bytes before it",
        get("4-6"),
        get("0-3"),
        hit("0-6", b"0123456", "0-6"),
    ),
    parts(
        "9111 3.4",
        MAY,
        "bytes of which it has some",
        get("0-4"),
        get("3-6"),
        hit("0-6", b"0123456", "0-6"),
    ),
    parts(
        "9111 3.4",
        MUST,
        "the fields of the later part go before",
        get("0-3", "X-A: 1", "X-B: 1"),
        get("4-6", "X-A: 2"),
        ask(
            "Range: bytes=0-3",
            source=CACHE,
            status=206,
            content=b"0123",
            has=("X-A: 2", "X-B: 1", "Content-Range: bytes 0-3/10"),
        ),
    ),
    parts(
        "9111 3.4",
        MUST,
        "the later part says for how long",
        get("0-3", fresh="Cache-Control: max-age=600"),
        get("4-6", fresh="Cache-Control: max-age=10"),
        miss("0-3", after=11),
    ),
    parts(
        "9111 3.4",
        MUST,
        "the later part does not say that for which users",
        get("0-3"),
        get("4-6", fresh="Cache-Control: public, max-age=60"),
        miss("0-3", "Authorization: a"),
    ),
    *(
        parts(
            "9110 15.3.7.3",
            MUST,
            f"parts with {name}",
            get("0-3", tag=one),
            get("4-6", tag=other),
            miss("0-6"),
        )
        for name, one, other in (
            ("two tags", 'ETag: "a"', 'ETag: "b"'),
            ("weak tags", 'ETag: W/"a"', 'ETag: W/"a"'),
            ("one tag of two", 'ETag: "a"', "X-A: 1"),
            ("a date only", "Last-Modified: {-1000}", "Last-Modified: {-1000}"),
        )
    ),
    parts(
        "9110 15.3.7.3",
        MUST,
        "a part with another tag takes the place of the one before",
        get("0-3"),
        get("4-6", tag='ETag: "b"'),
        miss("0-3"),
    ),
    *(
        parts(
            "9110 15.3.7.3",
            MUST,
            f"a part {name}, of one tag",
            get("0-3", one),
            get("4-6", other),
            miss("0-6"),
        )
        for name, one, other in (
            ("that is not encoded", "Content-Encoding: gzip", "X-A: 1"),
            ("that is encoded", "X-A: 1", "Content-Encoding: gzip"),
            ("in another coding", "Content-Encoding: gzip", "Content-Encoding: br"),
        )
    ),
    parts(
        "9110 15.3.7.3",
        MUST,
        "a part of another length is of another representation",
        get("0-3"),
        ask(
            "Range: bytes=4-6",
            reply=reply(FRESH, TAG, "Content-Range: bytes 4-6/11", status=206, body=b"456"),
        ),
        miss("0-6"),
    ),
    parts(
        "9110 15.3.7.3",
        MUST,
        "a part with other bytes is of another representation",
        get("0-3"),
        get("2-5", body=b"xxxx"),
        miss("0-5"),
    ),
    parts(
        "9111 4.1",
        MUST,
        "parts of two variants",
        get("0-3", "Vary: X-A", first=("X-A: 1",)),
        get("4-6", "Vary: X-A", first=("X-A: 2",)),
        miss("0-6", "X-A: 1"),
    ),
    parts(
        "9110 15.3.7",
        MUST,
        "a part to If-Range lacks fields, and is none of its own",
        get("0-3", first=('If-Range: "a"',)),
        miss("0-3"),
    ),
    parts(
        "9110 15.3.7",
        MAY,
        "a part to If-Range has the fields of the one before",
        get("0-3", "Content-Type: text/plain"),
        get("4-6", first=('If-Range: "a"',)),
        ask(
            "Range: bytes=4-5",
            source=CACHE,
            status=206,
            content=b"45",
            has=("Content-Type: text/plain",),
        ),
    ),
    parts(
        "9110 15.3.7",
        MAY,
        "one far from it too",
        get("0-1", "Content-Type: text/plain"),
        get("4-6", first=('If-Range: "a"',)),
        ask(
            "Range: bytes=4-5",
            source=CACHE,
            status=206,
            content=b"45",
            has=("Content-Type: text/plain",),
        ),
    ),
    # The whole.
    parts(
        "9111 3.4",
        MAY,
        "all parts are the whole",
        get("0-3"),
        get("4-9"),
        ask(
            source=CACHE,
            status=200,
            content=DIGITS,
            has=(TAG, "Content-Length: 10"),
            lacks=("content-range",),
        ),
    ),
    parts(
        "9111 3.4",
        MAY,
        "a part that is all of it is the whole",
        get("0-9", "X-A: 1"),
        ask(source=CACHE, status=200, content=DIGITS, has=("X-A: 1",), lacks=("content-range",)),
    ),
    parts(
        "9111 3.4",
        MAY,
        "HEAD of what was put together",
        get("0-3"),
        get("4-9"),
        ask(method="HEAD", source=CACHE, status=200, content=b"", has=("Content-Length: 10",)),
    ),
    parts(
        "9111 4.3.1",
        MAY,
        "what was put together is confirmed by its tag",
        get("0-3"),
        get("4-9"),
        ask(
            reply=reply(FRESH, TAG, status=304),
            status=200,
            content=DIGITS,
            asked=('If-None-Match: "a"',),
            after=61,
            of=2,
        ),
    ),
    parts(
        "9111 3.3",
        MUST,
        "the whole goes before a part",
        get("0-3"),
        whole(),
        hit("0-6", b"0123456", "0-6"),
    ),
    parts(
        "9111 3.3",
        MUST,
        "a part takes no place of the whole",
        whole(),
        get("0-3", tag='ETag: "b"', first=("Cache-Control: no-cache",)),
        ask(source=CACHE, status=200, content=DIGITS, has=(TAG,)),
    ),
    parts(
        "9111 3.3",
        MUST,
        "once the whole was there the part of before is not",
        get("0-3", tag='ETag: "b"', fresh="Cache-Control: max-age=600"),
        whole(),
        ask("Range: bytes=0-3", reply=part("0-3"), after=61),
    ),
    # The rest.
    complete("the end of what has begun", "0-3", "4-9"),
    complete("the start of what is the end", "4-9", "0-3"),
    complete("the last byte", "0-8", "9-9"),
    complete("a rest without the fields that are there", "0-3", "4-9", bare=True),
    parts(
        "9111 3.4",
        MAY,
        "what was completed is stored, with the fields of the rest before those of the part",
        get("0-3", "X-A: 1", "X-B: 1"),
        ask(reply=part("4-9", "X-A: 2"), status=200, content=DIGITS, says=("fwd=partial",)),
        ask(source=CACHE, status=200, content=DIGITS, has=("X-A: 2", "X-B: 1", TAG)),
    ),
    parts(
        "9111 3.4",
        MUST,
        "a rest that may not be stored completes one answer only",
        get("0-3"),
        ask(reply=part("4-9", fresh="Cache-Control: no-store"), status=200, content=DIGITS),
        ask(reply=part("4-9"), status=200, content=DIGITS),
    ),
    parts(
        "9110 13.1.5",
        MUST,
        "what has changed comes whole",
        get("0-3"),
        ask(reply=reply(FRESH, 'ETag: "b"', body=b"abc"), status=200, content=b"abc"),
        ask(source=CACHE, of=2),
    ),
    *(
        parts(
            "9110 15.3.7.3",
            MUST,
            f"{name} is not put together",
            get("0-3"),
            ask(
                reply=answer,
                again=reply(FRESH, TAG, body=b"abc"),
                status=200,
                content=b"abc",
                not_asked=("range", "if-range"),
            ),
            ask(source=CACHE, status=200, content=b"abc"),
        )
        for name, answer in (
            ("a rest of another tag", part("4-9", tag='ETag: "b"')),
            ("a rest of a weak tag", part("4-9", tag='ETag: W/"a"')),
            ("a rest without a tag", part("4-9", tag="X-A: 1")),
            ("a rest with a gap before it", part("5-9")),
            ("a rest that is too short", part("4-8")),
            ("a rest that begins too early", part("3-9")),
            ("a rest of other fields in Vary", part("4-9", "Vary: X-A")),
            ("a rest in another coding", part("4-9", "Content-Encoding: gzip")),
            ("a rest that is no part", part("4-9", "Content-Range: bytes 4-9/10")),
            ("a rest with less than it says", part("4-9", body=b"456")),
            (
                "a rest of another length",
                reply(FRESH, TAG, "Content-Range: bytes 4-9/11", status=206, body=b"456789"),
            ),
            ("nothing that there is", reply("Content-Range: bytes */3", status=416, body=b"")),
            ("nothing new", reply(TAG, status=304)),
        )
    ),
    *(
        parts(
            "9110 15.1",
            MUST,
            f"{status} in place of the rest is {status}",
            get("0-3"),
            ask(reply=reply("Cache-Control: no-store", status=status, body=b"no"), content=b"no"),
        )
        for status in (404, 500, 503)
    ),
    *(
        parts(
            "9111 3.4",
            MUST,
            f"a request with {line} gets no part that is completed",
            get("0-3"),
            ask(line, reply=reply(FRESH, TAG, body=DIGITS), not_asked=("range",)),
        )
        for line in (
            'If-None-Match: "b"',
            'If-Match: "a"',
            "If-Modified-Since: {-10}",
            "Authorization: a",
            "Cookie: a=b",
            "Cache-Control: no-cache",
        )
    ),
    parts(
        "9110 15.3.7.3",
        MUST,
        "a part of a weak tag is not completed",
        get("0-3", tag='ETag: W/"a"'),
        whole(not_asked=("range",)),
    ),
    parts(
        "9110 15.3.7.3",
        MUST,
        "a part with a date only is not completed",
        get("0-3", tag="Last-Modified: {-1000}"),
        whole(not_asked=("range",)),
    ),
    parts(
        "9111 3.4",
        MAY,
        "what lacks bytes on both sides comes whole",
        get("3-5"),
        whole(not_asked=("range",)),
    ),
    parts(
        "9111 4.2",
        MUST,
        "a stale part is not completed",
        get("0-3"),
        whole(not_asked=("range",), after=61),
    ),
    parts(
        "9111 4.4",
        MUST,
        "a part that was dropped is not completed",
        get("0-3"),
        ask(method="PUT", body=b"x"),
        whole(not_asked=("range",)),
    ),
    parts(
        "9111 3.4",
        MUST,
        "what was completed is for whom both parts are",
        get("0-3"),
        ask(
            reply=part("4-9", fresh="Cache-Control: public, max-age=60"), status=200, content=DIGITS
        ),
        ask("Authorization: a", reply=reply(FRESH, TAG, body=DIGITS)),
    ),
    parts(
        "9111 4.1",
        MUST,
        "the part of another variant is not completed",
        get("0-3", "Vary: X-A", first=("X-A: 1",)),
        whole("X-A: 2", not_asked=("range",)),
    ),
    # Writes.
    *(
        parts(
            "9111 4.4",
            MUST,
            f"{method} drops a part",
            get("0-3"),
            ask(method=method, body=b"x"),
            miss("0-3"),
        )
        for method in ("POST", "PUT", "DELETE")
    ),
    parts(
        "9111 4.4",
        MUST,
        "a write between two parts",
        get("0-3"),
        ask(method="PUT", body=b"x", reply=reply(status=204)),
        get("4-9"),
        whole(),
    ),
    case("9111 3.3", MUST, "where nothing is said of it no part is kept", get("0-3"), miss("0-3")),
]
