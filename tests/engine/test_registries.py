"""A coding and a format that stand in the registries alone take part in everything."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from asgi_serial.codecs import registry as codings
from asgi_serial.codecs.base import Coding
from asgi_serial.codecs.bounded import BoundedDecoder
from asgi_serial.codecs.levels import Levels
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats import registry as formats
from asgi_serial.formats.base import Format
from asgi_serial.settings.model import Settings

from .driver import Request, Whole, ask, awaited, serial_of

DOCUMENT = {"names": ["a name that repeats"] * 50, "nothing": None}
JSON = json.dumps(DOCUMENT).encode()
HEX = JSON.hex().encode()
FRESH = {"cache_control": "max-age=60"}
AS_JSON = {"content_type": "application/json"}


class ShuffleCodec(ZlibCodec):
    """zlib's format with all bits turned: no other codec reads it."""

    def __init__(self, level: int | None) -> None:
        super().__init__("deflate", level)
        self.name: Any = "x-turned"

    def compress(self, data: bytes) -> bytes:
        return turned(super().compress(data))

    def encoder(self, *, event_stream: bool = False) -> Any:
        return TurningEncoder(super().encoder(event_stream=event_stream))

    def decoder(self) -> Any:
        return TurningDecoder(super().decoder())


class TurningEncoder:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        return turned(self._inner.feed(data, flush=flush))

    def finish(self) -> bytes:
        return turned(self._inner.finish())


class TurningDecoder:
    def __init__(self, inner: BoundedDecoder) -> None:
        self._inner = inner
        self.finish = inner.finish

    @property
    def members(self) -> int:
        return self._inner.members

    def decode_at_once(self, data: bytes) -> bytes | None:
        return self._inner.decode_at_once(turned(data))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        return self._inner.pieces(turned(data))

    def feed(self, data: bytes, *, limit: int) -> bytes:
        return self._inner.feed(turned(data), limit=limit)


def turned(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


class HexTranscoder:
    """JSON in hexadecimal digits."""

    from_json_offload_bytes = to_json_offload_bytes = 100_000

    def from_json(self, data: bytes) -> bytes:
        return data.hex().encode()

    def to_json(self, data: bytes) -> bytes:
        try:
            return bytes.fromhex(data.decode())
        except ValueError as error:
            raise FormatError(f"not hexadecimal: {error}") from None


TURNED = Coding("x-turned", ShuffleCodec, Levels(0, 9, 6), aliases=("x-turn",))
HEXADECIMAL = Format(
    "hex",
    ("application/hex", "application/x-hex"),
    lambda max_depth: HexTranscoder(),
    losses=(),
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "CODINGS", (*codings.CODINGS, TURNED))
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, HEXADECIMAL))


def serving(app: Any, **options: Any) -> Any:
    return serial_of(app, codings="x-turned, gzip", min_size=100, **options)


def wanting(accept: str, **fields: str) -> Request:
    return Request(fields=(("accept", accept),)).having(**fields)


@awaited
async def test_a_response_is_sent_in_both_and_stored_and_confirmed() -> None:
    app = Whole(JSON, **AS_JSON, **FRESH, etag='"v1"', content_length=str(len(JSON)))
    serial = serving(app)
    request = wanting("application/x-hex", accept_encoding="x-turn")
    first, second = await ask(serial, request), await ask(serial, request)
    for answer in (first, second):
        assert (answer.media_type, answer.coding) == ("application/x-hex", "x-turned")
        assert zlib.decompress(turned(answer.body)) == HEX
        assert answer.one("etag") == '"v1-hex-x_turned"'
        assert answer.vary == ["accept", "accept-encoding"]
    assert [first.cached, second.cached] == ["fwd=uri-miss, stored", "hit"]
    confirmed = await ask(serial, request.having(if_none_match='"v1-hex-x_turned"'))
    assert (confirmed.status, confirmed.cached) == (304, "hit")


@awaited
async def test_other_variants_are_made_of_the_stored_response_without_the_app() -> None:
    app = Whole(HEX, content_type="application/hex", **FRESH)
    serial = serving(app)
    await ask(serial, wanting("application/hex", accept_encoding="x-turned"))
    answer = await ask(serial, wanting("application/json"))
    assert (answer.media_type, answer.cached, answer.document) == (
        "application/json",
        "hit",
        DOCUMENT,
    )


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        pytest.param("application/json, application/hex;q=0.5", "application/json", id="JSON"),
        pytest.param("application/json, application/hex", "application/hex", id="the app's own"),
        pytest.param(
            "application/msgpack, application/json;q=0.5", "application/json", id="JSON at most"
        ),
        pytest.param("*/*", "application/hex", id="anything"),
    ],
)
@awaited
async def test_an_app_may_answer_in_the_format(accept: str, sent: str) -> None:
    answer = await ask(serving(Whole(HEX, content_type="application/hex")), wanting(accept))
    assert answer.media_type == sent
    assert answer.body == (JSON if sent == "application/json" else HEX)


@awaited
async def test_an_upload_is_decoded_and_translated() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((dict(scope["headers"]), await receive()))
        await Whole(b"done", content_type="text/plain")(scope, receive, send)

    request = Request(
        "POST",
        fields=(("content-type", "application/x-hex"), ("content-encoding", "x-turn")),
        body=(turned(zlib.compress(HEX)),),
    )
    answer = await ask(serving(app, format_uploads="on"), request)
    assert answer.status == 200
    [(fields, message)] = seen
    assert message["body"] == JSON
    assert fields[b"content-type"] == b"application/json"
    assert b"content-encoding" not in fields


@awaited
async def test_clients_are_told_of_both() -> None:
    serial = serving(Whole(JSON, **AS_JSON), format_strict=True)
    encoded = Request("POST", fields=(("content-encoding", "lzma"),), body=(b"x",))
    refused = await ask(serial, encoded)
    assert (refused.status, refused.one("accept-encoding")) == (
        415,
        "zstd, br, gzip, deflate, x-turned",
    )
    unacceptable = await ask(serial, wanting("text/html"))
    assert unacceptable.status == 406
    assert b"application/hex, application/x-hex" in unacceptable.body


def test_a_wrong_coding_is_explained_with_all_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="zstd, br, gzip, deflate, x-turned, each"):
        Settings.load({"codings": "lzma"}, {})
