"""How long a response is fresh: RFC 9111, 4.2.1, 4.2.2, 5.2.2.1 and 5.2.2.10."""

from tests.conformance.table import MAY, MUST, SHOULD, not_reused, reused

CASES = [
    # The directives.
    reused("9111 5.2.2.1", MAY, "max-age, within it", "Cache-Control: max-age=60", after=59),
    not_reused("9111 4.2", MUST, "max-age, at its end", "Cache-Control: max-age=60", after=60),
    not_reused("9111 4.2", MUST, "max-age, after it", "Cache-Control: max-age=60", after=3600),
    not_reused("9111 5.2.2.1", MUST, "max-age=0", "Cache-Control: max-age=0"),
    reused("9111 5.2.2.10", MAY, "s-maxage, within it", "Cache-Control: s-maxage=60", after=59),
    not_reused(
        "9111 5.2.2.10", MUST, "s-maxage, at its end", "Cache-Control: s-maxage=60", after=60
    ),
    not_reused("9111 5.2.2.10", MUST, "s-maxage=0", "Cache-Control: s-maxage=0"),
    reused(
        "9111 5.2.2.10",
        MAY,
        "a longer s-maxage outweighs max-age",
        "Cache-Control: s-maxage=60, max-age=1",
        after=30,
    ),
    not_reused(
        "9111 5.2.2.10",
        MUST,
        "a shorter s-maxage outweighs max-age",
        "Cache-Control: max-age=60, s-maxage=1",
        after=30,
    ),
    not_reused(
        "9111 5.2.2.10",
        MUST,
        "a shorter s-maxage outweighs Expires",
        "Cache-Control: s-maxage=1",
        "Expires: {+60}",
        after=30,
    ),
    reused(
        "9111 5.3",
        MAY,
        "max-age outweighs an earlier Expires",
        "Cache-Control: max-age=60",
        "Expires: {-60}",
        after=30,
    ),
    not_reused(
        "9111 5.3",
        MUST,
        "max-age outweighs a later Expires",
        "Cache-Control: max-age=1",
        "Expires: {+60}",
        after=30,
    ),
    reused(
        "9111 5.3",
        MAY,
        "s-maxage outweighs an invalid Expires",
        "Cache-Control: s-maxage=60",
        "Expires: 0",
        after=30,
    ),
    # Its syntax.
    reused("9111 5.2", MUST, "directives in capitals", "Cache-Control: MAX-AGE=60", after=59),
    reused("9111 5.2", SHOULD, "a quoted number", 'Cache-Control: max-age="60"', after=59),
    not_reused(
        "9111 5.2", MUST, "a quoted number, after it", 'Cache-Control: max-age="60"', after=60
    ),
    reused("9111 1.2.2", MUST, "leading zeros", "Cache-Control: max-age=0060", after=59),
    not_reused(
        "9111 1.2.2", MUST, "leading zeros, after it", "Cache-Control: max-age=0060", after=60
    ),
    reused(
        "9111 1.2.2",
        MUST,
        "more seconds than 31 bits hold",
        "Cache-Control: max-age=2147483649",
        after=86_400,
    ),
    reused(
        "9111 1.2.2",
        MUST,
        "more seconds than 64 bits hold",
        "Cache-Control: max-age=99999999999999999999",
        after=86_400,
    ),
    reused("9110 5.6.1.2", MUST, "empty elements", "Cache-Control: , ,max-age=60,,, \t,", after=59),
    reused(
        "9110 5.3",
        MUST,
        "several lines",
        "Cache-Control: foo",
        "Cache-Control: max-age=60",
        after=59,
    ),
    reused(
        "9111 5.2.3",
        MUST,
        "unknown directives before and after",
        'Cache-Control: foo, bar=1, max-age=60, baz="a, b"',
        after=59,
    ),
    reused(
        "9111 5.2.3",
        MUST,
        "an unknown directive whose string looks like others",
        'Cache-Control: foo="no-store, max-age=0", max-age=60',
        after=59,
    ),
    reused(
        "9110 5.6.4",
        MUST,
        "an unknown directive whose string has an escaped quote",
        'Cache-Control: foo="\\", no-store", max-age=60',
        after=59,
    ),
    not_reused(
        "9111 5.2.3", MUST, "max-age within a string only", 'Cache-Control: foo="a, max-age=60, b"'
    ),
    not_reused(
        "9111 5.2", MUST, "max-age as the end of another name", "Cache-Control: x-max-age=60"
    ),
    not_reused(
        "9111 5.2", MUST, "max-age as the start of another name", "Cache-Control: max-age-x=60"
    ),
    *(
        not_reused("9111 4.2.1", SHOULD, f"max-age is {name}", f"Cache-Control: max-age{value}")
        for name, value in {
            "a word": "=abc",
            "negative": "=-60",
            "a decimal": "=60.5",
            "with a unit": "=60s",
            "in single quotes": "='60'",
            "empty": "=",
            "without an argument": "",
            "hexadecimal": "=0x60",
            "in other digits": "=\xb2\xb3",
            "two numbers": "=60 60",
            "with a plus": "=+60",
        }.items()
    ),
    not_reused(
        "9111 4.2.1",
        SHOULD,
        "an invalid max-age beside Expires",
        "Cache-Control: max-age=abc",
        "Expires: {+60}",
    ),
    not_reused(
        "9111 4.2.1",
        SHOULD,
        "an invalid s-maxage beside max-age",
        "Cache-Control: s-maxage=abc, max-age=60",
    ),
    # What is given twice.
    not_reused(
        "9111 4.2.1", SHOULD, "max-age twice, 0 first", "Cache-Control: max-age=0, max-age=60"
    ),
    not_reused(
        "9111 4.2.1",
        SHOULD,
        "max-age in two lines, 0 first",
        "Cache-Control: max-age=0",
        "Cache-Control: max-age=60",
    ),
    not_reused(
        "9111 4.2.1",
        SHOULD,
        "max-age twice, the first over",
        "Cache-Control: max-age=10, max-age=60",
        after=30,
    ),
    reused(
        "9111 4.2.1", MAY, "max-age twice alike", "Cache-Control: max-age=60, max-age=60", after=59
    ),
    not_reused(
        "9111 4.2.1", SHOULD, "Expires twice, past first", "Expires: {-60}", "Expires: {+60}"
    ),
    not_reused("9111 4.2.1", SHOULD, "Expires twice, 0 first", "Expires: 0", "Expires: {+60}"),
    # A guess.
    reused(
        "9111 4.2.2",
        MAY,
        "a guess from Last-Modified",
        "Last-Modified: {-864000}",
        after=3600,
        preset=True,
    ),
    not_reused(
        "9111 4.2.2",
        SHOULD,
        "a guess does not go beyond a tenth of the time since Last-Modified",
        "Last-Modified: {-36000}",
        after=3700,
        preset=True,
    ),
    not_reused(
        "9111 4.2.2",
        MUST,
        "no guess beside max-age",
        "Cache-Control: max-age=10",
        "Last-Modified: {-8640000}",
        after=20,
        preset=True,
    ),
    not_reused(
        "9111 4.2.2",
        MUST,
        "no guess beside Expires",
        "Expires: {-10}",
        "Last-Modified: {-8640000}",
        preset=True,
    ),
    not_reused(
        "9111 4.2.2",
        MUST,
        "no guess beside an invalid Expires",
        "Expires: 0",
        "Last-Modified: {-8640000}",
        preset=True,
    ),
    not_reused(
        "9111 4.2.2",
        MAY,
        "no guess from a Last-Modified that is no date",
        "Last-Modified: yesterday",
        preset=True,
    ),
]
