"""The bytes of what the library keeps in a store that others may write to, too.

A record is `magic, checksum, time of expiry, length of the key, key, content`. What is damaged,
lies under another key, or was written by something else is no record: a miss.
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
    """The record of some bytes that are kept under a key until `expires`, in Unix time."""
    encoded = encode_key(key)
    covered = b"".join((_EXPIRY.pack(expires, len(encoded)), encoded, content))
    return b"".join((_MAGIC, _checksum(covered), covered))


def unpack_record(record: bytes, key: Key, *, now: float) -> tuple[bytes, float] | None:
    """The content and how many seconds it is still to be kept; None for all that is no record."""
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
