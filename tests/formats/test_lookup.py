import pytest

from asgi_serial.formats.lookup import format_of, wire_formats


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        pytest.param("application/json", "json", id="JSON by its name"),
        pytest.param("Application/JSON; charset=utf-8", "json", id="any case and parameters"),
        pytest.param("application/json\t; a=1", "json", id="white space before a parameter"),
        pytest.param("application/vnd.msgpack", "msgpack", id="MessagePack by its registered name"),
        pytest.param("application/msgpack", "msgpack", id="MessagePack by its common name"),
        pytest.param("application/x-msgpack", "msgpack", id="MessagePack by its old name"),
        pytest.param("application/problem+json", None, id="a suffix does not make it JSON"),
        pytest.param("text/json", None, id="another type"),
        pytest.param("application/*", None, id="a range names no format"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_media_type_names_at_most_one_format(media_type, name):
    found = format_of(media_type, wire_formats())
    assert (found.name if found else None) == name


def test_the_first_of_the_given_formats_wins():
    first, second = wire_formats()[0], wire_formats()[0]
    assert format_of("application/json", (first, second)) is first
