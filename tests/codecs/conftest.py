import pytest

from asgi_serial.codecs.base import Codec
from asgi_serial.codecs.brotli_codec import BrotliCodec
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec

CODECS = {
    "gzip": ZlibCodec("gzip"),
    "gzip by zlib": ZlibCodec("gzip", accelerate=False),
    "gzip stored": ZlibCodec("gzip", 0),
    "gzip densest": ZlibCodec("gzip", 9),
    "deflate": ZlibCodec("deflate"),
    "deflate by zlib": ZlibCodec("deflate", accelerate=False),
    "br": BrotliCodec(),
    "br fastest": BrotliCodec(0),
    "br densest": BrotliCodec(11),
    "zstd": ZstdCodec(),
    "zstd fastest": ZstdCodec(-7),
    "zstd dense": ZstdCodec(12),
}


@pytest.fixture(params=list(CODECS.values()), ids=list(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param
