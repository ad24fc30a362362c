import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.validators import (
    EntityTag,
    app_tag,
    format_entity_tag,
    is_not_modified,
    parse_entity_tag,
    parse_entity_tags,
    strong_match,
    unmap_condition,
    variant_tag,
    weak_match,
)

NOW = 1_700_000_000.0
SUFFIXES = frozenset(
    {b"zstd", b"br", b"gzip", b"msgpack", b"msgpack-zstd", b"msgpack-br", b"msgpack-gzip"}
)
EARLY = b"Sun, 06 Nov 1994 08:49:37 GMT"
LATE = b"Mon, 07 Nov 1994 08:49:37 GMT"

opaques = st.lists(
    st.sampled_from([b"v1", b"identity", b"zstd", b"msgpack", b"gzip", b"x,y", b"", b"-", b"\xff"])
).map(b"-".join)
suffixes = st.sampled_from([b"", *sorted(SUFFIXES)])


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        pytest.param(b'"v1"', (False, b"v1"), id="strong"),
        pytest.param(b'W/"v1"', (True, b"v1"), id="weak"),
        pytest.param(b'""', (False, b""), id="empty"),
        pytest.param(
            b'"a,b\\"', (False, b"a,b\\"), id="a comma, and a backslash that escapes nothing"
        ),
        pytest.param(
            b'"\x21\x23\x7e\x80\xff"', (False, b"\x21\x23\x7e\x80\xff"), id="the ends of the range"
        ),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"v1", None, id="no quotes"),
        pytest.param(b'w/"v1"', None, id="a small w"),
        pytest.param(b'W"v1"', None, id="no slash"),
        pytest.param(b'W/ "v1"', None, id="a space after the slash"),
        pytest.param(b'"v1', None, id="no closing quote"),
        pytest.param(b'"v1"x', None, id="bytes after the tag"),
        pytest.param(b'"v1", "v2"', None, id="two tags"),
        pytest.param(b'"v 1"', None, id="a space inside"),
        pytest.param(b'"v\x7f"', None, id="a control byte inside"),
        pytest.param(b'"v1"\n', None, id="a line feed after it"),
        pytest.param(b"*", None, id="a star"),
    ],
)
def test_parse_entity_tag(value: bytes, tag: tuple[bool, bytes] | None) -> None:
    parsed = parse_entity_tag(value)
    assert parsed == tag
    assert parsed is None or format_entity_tag(parsed) == value


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        pytest.param(b"*", None, id="a star"),
        pytest.param(b" * ", None, id="a star in white space"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b'"a"', [b'"a"'], id="one tag"),
        pytest.param(b'"a",W/"b" ,\t"c"', [b'"a"', b'W/"b"', b'"c"'], id="three tags"),
        pytest.param(b',, "a" ,,"b",', [b'"a"', b'"b"'], id="empty elements"),
        pytest.param(b'"a,b","c,"', [b'"a,b"', b'"c,"'], id="commas in tags"),
        pytest.param(b'"a\\","b"', [b'"a\\"', b'"b"'], id="a backslash escapes nothing"),
        pytest.param(b'a, "b"', [b'"b"'], id="a tag without quotes is skipped"),
        pytest.param(b'w/"a", "b"', [b'"b"'], id="a small w is skipped"),
        pytest.param(b'"a"x, "b"', [b'"b"'], id="bytes after a tag"),
        pytest.param(b'"a" "b", "c"', [b'"c"'], id="no comma between tags"),
        pytest.param(b'"a, "b"', [b'"b"'], id="a quote that does not close"),
        pytest.param(b'"b", "a', [b'"b"'], id="a quote that never closes"),
        pytest.param(b'*, "a"', [b'"a"'], id="a star among tags is none"),
        pytest.param(b"\x00\xff", [], id="garbage"),
    ],
)
def test_parse_entity_tags(value: bytes, tags: list[bytes] | None) -> None:
    parsed = parse_entity_tags(value)
    assert (None if parsed is None else [format_entity_tag(tag) for tag in parsed]) == tags


@given(st.lists(st.tuples(st.booleans(), opaques)))
def test_a_list_of_tags_is_read_back(tags: list[tuple[bool, bytes]]) -> None:
    value = b", ".join(format_entity_tag(EntityTag(*tag)) for tag in tags)
    assert list(parse_entity_tags(value) or ()) == tags


@given(st.binary() | st.text('W/"a,\\ *', max_size=20).map(str.encode))
def test_any_bytes_are_tags_or_a_star(value: bytes) -> None:
    tags = parse_entity_tags(value)
    assert (tags is None) == (value.strip(b" \t") == b"*")
    for tag in tags or ():
        assert format_entity_tag(tag) in value
    assert unmap_condition(value, b"zstd", SUFFIXES).count(b'"') == value.count(b'"')


