import math
import sys

import msgpack
import pytest

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.transcoding import build_transcoder

ENGINES = ("msgspec", "msgpack")
every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
@pytest.mark.parametrize(
    ("text", "packed"),
    [
        pytest.param(b"1", b"\x01", id="an integer stays one"),
        pytest.param(b"1.0", b"\xcb\x3f\xf0" + b"\0" * 6, id="a float without fraction stays one"),
        pytest.param(b"-0.0", b"\xcb\x80" + b"\0" * 7, id="the sign of zero is kept"),
        pytest.param(b"18446744073709551615", b"\xcf" + b"\xff" * 8, id="the greatest integer"),
        pytest.param(b"-9223372036854775808", b"\xd3\x80" + b"\0" * 7, id="the least integer"),
        pytest.param(b'{"b":[null,true],"a":""}', b"\x82\xa1b\x92\xc0\xc3\xa1a\xa0", id="order"),
        pytest.param('"é\U0001f600"'.encode(), b"\xa6\xc3\xa9\xf0\x9f\x98\x80", id="any character"),
    ],
)
def test_what_both_formats_have_goes_both_ways(engine, text, packed):
    transcoder = build_transcoder(engine)
    assert transcoder.from_json(text) == packed
    assert transcoder.to_json(packed) == text


@every_engine
@pytest.mark.parametrize(
    ("packed", "text"),
    [
        pytest.param(b"\xd1\0\x01", b"1", id="an integer wider than it needs"),
        pytest.param(b"\xca\x3d\xcc\xcc\xcd", b"0.10000000149011612", id="a float of 32 bits"),
        pytest.param(b"\xde\0\x01\xd9\x01a\xc0", b'{"a":null}', id="lengths wider than they need"),
        pytest.param(b"\x92\xc0\xcd\x7f\xff", b"[null,32767]", id="bytes that only look like NaN"),
        pytest.param(b"\x93\xc0\xcd\xcb\x7f\xcc\xf1", b"[null,52095,241]", id="more of these"),
        pytest.param(b"\x94\xc0\xcd\xca\xff\xcc\x80\xc0", b"[null,51967,128,null]", id="and more"),
        pytest.param(
            b"\x95\xc0\xcd\x01\xcb\x7f\xe0\x01", b"[null,459,127,-32,1]", id="a short one"
        ),
        pytest.param(
            b"\x92\xc0\xcf\0\0\0\0\xcb\x7f\xf8\x01", b"[null,3414161409]", id="a NaN in an integer"
        ),
    ],
)
def test_forms_of_messagepack_that_are_not_the_shortest(engine, packed, text):
    assert build_transcoder(engine).to_json(packed) == text


@every_engine
@pytest.mark.parametrize(
    ("data", "message", "position", "path"),
    [
        pytest.param(
            b"\x81\xa5items\x92\x01\x81\xa4blob\xc4\x01x",
            "binary value",
            15,
            "$.items[1].blob",
            id="a binary",
        ),
        pytest.param(b"\x91\xd6\xff\0\0\0\x01", "extension type -1", 1, "$[0]", id="a timestamp"),
        pytest.param(b"\xc7\x05\xff12345", "extension type -1", 0, "$", id="a false timestamp"),
        pytest.param(b"\xd4\x05x", "extension type 5", 0, "$", id="an extension type"),
        pytest.param(b"\xcb\x7f\xf8" + b"\0" * 6, "number nan", 0, "$", id="NaN"),
        pytest.param(b"\xcb\xff\xff" + b"\xff" * 6, "number nan", 0, "$", id="another NaN"),
        pytest.param(b"\x91\xcb\x7f\xf0" + b"\0" * 6, "number inf", 1, "$[0]", id="infinity"),
        pytest.param(b"\xca\xff\x80\0\0", "number -inf", 0, "$", id="minus infinity of 32 bits"),
        pytest.param(b"\xca\x7f\xc0\0\0", "number nan", 0, "$", id="NaN of 32 bits"),
        pytest.param(
            b"\x92\xcd\xcb\x7f\xcb\x7f\xf8" + b"\0" * 6,
            "number nan",
            4,
            "$[1]",
            id="NaN behind bytes that look like it",
        ),
        pytest.param(b"\x81\x01\x02", "not a string", 1, "$", id="an integer as a key"),
        pytest.param(b"\x81\xc4\x01a\x02", "not a string", 1, "$", id="a binary as a key"),
        pytest.param(b"\x81\x90\x02", "not a string", 1, "$", id="an array as a key"),
        pytest.param(b"\x81\x80\x02", "not a string", 1, "$", id="a map as a key"),
        pytest.param(b"\x82\xa1a\x01\xa1a\x01", "'a' repeated", 4, "$.a", id="a key twice"),
        pytest.param(
            b"\x91\x82\xa1a\x01\xd9\x01a\x01", "'a' repeated", 5, "$[0].a", id="in two forms"
        ),
        pytest.param(b"\x91\xa1\xff", "not UTF-8", 1, "$[0]", id="a string that is not UTF-8"),
        pytest.param(b"\xa3\xed\xa0\x80", "not UTF-8", 0, "$", id="a surrogate in UTF-8"),
        pytest.param(b"\x91" * 201 + b"\xc0", "beyond 200 levels", 200, None, id="too many levels"),
        pytest.param(b"\x91" * 100_000, "beyond 200 levels", 200, None, id="a depth bomb"),
        pytest.param(b"\xdc\xff\xff" * 9, "document ends", 0, "$", id="lengths that lie"),
        pytest.param(b"\x01\x01", "bytes follow", 1, None, id="two documents"),
        pytest.param(b"", "document ends", 0, "$", id="an empty body"),
    ],
)
def test_what_json_can_not_carry_is_refused_with_its_place(engine, data, message, position, path):
    with pytest.raises(FormatError, match=message) as caught:
        build_transcoder(engine).to_json(data)
    assert caught.value.position == position
    assert path is None or caught.value.path == path


