"""Bodies that are encoded: all the CPU that a request takes, on every thread."""

import sys
import zlib
from collections.abc import Awaitable, Callable

import brotli
import msgpack
import orjson
from isal import isal_zlib

from asgi_serial.types import Field, Message
from benchmarks.apps import document, plain_app, reading_app
from benchmarks.cases.subjects import COMPRESSION_ONLY, OFF, against_fastest, ours
from benchmarks.meters import Comparison
from benchmarks.peers import by_brotli_asgi, by_gzip_middleware, compressed, packed
from benchmarks.traffic import BROWSER, Answer, Fields, Request, Subject

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# One level for all.
ZSTD_LEVEL = 3
BROTLI_LEVEL = 4
GZIP_LEVEL = 6
ISAL_LEVEL = 3  # for zlib's 6

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "br": brotli.decompress,
    "gzip": lambda body: zlib.decompress(body, wbits=31),
}

# One-shot calls, as the default settings have it.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, ZSTD_LEVEL),
    "br": lambda body: brotli.compress(body, quality=BROTLI_LEVEL),
    "gzip": lambda body: isal_zlib.compress(body, ISAL_LEVEL, wbits=31),
}

# The app is one that reads JSON and nothing else, as msgpack-asgi takes every app to be.
TRANSLATING = OFF | {"formats": True, "format_uploads": True}

MSGPACK = b"application/vnd.msgpack"


def encoded(coding: str, size: int) -> Callable[[Fields], Awaitable[Comparison]]:
    """The case of one coding at one size; what the app repeats is not remembered."""

    async def case(client: Fields) -> Comparison:
        return Comparison(against_fastest, **_encoders(coding, document(size), client))

    return case


def encoded_bytes(coding: str, size: int) -> Callable[[], Awaitable[float]]:
    """The case of the size that comes out."""

    async def case() -> float:
        subjects = _encoders(coding, document(size), BROWSER)
        sizes = {name: len((await each.prove()).body) for name, each in subjects.items()}
        return against_fastest(dict(sizes))

    return case


def _encoders(coding: str, body: bytes, client: Fields) -> dict[str, Subject]:
    app, request = plain_app(body), Request({b"accept-encoding": coding.encode()}, client=client)

    def is_encoded(answer: Answer) -> bool:
        return (
            answer.get(b"content-encoding") == coding.encode()
            and DECODERS[coding](answer.body) == body
        )

    served = ours(
        app,
        **COMPRESSION_ONLY,
        encodings_cache=False,
        zstd_level=ZSTD_LEVEL,
        brotli_level=BROTLI_LEVEL,
        gzip_level=GZIP_LEVEL,
    )
    apps = {
        "ours": served,
        "starlette_compress": compressed(
            app, zstd_level=ZSTD_LEVEL, brotli_quality=BROTLI_LEVEL, gzip_level=GZIP_LEVEL
        ),
    }
    if coding == "br":
        apps["brotli_asgi"] = by_brotli_asgi(app, BROTLI_LEVEL)
    if coding == "gzip":
        apps["gzip_middleware"] = by_gzip_middleware(app, GZIP_LEVEL)
    return {name: Subject(each, request, is_encoded) for name, each in apps.items()}


def to_msgpack(size: int) -> Callable[[Fields], Awaitable[Comparison]]:
    """The case of JSON that goes out as MessagePack."""

    async def case(client: Fields) -> Comparison:
        body = document(size)
        app, request = plain_app(body), Request({b"accept": MSGPACK}, client=client)

        def is_packed(answer: Answer) -> bool:
            return answer.get(b"content-type") == MSGPACK and (
                msgpack.unpackb(answer.body) == orjson.loads(body)
            )

        return Comparison(
            against_fastest,
            ours=Subject(ours(app, **TRANSLATING, encodings_cache=False), request, is_packed),
            msgpack_asgi=Subject(packed(app), request, is_packed),
        )

    return case


def decoded(coding: str, size: int) -> Callable[[Fields], Awaitable[Comparison]]:
    """The case of an encoded request, against one call of the library and nothing else."""

    async def case(client: Fields) -> Comparison:
        body = document(size)
        sent = COMPRESSORS[coding](body)
        seen: list[bytes] = []
        fields = {b"content-type": b"application/json", b"content-encoding": coding.encode()}
        request = Request(fields, client=client, method="POST", body=sent)
        served = ours(reading_app(seen), **(OFF | {"decoding": True}))
        return Comparison(
            against_fastest,
            ours=Subject(served, request, lambda answer: answer.status == 200 and seen == [body]),
            codec=OneShot(DECODERS[coding], sent, body),
        )

    return case


class OneShot(Subject):
    """A call of a codec in place of a request."""

    def __init__(self, decode: Callable[[bytes], bytes], sent: bytes, body: bytes) -> None:
        super().__init__(plain_app(b""), Request())
        self._decode, self._sent, self._body = decode, sent, body

    def read(self, requests: int) -> list[tuple[bytes, list[Field]]]:
        return [(self._sent, [])] * requests

    async def serve(self, requests: list[tuple[bytes, list[Field]]]) -> list[Message]:
        decode = self._decode
        for sent, _ in requests:
            decode(sent)
        return []

    async def prove(self) -> Answer:
        if self._decode(self._sent) != self._body:
            raise RuntimeError(f"{self._decode!r} gives another body.")
        return Answer()


def from_msgpack(size: int) -> Callable[[Fields], Awaitable[Comparison]]:
    """The case of a request in MessagePack that the app reads as JSON."""

    async def case(client: Fields) -> Comparison:
        value = orjson.loads(document(size))
        seen: list[bytes] = []
        app = reading_app(seen)
        fields = {b"content-type": MSGPACK, b"accept": b"application/json"}
        request = Request(fields, client=client, method="POST", body=msgpack.packb(value))

        def is_read(answer: Answer) -> bool:
            return answer.status == 200 and orjson.loads(seen[-1]) == value

        return Comparison(
            against_fastest,
            ours=Subject(ours(app, **TRANSLATING), request, is_read),
            msgpack_asgi=Subject(packed(app), request, is_read),
        )

    return case