@pytest.mark.parametrize(
    ("a", "b", "strong", "weak"),
    [
        (b'W/"1"', b'W/"1"', False, True),
        (b'W/"1"', b'W/"2"', False, False),
        (b'W/"1"', b'"1"', False, True),
        (b'"1"', b'W/"1"', False, True),
        (b'"1"', b'"1"', True, True),
        (b'"1"', b'"2"', False, False),
    ],
)
def test_comparison(a: bytes, b: bytes, strong: bool, weak: bool) -> None:
    """RFC 9110, 8.8.3.2: the table of the two comparisons."""
    first, second = parse_entity_tag(a), parse_entity_tag(b)
    assert first is not None
    assert second is not None
    assert strong_match(first, second) is strong
    assert weak_match(first, second) is weak


@pytest.mark.parametrize(
    ("etag", "suffix", "weak", "variant"),
    [
        pytest.param(b'"v1"', b"zstd", False, b'"v1-zstd"', id="strong stays strong"),
        pytest.param(b'W/"v1"', b"zstd", False, b'W/"v1-zstd"', id="weak stays weak"),
        pytest.param(b'"v1"', b"zstd", True, b'W/"v1-zstd"', id="weakened"),
        pytest.param(b'W/"v1"', b"zstd", True, b'W/"v1-zstd"', id="weakened though weak"),
        pytest.param(b'"v1"', b"", False, b'"v1"', id="the app's own form"),
        pytest.param(b'"v1"', b"", True, b'W/"v1"', id="the app's own form, weakened"),
        pytest.param(b'""', b"br", False, b'"-br"', id="an empty tag"),
        pytest.param(b"v1", b"zstd", True, b"v1", id="no entity tag"),
    ],
)
def test_variant_tag(etag: bytes, suffix: bytes, weak: bool, variant: bytes) -> None:
    assert variant_tag(etag, suffix, weak=weak) == variant


@pytest.mark.parametrize(
    ("etag", "protected"),
    [
        pytest.param(b'"v1"', b'"v1"', id="a plain tag"),
        pytest.param(b'"v-1"', b'"v-1"', id="a tag with a hyphen"),
        pytest.param(b'"zstd"', b'"zstd"', id="a suffix without its hyphen"),
        pytest.param(b'"v1-zstd"', b'"v1-zstd-identity"', id="like a variant"),
        pytest.param(
            b'W/"v1-msgpack-br"', b'W/"v1-msgpack-br-identity"', id="weak, like a variant"
        ),
        pytest.param(b'"v1-identity"', b'"v1-identity-identity"', id="like a protected tag"),
        pytest.param(b'"-zstd"', b'"-zstd-identity"', id="nothing but a suffix"),
        pytest.param(b"v1-zstd", b"v1-zstd", id="no entity tag"),
    ],
)
def test_app_tag(etag: bytes, protected: bytes) -> None:
    assert app_tag(etag, SUFFIXES) == protected


@given(opaques, suffixes, opaques, suffixes)
def test_no_two_representations_share_a_tag(
    opaque: bytes, suffix: bytes, other_opaque: bytes, other_suffix: bytes
) -> None:
    served = variant_tag(app_tag(b'"' + opaque + b'"', SUFFIXES), suffix)
    other = variant_tag(app_tag(b'"' + other_opaque + b'"', SUFFIXES), other_suffix)
    assert (served == other) == ((opaque, suffix) == (other_opaque, other_suffix))


@given(st.lists(st.tuples(st.booleans(), opaques), max_size=4), suffixes)
def test_what_was_served_is_mapped_back(tags: list[tuple[bool, bytes]], suffix: bytes) -> None:
    own = [format_entity_tag(EntityTag(*tag)) for tag in tags]
    served = [variant_tag(app_tag(etag, SUFFIXES), suffix) for etag in own]
    assert unmap_condition(b", ".join(served), suffix, SUFFIXES) == b", ".join(own)


@given(opaques, suffixes, st.permutations([b"", *sorted(SUFFIXES)]))
def test_any_variant_is_mapped_back_once(opaque: bytes, suffix: bytes, every: list[bytes]) -> None:
    """A writing method may name any variant; the order of the suffixes makes no difference."""
    own = b'"' + opaque + b'"'
    served = variant_tag(app_tag(own, SUFFIXES), suffix)
    assert unmap_condition(served, tuple(every), SUFFIXES) == own


