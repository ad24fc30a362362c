"""The binary form of entries in a store, and of keys.

A record is `magic, revision, checksum, key, kind, content`. The checksum covers everything after
it, and the key is a digest of 32 bytes. So damaged records, records of another key, and values that
other software wrote are recognised, and treated as misses. Integers are big-endian, and strings are
preceded by their lengths.
"""

import struct
from hashlib import blake2b
from math import isfinite

from asgi_serial.cache.entry import (
    UNKNOWN_FIELDS,
    Entry,
    Key,
    Representation,
    Terms,
    Variant,
    VaryIndex,
)
from asgi_serial.cache.key import EXTRA, REALM, SCHEME, place_of, resource_of
from asgi_serial.reasons import REASONS
from asgi_serial.types import Fields

REVISION = 5
"""The revision of the layout; records of other revisions are treated as misses."""

_CHECKSUM_BYTES = 16
_PROOF_BYTES = 32
_PREFIX = b"\xa9asgi\xff" + bytes([REVISION])
_HEAD_BYTES = len(_PREFIX) + _CHECKSUM_BYTES
_ENTRY, _VARY_INDEX = 1, 2
_AUTHORIZED, _BY_FORMAT, _BY_CODING, _WITH_COOKIES, _WITH_UNKNOWN = 1, 2, 4, 8, 16
_ALL_FLAGS = _AUTHORIZED | _BY_FORMAT | _BY_CODING | _WITH_COOKIES | _WITH_UNKNOWN
_CREDENTIALS = {
    b"authorization": _AUTHORIZED,
    b"cookie": _WITH_COOKIES,
    UNKNOWN_FIELDS: _WITH_UNKNOWN,
}
# A length that no string has; it represents None.
_NONE = 0xFFFFFFFF
# More fields than any server accepts; a record with more is invalid.
_MAX_FIELDS = 4096
_MAX_REPRESENTATIONS = 256
_MAX_REASONS = 16

_LENGTH = struct.Struct("!I")
_TIME = struct.Struct("!d")
_ENTRY_HEAD = struct.Struct("!HdddBBddQ")
# The boolean terms, as the bits of one byte. A time that is not stated is negative.
_SWITCHES = ("no_cache", "must_revalidate", "immutable", "has_validator", "has_tag")
_UNSTATED = -1.0


def encode_key(key: Key) -> bytes:
    """Encode a key so that keys with different values, types or boundaries never coincide.

    Raises: TypeError for a part that is neither str, bytes, None, nor a tuple of these.
    """
    out: list[bytes] = []
    _append_part(out, key)
    return b"".join(out)


def digest_key(key: Key) -> str:
    """Return the name of a key in a store: 32 hexadecimal digits of BLAKE2b."""
    return blake2b(encode_key(key), digest_size=16).hexdigest()


_GROUP_DIGITS, _NAME_DIGITS = 8, 23


def name_record(key: Key, role: str = "") -> str:
    """Return the name of a response's key in a store, and of what has another `role` for the key.

    The names of one spelling of a URI begin with the same group, so that a cluster has them on one
    node. A key on the index of its URI has the same name as its resource: so both records can be
    read at once, and the proof in the record shows whether it belongs to the index.
    """
    resource = resource_of(key)
    group = digest_key((resource[REALM], *resource[SCHEME:EXTRA]))[:_GROUP_DIGITS]
    place: Key = place_of(key)
    digest = digest_key((role, place) if role else place)[:_NAME_DIGITS]
    return f"{group}-{digest}"


def _append_part(out: list[bytes], part: object) -> None:
    if isinstance(part, str):
        # Paths and queries that are not UTF-8 may contain lone surrogates.
        data = part.encode("utf-8", "surrogatepass")
        out += (b"s", _LENGTH.pack(len(data)), data)
    elif isinstance(part, bytes):
        out += (b"b", _LENGTH.pack(len(part)), part)
    elif part is None:
        out.append(b"n")
    elif isinstance(part, tuple):
        out += (b"t", _LENGTH.pack(len(part)))
        for inner in part:
            _append_part(out, inner)
    else:
        raise TypeError(f"a part of a key is {part!r}; expected str, bytes, None or a tuple.")


