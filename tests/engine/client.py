"""What a client that knows every coding and both formats makes of a response."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import brotli
import msgpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from .driver import Recording

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
    "deflate": zlib.decompress,
}
MSGPACK_TYPES = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")


class Answer(NamedTuple):
    """What a client that knows every coding and both formats understands of a response."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes  # as it came
    content: bytes  # without its content codings, unless it is a part
    document: Any  # what a JSON or MessagePack content says, None for others
    media_type: str
    coding: str
    is_whole: bool
    trailers: tuple[tuple[bytes, bytes], ...]

    def all(self, name: str) -> list[bytes]:
        """The values of the field lines of this name, in order."""
        return [value for other, value in self.fields if other == name.encode()]

    def one(self, name: str) -> str | None:
        """The value of a field that stands once; None where it is missing."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0].decode("latin-1") if values else None

    @property
    def vary(self) -> list[str]:
        """The members of Vary, in lower case and sorted."""
        value = self.one("vary")
        return sorted(member.strip().lower() for member in value.split(",")) if value else []

    @property
    def cached(self) -> str:
        """How the cache took part: `hit`, or the reason of its forward and what became of it."""
        value = (self.one("cache-status") or "").split("; ")[1:]
        if "hit" in value:
            return "hit"
        said = (one for one in value if one.startswith("fwd=") or one in ("stored", "collapsed"))
        return ", ".join(said)


def understand(recording: Recording) -> Answer:
    """Read a response as a client does."""
    start = recording.start
    fields = tuple(start["headers"])
    lowered = {name.lower(): value for name, value in fields}
    body = b"".join(
        one.get("body", b"") for one in recording.messages if one["type"] == "http.response.body"
    )
    last = [one for one in recording.messages if one["type"] == "http.response.body"][-1:]
    is_whole = bool(last) and not last[0].get("more_body", False)
    coding = lowered.get(b"content-encoding", b"").decode()
    media_type = lowered.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()
    content = body
    is_part = start["status"] == 206
    if body and is_whole and not is_part:
        for name in reversed([one.strip() for one in coding.split(",") if one.strip()]):
            content = DECODERS[name](content) if name in DECODERS else content
    trailers = tuple(
        pair
        for one in recording.messages
        if one["type"] == "http.response.trailers"
        for pair in one["headers"]
    )
    document = _read_document(media_type, content) if is_whole and not is_part else None
    return Answer(
        start["status"], fields, body, content, document, media_type, coding, is_whole, trailers
    )


def _read_document(media_type: str, content: bytes) -> Any:
    if not content:
        return None
    try:
        if media_type in MSGPACK_TYPES:
            return msgpack.unpackb(content, strict_map_key=False)
        if media_type == "application/json" or media_type.endswith("+json"):
            return json.loads(content)
    except ValueError:
        return content
    return None
