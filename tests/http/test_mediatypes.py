import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.mediatypes import (
    MAX_PARAMETERS,
    MediaType,
    essence,
    has_utf8_charset,
    is_compressible,
    parse_media_type,
    parse_parameter,
    split_essence,
)


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        pytest.param(b"text/html", (b"text", b"html", ()), id="no parameters"),
        pytest.param(b"Text/HTML", (b"text", b"html", ()), id="names are lower-cased"),
        pytest.param(
            b"text/html;charset=UTF-8",
            (b"text", b"html", ((b"charset", b"utf-8"),)),
            id="charset values are lower-cased",
        ),
        pytest.param(
            b'text/html ; Charset="utf-8" ;; A="x;y\\""',
            (b"text", b"html", ((b"charset", b"utf-8"), (b"a", b'x;y"'))),
            id="white space, quotes and empty parameters",
        ),
        pytest.param(
            b"multipart/x; boundary=AbC",
            (b"multipart", b"x", ((b"boundary", b"AbC"),)),
            id="other values keep their case",
        ),
        pytest.param(b"a/b;", (b"a", b"b", ()), id="a semicolon at the end"),
        pytest.param(b"*/*", (b"*", b"*", ()), id="a media range"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"text", None, id="no subtype"),
        pytest.param(b"text/", None, id="an empty subtype"),
        pytest.param(b"/html", None, id="an empty type"),
        pytest.param(b"a/b/c", None, id="three parts"),
        pytest.param(b"text /html", None, id="white space before the slash"),
        pytest.param(b"a/b, c/d", None, id="two values joined"),
        pytest.param(b"a/b;c", None, id="a parameter without a value"),
        pytest.param(b"a/b;c=", None, id="an empty value"),
        pytest.param(b"a/b;c =d", None, id="white space before the equals sign"),
        pytest.param(b"a/b;c= d", None, id="white space after the equals sign"),
        pytest.param(b'a/b;c="d', None, id="a quote that never closes"),
        pytest.param(b"a/b;=d", None, id="no parameter name"),
        pytest.param(b"a/b\n", None, id="a line feed"),
    ],
)
def test_parse_media_type(
    value: bytes, media_type: tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]] | None
) -> None:
    assert parse_media_type(value) == media_type
    if media_type is not None:
        assert essence(value) == media_type[0] + b"/" + media_type[1]
        assert split_essence(value) == media_type[:2]


def test_the_number_of_parameters_is_bounded() -> None:
    most = b"a/b" + b";x=1" * MAX_PARAMETERS
    assert parse_media_type(most) is not None
    assert parse_media_type(most + b";x=1") is None


@given(st.binary())
def test_any_bytes_are_a_media_type_or_none(value: bytes) -> None:
    media_type = parse_media_type(value)
    assert media_type is None or isinstance(media_type, MediaType)
    assert parse_parameter(value) is None or b"=" in value
    assert essence(value) == b"" or split_essence(value) is not None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"", b""),
        (b"json", b""),
        (b"application/json", b"application/json"),
        (b" Application/JSON ; charset=x", b"application/json"),
        (b"application/json;garbage;;=", b"application/json"),
        (b"a/b, c/d", b""),
        (b"a/b c", b""),
    ],
)
def test_essence(value: bytes, name: bytes) -> None:
    assert essence(value) == name


@pytest.mark.parametrize(
    ("value", "is_utf8"),
    [
        (b"application/json", True),
        (b"application/json; charset=utf-8", True),
        (b'application/json; charset="UTF-8"', True),
        (b"application/json; charset=utf8", True),
        (b"application/json; charset=US-ASCII", True),
        (b"application/json; profile=x", True),
        (b"application/json; charset=iso-8859-1", False),
        (b"application/json; charset=utf-16", False),
        (b"application/json; charset=utf-8; charset=utf-16", False),
        (b"application/json; charset", False),
        (b"application/json; charset=", False),
        (b"json", False),
        (b"", False),
    ],
)
def test_has_utf8_charset(value: bytes, is_utf8: bool) -> None:
    assert has_utf8_charset(value) is is_utf8


@pytest.mark.parametrize(
    "name",
    [
        *(b"text/html", b"text/plain", b"text/event-stream", b"text/x-anything"),
        *(b"application/json", b"application/problem+json", b"application/x-ndjson"),
        *(b"application/vnd.msgpack", b"application/msgpack", b"application/x-msgpack"),
        *(b"application/xml", b"application/atom+xml", b"image/svg+xml"),
        *(b"application/javascript", b"application/wasm", b"application/manifest+json"),
        *(b"application/x-www-form-urlencoded", b"application/protobuf", b"application/cbor"),
        *(b"application/yaml", b"application/vnd.oai.openapi"),
        *(b"font/ttf", b"font/otf", b"application/vnd.ms-fontobject", b"model/gltf+json"),
    ],
)
def test_compressible(name: bytes) -> None:
    assert is_compressible(name)


@pytest.mark.parametrize(
    "name",
    [
        *(b"", b"application/octet-stream", b"application/pdf", b"application/grpc"),
        *(b"application/zip", b"application/gzip", b"application/zstd", b"application/epub+zip"),
        *(b"image/png", b"image/jpeg", b"image/webp", b"video/mp4", b"audio/mpeg"),
        *(b"font/woff", b"font/woff2", b"multipart/byteranges", b"application/json+unknown"),
    ],
)
def test_not_compressible(name: bytes) -> None:
    assert not is_compressible(name)
    assert is_compressible(name, frozenset({name}))
