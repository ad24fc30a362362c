import pytest

from asgi_serial.formats.registry import FORMATS, build_translations, format_name


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        pytest.param("application/json", "json", id="JSON by its name"),
        pytest.param("application/vnd.msgpack", "msgpack", id="MessagePack by its registered name"),
        pytest.param("application/msgpack", "msgpack", id="MessagePack by its common name"),
        pytest.param("application/x-msgpack", "msgpack", id="MessagePack by its old name"),
        pytest.param("application/cbor", "cbor", id="CBOR by its name"),
        pytest.param("application/senml+cbor", "", id="a suffix does not make it CBOR"),
        pytest.param("application/cbor-seq", "", id="a sequence of CBOR is another type"),
        pytest.param("application/problem+json", "", id="a suffix does not make it JSON"),
        pytest.param("text/json", "", id="another type"),
        pytest.param("application/*", "", id="a range names no format"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_media_type_names_at_most_one_format(media_type, name):
    assert format_name(media_type) == name


def test_every_format_is_translated_to_json_and_from_it_under_each_of_its_names():
    translations = build_translations(max_depth=200)
    for one in FORMATS:
        back = translations[one.name, "application/json"]
        for media_type in one.media_types:
            written = translations["json", media_type].translate(b'{"a":[1,null]}')
            assert back.translate(written) == b'{"a":[1,null]}'


def test_names_and_media_types_of_formats_are_distinct():
    names = ["json", *(one.name for one in FORMATS)]
    types = ["application/json", *(name for one in FORMATS for name in one.media_types)]
    assert len(set(names)) == len(names)
    assert len(set(types)) == len(types)
