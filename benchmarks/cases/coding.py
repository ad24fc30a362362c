"""Bodies that are encoded: all the CPU that a request takes, on every thread."""

import gzip
import sys
from collections.abc import Awaitable, Callable

import brotli
import msgpack
import orjson
from isal import isal_zlib

from benchmarks.apps import document, plain_app, reading_app
from benchmarks.cases.subjects import COMPRESSION_ONLY, OFF, against_fastest, ours
from benchmarks.meters import Comparison
from benchmarks.peers import by_brotli_asgi, by_gzip_middleware, compressed, packed
from benchmarks.traffic import Answer, Request, Subject

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
    "gzip": gzip.decompress,
}

# One-shot calls, as the default settings have it.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, ZSTD_LEVEL),
    "br": lambda body: brotli.compress(body, quality=BROTLI_LEVEL),
    "gzip": lambda body: isal_zlib.compress(body, ISAL_LEVEL, wbits=31),
}

MSGPACK = b"application/vnd.msgpack"


def encoded(coding: str, size: int) -> Callable[[], Awaitable[Comparison]]:
    """The case of one coding at one size; what the app repeats is not remembered."""

    async def case() -> Comparison:
        return Comparison(against_fastest, **_encoders(coding, document(size)))

    return case


def encoded_bytes(coding: str, size: int) -> Callable[[], Awaitable[float]]:
    """The case of the size that comes out."""

    async def case() -> float:
        subjects = _encoders(coding, document(size))
        sizes = {name: len((await each.prove()).body) for name, each in subjects.items()}
        return against_fastest(dict(sizes))

    return case


def _encoders(coding: str, body: bytes) -> dict[str, Subject]:
    app, request = plain_app(body), Request({b"accept-encoding": coding.encode()})

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


def to_msgpack(size: int) -> Callable[[], Awaitable[Comparison]]:
    """The case of JSON that goes out as MessagePack."""

    async def case() -> Comparison:
        body = document(size)
        app, request = plain_app(body), Request({b"accept": MSGPACK})

        def is_packed(answer: Answer) -> bool:
            return answer.get(b"content-type") == MSGPACK and (
                msgpack.unpackb(answer.body) == orjson.loads(body)
            )

        return Comparison(
            against_fastest,
            ours=Subject(
                ours(app, **(OFF | {"formats": True}), encodings_cache=False), request, is_packed
            ),
            msgpack_asgi=Subject(packed(app), request, is_packed),
        )

    return case


def from_msgpack(size: int) -> Callable[[], Awaitable[Comparison]]:
    """The case of a request in MessagePack that the app reads as JSON."""

    async def case() -> Comparison:
        value = orjson.loads(document(size))
        seen: list[bytes] = []
        app = reading_app(seen)
        fields = {b"content-type": MSGPACK, b"accept": b"application/json"}
        request = Request(fields, method="POST", body=msgpack.packb(value))

        def is_read(answer: Answer) -> bool:
            return answer.status == 200 and orjson.loads(seen[-1]) == value

        return Comparison(
            against_fastest,
            ours=Subject(
                ours(app, **(OFF | {"formats": True}), format_uploads="on"), request, is_read
            ),
            msgpack_asgi=Subject(packed(app), request, is_read),
        )

    return case