@pytest.mark.parametrize(
    ("value", "suffix", "mapped"),
    [
        pytest.param(b'"v1-zstd"', b"zstd", b'"v1"', id="the variant of the request"),
        pytest.param(b'W/"v1-zstd"', b"zstd", b'W/"v1"', id="a weak one"),
        pytest.param(b'"a-zstd" ,"b-zstd",x', b"zstd", b'"a" ,"b",x', id="in place in a list"),
        pytest.param(b'"v1-zstd-identity"', b"zstd", b'"v1-zstd"', id="a protected tag"),
        pytest.param(
            b'"v1-zstd-identity"', b"", b'"v1-zstd"', id="a protected tag, identity asked for"
        ),
        pytest.param(
            b'"v1-zstd-identity-br"', b"br", b'"v1-zstd"', id="the variant of a protected tag"
        ),
        pytest.param(b'"a,-zstd"', b"zstd", b'"a,"', id="a comma inside a tag"),
        pytest.param(b'"v1-msgpack-zstd"', b"msgpack-zstd", b'"v1"', id="a compound suffix"),
    ],
)
def test_unmapped(value: bytes, suffix: bytes, mapped: bytes) -> None:
    assert unmap_condition(value, suffix, SUFFIXES) == mapped


@pytest.mark.parametrize(
    ("value", "suffix"),
    [
        pytest.param(b"*", b"zstd", id="a star"),
        pytest.param(b'"v1"', b"zstd", id="a plain tag"),
        pytest.param(b'"v1-br"', b"zstd", id="another variant's tag"),
        pytest.param(b'"v1-msgpack-zstd"', b"zstd", id="a longer suffix's tag"),
        pytest.param(b'"v1-zstd"', b"", id="a variant's tag, identity asked for"),
        pytest.param(b'"v1-identity"', b"zstd", id="a tag that was never served"),
        pytest.param(b'"v1-identity-zstd"', b"zstd", id="a variant that was never served"),
        pytest.param(b"v1-zstd", b"zstd", id="no quotes"),
        pytest.param(b'"v1-zstd" x', b"zstd", id="malformed"),
    ],
)
def test_left_as_it_is(value: bytes, suffix: bytes) -> None:
    assert unmap_condition(value, suffix, SUFFIXES) is value


@pytest.mark.parametrize(
    ("request_fields", "etag", "last_modified", "not_modified"),
    [
        pytest.param({}, b'"a"', LATE, False, id="no condition"),
        pytest.param({"if-none-match": b'"a"'}, b'"a"', None, True, id="the tag matches"),
        pytest.param({"if-none-match": b'"b", W/"a"'}, b'"a"', None, True, id="weakly, in a list"),
        pytest.param({"if-none-match": b'"a"'}, b'W/"a"', None, True, id="a weak stored tag"),
        pytest.param({"if-none-match": b'"b"'}, b'"a"', None, False, id="another tag"),
        pytest.param({"if-none-match": b"*"}, None, None, True, id="a star matches anything"),
        pytest.param({"if-none-match": b'"a"'}, None, None, False, id="nothing to compare with"),
        pytest.param({"if-none-match": b'"a"'}, b"a", None, False, id="a malformed stored tag"),
        pytest.param({"if-none-match": b"a"}, b'"a"', None, False, id="a malformed condition"),
        pytest.param(
            {"if-none-match": b'"b"', "if-modified-since": LATE},
            b'"a"',
            EARLY,
            False,
            id="the tag decides",
        ),
        pytest.param(
            {"if-none-match": b"", "if-modified-since": LATE}, b'"a"', EARLY, False, id="even empty"
        ),
        pytest.param({"if-modified-since": LATE}, None, EARLY, True, id="modified before"),
        pytest.param({"if-modified-since": LATE}, b'"a"', LATE, True, id="modified at that second"),
        pytest.param({"if-modified-since": EARLY}, None, LATE, False, id="modified since"),
        pytest.param({"if-modified-since": LATE}, None, None, False, id="no date to compare with"),
        pytest.param(
            {"if-modified-since": LATE}, None, b"yesterday", False, id="an invalid stored date"
        ),
        pytest.param(
            {"if-modified-since": b"today"}, None, EARLY, False, id="an invalid date is ignored"
        ),
        pytest.param(
            {"if-modified-since": LATE + b", " + LATE},
            None,
            EARLY,
            False,
            id="two dates are ignored",
        ),
        pytest.param(
            {"if-modified-since": b"Monday, 07-Nov-94 08:49:37 GMT"},
            None,
            EARLY,
            True,
            id="an old format",
        ),
    ],
)
def test_is_not_modified(
    request_fields: dict[str, bytes],
    etag: bytes | None,
    last_modified: bytes | None,
    not_modified: bool,
) -> None:
    request = {name.encode(): value for name, value in request_fields.items()}
    assert is_not_modified(request, etag, last_modified, now=NOW) is not_modified
