"""The fields and the tags of each variant of a response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.engine.variant_tags import TagSuffixes
from asgi_serial.http.validators import parse_entity_tag, unmap_condition
from asgi_serial.representation.variant import (
    Base,
    content_tag,
    not_modified_fields,
    represent,
    shown_tag,
)
from tests.engine.making import MSGPACK

CODINGS = ("zstd", "br", "gzip")
SUFFIXES = TagSuffixes(CODINGS)
VARIANTS = [(media_type, coding) for media_type in ("", MSGPACK) for coding in ("", *CODINGS)]


def base(*pairs, vary=b"accept-encoding", weak=False, **more):
    fields = dict(pairs)
    return Base(list(pairs), fields, vary, fields.get(b"etag"), weak, SUFFIXES, **more)


@pytest.mark.parametrize(
    ("variant", "suffix"),
    [
        (("", ""), b""),
        (("", "br"), b"br"),
        ((MSGPACK, ""), b"msgpack"),
        (("application/x-msgpack", "br"), b"msgpack-br"),
    ],
)
def test_the_suffix_of_a_variant(variant, suffix):
    assert SUFFIXES[variant] == suffix
    assert not suffix or suffix in SUFFIXES.known


PAIRS = [
    (b"content-type", b"application/json"),
    (b"x-one", b"1"),
    (b"content-length", b"9000"),
    (b"set-cookie", b"a=1"),
    (b"accept-ranges", b"bytes"),
    (b"set-cookie", b"b=2"),
    (b"content-md5", b"x"),
    (b"etag", b'"1"'),
]


def test_the_apps_own_form_keeps_all_that_is_said_of_it():
    made, etag = represent(base(*PAIRS), "", "", None)
    assert made == [*PAIRS, (b"vary", b"accept-encoding")]
    assert etag == b'"1"'


def test_another_form_keeps_what_is_still_true_and_its_order():
    made, etag = represent(base(*PAIRS), MSGPACK, "br", b"123")
    assert made == [
        (b"x-one", b"1"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-type", MSGPACK.encode()),
        (b"content-encoding", b"br"),
        (b"content-length", b"3"),
        (b"etag", b'"1-msgpack-br"'),
        (b"vary", b"accept-encoding"),
    ]
    assert etag == b'"1-msgpack-br"'


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_list_is_a_new_one(variant):
    one = base(*PAIRS, vary=None if variant == ("", "") else b"accept")
    made, _ = represent(one, *variant, None)
    assert made is not one.pairs
    made.clear()
    assert one.pairs == PAIRS


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_a_streamed_body_has_no_length(variant):
    assert b"content-length" not in dict(represent(base(*PAIRS), *variant, None)[0])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("vary", "made"), [((), b"a, accept"), (((b"vary", b"a"), (b"vary", b"b")), b"a, accept")]
)
def test_vary_is_written_once(variant, vary, made):
    fields, _ = represent(base((b"x", b"y"), *vary, vary=b"a, accept"), *variant, None)
    assert [value for name, value in fields if name == b"vary"] == [made]


def test_vary_is_left_as_it_is_where_nothing_is_negotiated():
    pairs = [(b"vary", b"a"), (b"x", b"y"), (b"vary", b"b")]
    assert represent(base(*pairs, vary=None), "", "", None)[0] == pairs


@pytest.mark.parametrize(
    ("etag", "weak", "expected"),
    [
        pytest.param(b'"1"', False, b'"1-br"', id="strong where bytes are equal each time"),
        pytest.param(b'"1"', True, b'W/"1-br"', id="weak where they depend on the cuts"),
        pytest.param(b'W/"1"', False, b'W/"1-br"', id="weak stays weak"),
        pytest.param(b'"1-gzip"', False, b'"1-gzip-identity-br"', id="the app's is protected"),
        pytest.param(b"1", False, None, id="what is no tag is none of another form"),
    ],
)
def test_the_tag_of_an_encoded_variant(etag, weak, expected):
    made, tag = represent(base((b"etag", etag), weak=weak), "", "br", b"1")
    assert dict(made).get(b"etag") == tag == expected


def test_what_is_no_tag_goes_with_the_apps_own_form_only_and_matches_nothing():
    made, etag = represent(base((b"etag", b"1")), "", "", None)
    assert (dict(made)[b"etag"], etag) == (b"1", None)
    made, etag = represent(base((b"etag", b"1")), "", "br", b"1")
    assert (dict(made).get(b"etag"), etag) == (None, None)


def test_the_tag_that_a_write_gives_stays():
    made, _ = represent(base((b"etag", b'"1"'), is_read=False), "", "br", b"1")
    assert dict(made)[b"etag"] == b'"1"'


_opaques = st.binary(max_size=12).map(lambda data: data.translate(bytes(range(256)), b'"\x7f'))
_opaques = _opaques.filter(lambda data: all(byte > 0x20 for byte in data))
_endings = st.sampled_from(
    [b"", b"-gzip", b"-identity", b"-msgpack", b"-msgpack-br", b"-br-identity"]
)


@given(_opaques, _endings, st.booleans())
def test_every_variant_has_a_tag_of_its_own_that_leads_back_to_the_apps(opaque, ending, is_weak):
    """RFC 9110, 8.8.3: no two representations share a strong tag."""
    own = b'%s"%s%s"' % (b"W/" if is_weak else b"", opaque, ending)
    tags = {}
    for variant in VARIANTS:
        tag = represent(base((b"etag", own)), *variant, b"1")[1]
        tags[tag] = variant
        assert parse_entity_tag(tag).weak is is_weak
        assert unmap_condition(tag, SUFFIXES[variant], SUFFIXES.known) == own
    assert len(tags) == len(VARIANTS)


@given(_opaques, _opaques)
def test_no_tag_of_the_app_is_one_of_a_variant_of_another(one, other):
    tags = {}
    for opaque in {one, other, one + b"-gzip", one + b"-gzip-identity"}:
        for variant in VARIANTS:
            tags[represent(base((b"etag", b'"%s"' % opaque)), *variant, b"1")[1]] = opaque, variant
    assert len(tags) == len({one, other, one + b"-gzip", one + b"-gzip-identity"}) * len(VARIANTS)


def test_equal_content_has_equal_tags_and_other_content_others():
    assert content_tag(b"a") == content_tag(b"a") != content_tag(b"b")
    tag = parse_entity_tag(content_tag(b"a"))
    assert not tag.weak
    assert b"-" not in tag.opaque  # which ends in no suffix


def test_a_tag_that_is_made_stands_in_the_fields():
    tagged = base((b"x", b"y")).tagged(b'"2"')
    assert dict(represent(tagged, "", "", None)[0])[b"etag"] == b'"2"'
    assert dict(represent(tagged, "", "br", b"1")[0])[b"etag"] == b'"2-br"'


def test_a_304_has_what_selects_and_renews_the_stored_response():
    """RFC 9110, 15.4.5."""
    kept = [
        (b"cache-control", b"max-age=60"),
        (b"content-location", b"/a"),
        (b"date", b"x"),
        (b"etag", b'"1"'),
        (b"expires", b"x"),
        (b"vary", b"accept"),
        (b"set-cookie", b"a=1"),
    ]
    dropped = [
        (b"content-type", b"text/html"),
        (b"content-length", b"9"),
        (b"content-encoding", b"br"),
        (b"content-language", b"de"),
        (b"content-digest", b"x"),
        (b"repr-digest", b"x"),
        (b"last-modified", b"x"),
        (b"transfer-encoding", b"chunked"),
    ]
    assert not_modified_fields([*dropped, *kept]) == kept


@pytest.mark.parametrize(
    ("own", "media_type", "coding", "condition", "shown"),
    [
        (b'"1"', "", "br", b'"1-br"', b'"1-br"'),
        (b'"1"', "", "br", b'W/"1-br"', b'W/"1-br"'),
        (b'"1"', "", "br", b'"0", "1"', b'"1"'),
        (b'"1"', "", "br", b'W/"1"', b'"1"'),
        (b'"1"', "", "br", b'"1", "1-br"', b'"1-br"'),
        (b'"1"', "", "br", b'"1-gzip"', b'"1"'),
        (b'"1"', "", "br", b"*", b'"1"'),
        (b'"1"', MSGPACK, "br", b'"1-msgpack-br"', b'"1-msgpack-br"'),
        (b'"1"', MSGPACK, "br", b'"1-msgpack"', b'"1-msgpack"'),
        (b'"1"', MSGPACK, "", b'W/"1-msgpack"', b'W/"1-msgpack"'),
        (b'W/"1"', "", "", b'"1"', b'W/"1"'),
        (b'W/"1"', "", "br", b'"0", "1"', b'W/"1"'),
        (b'W/"1"', "", "br", b'"1-br"', b'W/"1-br"'),
        (b'W/"1"', MSGPACK, "", b'"1-msgpack"', b'W/"1-msgpack"'),
        (b'W/"1-br"', "", "", b'"1-br-identity"', b'W/"1-br-identity"'),
    ],
)
def test_the_tag_that_a_304_shows(own, media_type, coding, condition, shown):
    """RFC 9110, 15.4.5 and 13.1.2: that of a 200, by weak comparison with the client's."""
    assert shown_tag(base(), own, (media_type,), coding, condition) == shown


def test_what_is_no_tag_is_shown_as_it_is():
    assert shown_tag(base(), b"1", ("",), "br", b'"1-br"') == b"1"