def pack_entry(entry: Entry) -> bytes:
    """Return the record of an entry.

    An entry with more than 4096 fields in a representation, or more than 256 representations, is
    packed, but will be a miss.
    """
    out: list[bytes] = []
    by_format, by_coding = entry.negotiates
    flags = _BY_FORMAT * by_format + _BY_CODING * by_coding
    flags += sum(flag for name, flag in _CREDENTIALS.items() if name in entry.credentialed)
    terms = entry.terms
    switches = sum(getattr(terms, name) << place for place, name in enumerate(_SWITCHES))
    times = (terms.stale_while_revalidate, terms.stale_if_error)
    stale = [_UNSTATED if seconds is None else seconds for seconds in times]
    out.append(
        _ENTRY_HEAD.pack(
            *(entry.status, entry.generated_at, entry.expires, entry.stored_until),
            *(flags, switches, *stale, entry.app_bytes),
        )
    )
    _append_string(out, entry.route.encode("utf-8", "surrogatepass"))
    out.append(_LENGTH.pack(len(entry.vary_values)))
    for name, value in entry.vary_values:
        _append_string(out, name)
        _append_string(out, value)
    out.append(_LENGTH.pack(len(entry.tags)))
    for tag in entry.tags:
        _append_string(out, tag)
    _append_fields(out, entry.fields)
    out.append(_LENGTH.pack(len(entry.representations)))
    for variant, representation in entry.representations.items():
        _append_representation(out, variant, representation)
    return _seal(entry.key, _ENTRY, out)


def pack_vary_index(index: VaryIndex, key: Key) -> bytes:
    """Return the record of the vary index of `key`."""
    out: list[bytes] = []
    out += (_TIME.pack(index.generated_at), _TIME.pack(index.until))
    _append_string(out, index.nonce)
    out.append(_LENGTH.pack(len(index.names)))
    for name in index.names:
        _append_string(out, name)
    return _seal(key, _VARY_INDEX, out)


def _append_string(out: list[bytes], data: bytes | None) -> None:
    if data is None:
        out.append(_LENGTH.pack(_NONE))
    else:
        out += (_LENGTH.pack(len(data)), data)


def _append_fields(out: list[bytes], fields: Fields) -> None:
    out.append(_LENGTH.pack(len(fields)))
    for name, value in fields:
        _append_string(out, name)
        _append_string(out, value)


def _append_representation(
    out: list[bytes], variant: Variant, representation: Representation
) -> None:
    for text in (*variant, representation.coding):
        _append_string(out, text.encode("utf-8", "surrogatepass"))
    _append_string(out, representation.etag)
    out.append(_LENGTH.pack(len(representation.reasons)))
    for reason in representation.reasons:
        _append_string(out, reason.token.encode())
    _append_fields(out, representation.fields)
    _append_string(out, representation.body)


def _seal(key: Key, kind: int, content: list[bytes]) -> bytes:
    covered = b"".join((_proof_of(key), bytes((kind,)), *content))
    return b"".join((_PREFIX, _checksum(covered), covered))


def _proof_of(key: Key) -> bytes:
    # A digest, since a client can make the key itself as long as a server allows.
    return blake2b(encode_key(key), digest_size=_PROOF_BYTES).digest()


def _checksum(covered: bytes | memoryview) -> bytes:
    return blake2b(covered, digest_size=_CHECKSUM_BYTES).digest()


