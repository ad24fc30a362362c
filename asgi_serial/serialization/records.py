"""The binary form of cached values in a store that other software may write to as well.

A record is `magic, checksum, time of expiry, length of the key, key, content`. Records that are
damaged, belong to another key or were written by something else are treated as misses.
"""

import struct
from hashlib import blake2b

from asgi_serial.cache.entry import Key
from asgi_serial.cache.packing import encode_key

_MAGIC = b"\xa9asgs\xff\x01"
_CHECKSUM_BYTES = 16
_HEAD_BYTES = len(_MAGIC) + _CHECKSUM_BYTES
_EXPIRY = struct.Struct("!dI")


def pack_record(key: Key, content: bytes, *, expires: float) -> bytes:
    """Return the record of a content that expires at `expires`, in epoch seconds."""
    encoded = encode_key(key)
    covered = b"".join((_EXPIRY.pack(expires, len(encoded)), encoded, content))
    return b"".join((_MAGIC, _checksum(covered), covered))


def unpack_record(record: bytes, key: Key, *, now: float) -> tuple[bytes, float] | None:
    """Return the content and its remaining lifetime in seconds; None if the record is invalid."""
    if not record.startswith(_MAGIC) or len(record) < _HEAD_BYTES + _EXPIRY.size:
        return None
    covered = record[_HEAD_BYTES:]
    if _checksum(covered) != record[len(_MAGIC) : _HEAD_BYTES]:
        return None
    expires, key_bytes = _EXPIRY.unpack_from(covered)
    end = _EXPIRY.size + key_bytes
    if covered[_EXPIRY.size : end] != encode_key(key) or not now < expires:
        return None
    return covered[end:], expires - now


def _checksum(covered: bytes) -> bytes:
    return blake2b(covered, digest_size=_CHECKSUM_BYTES).digest()
