"""No field of 64 KB, however hostile, costs more than its length allows."""

import time
from collections.abc import Callable

import pytest

from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.fields import merge_vary, parse_http_date, split_list, unquote
from asgi_serial.http.freshness import parse_age
from asgi_serial.http.mediatypes import essence, has_utf8_charset, parse_media_type
from asgi_serial.http.negotiation import choose_coding, choose_format, parse_weight
from asgi_serial.http.ranges import if_range_holds, parse_range
from asgi_serial.http.targeted import parse_targeted
from asgi_serial.http.validators import parse_entity_tag, parse_entity_tags, unmap_condition
from asgi_serial.http.vary import vary_names, vary_values

SUFFIXES = frozenset({b"zstd", b"br", b"gzip", b"msgpack", b"msgpack-zstd"})

PARSERS: dict[str, Callable[[bytes], object]] = {
    "Accept": lambda value: choose_format(
        value, "application/json", (("application/msgpack", "application/x-msgpack"),)
    ),
    "Accept-Encoding": lambda value: choose_coding(value, ("zstd", "br", "gzip")),
    "Age": parse_age,
    "CDN-Cache-Control": parse_targeted,
    "CDN-Cache-Control, a list": lambda value: parse_targeted(b"a=(" + value),
    "CDN-Cache-Control, no-cache": lambda value: parse_targeted(b'no-cache="%s"' % value),
    "Cache-Control": parse_cache_control,
    "Content-Type": lambda value: (parse_media_type(value), has_utf8_charset(value)),
    "Date": lambda value: parse_http_date(value, 0.0),
    "ETag": parse_entity_tag,
    "If-None-Match": lambda value: (
        parse_entity_tags(value),
        unmap_condition(value, b"zstd", SUFFIXES),
    ),
    "If-Range": lambda value: if_range_holds(value, value, value, value, now=0.0),
    "Range": lambda value: parse_range(value, 2**40, most=100_000),
    "Range, of bytes": lambda value: parse_range(b"bytes=" + value, 2**40, most=100_000),
    "Vary": lambda value: (vary_names(value), merge_vary([value], b"accept")),
    "a list": split_list,
    "a media type's name": essence,
    "a quoted string": unquote,
    "a varying field": lambda value: vary_values((b"accept",), {b"accept": value}),
    "a weight": parse_weight,
}

PIECES = [
    *(b",", b'"', b"\\", b'\\"', b'",', b'",\\', b'"\\",', b" ", b"\t,", b"a", b"a,", b"a;", b"*,"),
    *(b";", b"=", b"a=b,", b"a/b,", b"a/b;q=0.1,", b"a/b;x=1;", b'a/b;x="', b"a/", b"q=0.", b"9"),
    *(b'"a",', b'"a-zstd",', b'W/"', b'W/"a",', b'"a,', b'"a" ', b"-zstd", b"-identity", b"0"),
    *(b"0-1,", b"9-,", b"-9,", b"9-0,", b"0-,"),
    *(b"a=1,", b"a;", b"a;a=1", b"a=(1 2),", b"1 ", b"a;b ", b":aaaa: ", b'%"%c3%a9" ', b"-", b"("),
    *(b'private="', b'private="a",', b"max-age=1,", b"no-cache,", b"x=\\,", b"GMT ", b"Sun, "),
]


FIELDS: dict[str, Callable[[int], bytes]] = {
    **{
        f"{start!r} and {piece!r} again and again": lambda size, start=start, piece=piece: (
            start + piece * (size // len(piece))
        )
        for start in (b"", b'"', b"a/b;x=")
        for piece in PIECES
    },
    "ranges that differ": lambda size: b",".join(
        b"%d-%d" % (9 * n, 9 * n) for n in range(size // 11)
    ),
    "names that differ": lambda size: b",".join(b"x%d" % n for n in range(size // 6)),
    "private fields that differ": lambda size: b",".join(
        b'private="x%d"' % n for n in range(size // 16)
    ),
    "one list of private fields": lambda size: (
        b'private="%s"' % b",".join(b"x%d" % n for n in range(size // 6))
    ),
}

LIMIT_SECONDS = 0.05


def cost(parse: Callable[[bytes], object], value: bytes) -> float:
    start = time.process_time()
    parse(value)
    return time.process_time() - start


@pytest.mark.parametrize("name", PARSERS)
def test_cost_grows_as_the_length_does(name: str) -> None:
    """Either 64 KB cost next to nothing, or not much more than 16 times what 4 KB cost."""
    parse = PARSERS[name]
    for described, field in FIELDS.items():
        long = field(65_536)
        if cost(parse, long) > LIMIT_SECONDS:
            short = field(4096)
            least = min(cost(parse, short) for _ in range(5))
            assert min(cost(parse, long) for _ in range(3)) < 48 * least, described