def unpack_record(data: bytes, key: Key) -> Entry | VaryIndex | None:
    """Return the entry or vary index that was packed for `key`; None for any other bytes."""
    if not data.startswith(_PREFIX) or len(data) < _HEAD_BYTES:
        return None
    if _checksum(memoryview(data)[_HEAD_BYTES:]) != data[len(_PREFIX) : _HEAD_BYTES]:
        return None
    reader = _Reader(data, _HEAD_BYTES)
    try:
        if reader.take(_PROOF_BYTES) != _proof_of(key):
            return None
        kind = reader.take(1)[0]
        record: Entry | VaryIndex | None = None
        if kind == _ENTRY:
            record = _read_entry(reader, key)
        elif kind == _VARY_INDEX:
            record = _read_vary_index(reader)
        return record if reader.position == len(data) else None
    except (_Malformed, UnicodeDecodeError):
        return None


class _Malformed(Exception):
    """The content of a record does not match its layout."""


class _Reader:
    """A position in a record; it raises _Malformed rather than read beyond the end."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise _Malformed
        return self.data[start : self.position]

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def count(self, limit: int) -> int:
        number = self.integer()
        if number > limit:
            raise _Malformed
        return number

    def optional_string(self) -> bytes | None:
        length = self.integer()
        return None if length == _NONE else self.take(length)

    def string(self) -> bytes:
        data = self.optional_string()
        if data is None:
            raise _Malformed
        return data

    def text(self) -> str:
        return self.string().decode("utf-8", "surrogatepass")


def _read_entry(reader: _Reader, key: Key) -> Entry:
    head = _ENTRY_HEAD.unpack(reader.take(_ENTRY_HEAD.size))
    status, generated_at, expires, stored_until, flags, switches, *stale, app_bytes = head
    if not all(map(isfinite, (generated_at, expires, stored_until, *stale))):
        raise _Malformed
    if flags > _ALL_FLAGS or switches >> len(_SWITCHES):
        raise _Malformed
    terms = Terms(
        *(bool(switches >> place & 1) for place in range(len(_SWITCHES))),
        *(None if seconds == _UNSTATED else seconds for seconds in stale),
    )
    route = reader.text()
    vary_values = tuple(
        (reader.string(), reader.optional_string()) for _ in range(reader.count(_MAX_FIELDS))
    )
    tags = tuple(reader.string() for _ in range(reader.count(_MAX_FIELDS)))
    fields = _read_fields(reader)
    representations = dict(
        _read_representation(reader) for _ in range(reader.count(_MAX_REPRESENTATIONS))
    )
    return Entry(
        key,
        status,
        fields,
        generated_at=generated_at,
        expires=expires,
        credentialed=frozenset(name for name, flag in _CREDENTIALS.items() if flags & flag),
        route=route,
        vary_values=vary_values,
        negotiates=(bool(flags & _BY_FORMAT), bool(flags & _BY_CODING)),
        representations=representations,
        app_bytes=app_bytes,
        stored_until=stored_until,
        terms=terms,
        tags=tags,
    )


def _read_fields(reader: _Reader) -> Fields:
    return [(reader.string(), reader.string()) for _ in range(reader.count(_MAX_FIELDS))]


def _read_representation(reader: _Reader) -> tuple[Variant, Representation]:
    variant = (reader.text(), reader.text())
    coding = reader.text()
    etag = reader.optional_string()
    names = [reader.text() for _ in range(reader.count(_MAX_REASONS))]
    # Another release may give reasons that this one does not know.
    reasons = tuple([REASONS[name] for name in names if name in REASONS])
    fields = _read_fields(reader)
    return variant, Representation(fields, reader.string(), coding, etag, reasons)


def _read_vary_index(reader: _Reader) -> VaryIndex:
    (generated_at,), (until,) = (_TIME.unpack(reader.take(_TIME.size)) for _ in range(2))
    if not (isfinite(generated_at) and isfinite(until)):
        raise _Malformed
    nonce = reader.string()
    names = tuple(reader.string() for _ in range(reader.count(_MAX_FIELDS)))
    return VaryIndex(names, nonce, generated_at, until)