@every_engine
@pytest.mark.parametrize(
    ("tail", "message"),
    [
        pytest.param(b"\xcb\x7f\xf8" + b"\0" * 6, "NaN or an infinity", id="NaN"),
        pytest.param(b"\x82\xa1a\x01\xa1a\x01", "repeats a name", id="a key twice"),
        pytest.param(b"\xc0\xc0", "bytes follow", id="two documents"),
    ],
)
def test_a_fault_far_down_a_long_document_is_refused_without_its_place(engine, tail, message):
    data = b"\xdd\x00\x01\x00\x00" + b"\x01" * 0xFFFF + tail
    with pytest.raises(FormatError, match=message) as caught:
        build_transcoder(engine).to_json(data)
    assert caught.value.position is None


@every_engine
@pytest.mark.parametrize("max_depth", [1, 200, 254])
def test_depth_is_bounded_exactly_both_ways(engine, max_depth):
    transcoder = build_transcoder(engine, max_depth=max_depth)
    text = b"[" * max_depth + b"]" * max_depth
    packed = b"\x91" * (max_depth - 1) + b"\x90"
    assert transcoder.from_json(text) == packed
    assert transcoder.to_json(packed) == text
    with pytest.raises(FormatError, match=f"beyond {max_depth} levels"):
        transcoder.from_json(b"[" + text + b"]")
    with pytest.raises(FormatError, match=f"beyond {max_depth} levels"):
        transcoder.to_json(b"\x91" + packed)


@every_engine
def test_a_nearly_exhausted_stack_is_no_fault_of_a_document(engine):
    """How deep a document may be must not depend on how deep the stack of the reader is."""
    transcoder = build_transcoder(engine)
    text = b" " + b"[" * 190 + b"]" * 190
    packed = b"\x91" * 189 + b"\x90"
    unusual = b"\xdc\x00\x01" * 189 + b"\x90"

    def descend(levels):
        if levels:
            return descend(levels - 1)
        read = {transcoder.to_json(packed), transcoder.to_json(unusual)}
        # What cannot be written in another format stays JSON.
        try:
            return read, type(transcoder.from_json(text))
        except FormatError as error:
            return read, type(error)

    depth = len(_frames())
    for left in (20, 60):
        read, outcome = descend(sys.getrecursionlimit() - depth - left)
        assert read == {text.lstrip()}
        assert outcome in (bytes, FormatError)


def _frames():
    frames, frame = [], sys._getframe()
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames


def test_msgpack_is_written_alike_by_either_engine_and_by_the_default():
    value = {"id": 7, "score": math.pi}
    for transcoder in (build_transcoder(), *map(build_transcoder, ENGINES)):
        assert transcoder.from_json(b'{"id":7,"score":3.141592653589793}') == msgpack.packb(value)
        assert transcoder.to_json(msgpack.packb(value)) == b'{"id":7,"score":3.141592653589793}'


def test_a_document_beyond_the_given_depth_is_refused():
    transcoder = build_transcoder(max_depth=1)
    with pytest.raises(FormatError, match="beyond 1 levels"):
        transcoder.from_json(b"[[]]")
    with pytest.raises(FormatError, match="beyond 1 levels"):
        transcoder.to_json(b"\x91\x90")


def test_wrong_settings_are_refused_at_construction():
    with pytest.raises(ConfigurationError, match="engine is 'fast'"):
        build_transcoder("fast")
    with pytest.raises(ConfigurationError, match="max_depth is 1000"):
        build_transcoder(max_depth=1000)
