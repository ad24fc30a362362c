"""Read the head of a message in one loop over its field lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asgi_serial.types import Field, Fields

RESPONSE_FIELDS = frozenset(
    {
        b"accept-ranges",
        b"age",
        b"cache-control",
        b"connection",
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-location",
        b"content-md5",
        b"content-range",
        b"content-type",
        b"date",
        b"digest",
        b"etag",
        b"expires",
        b"last-modified",
        b"location",
        b"pragma",
        b"repr-digest",
        b"set-cookie",
        b"transfer-encoding",
        b"vary",
    }
)


def read_fields(
    pairs: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes]
) -> dict[bytes, bytes]:
    """The combined values of the wanted fields, by name; servers send names in lower case.

    Source: RFC 9110, 5.3: several lines of one name combine, in order, with a comma.
    """
    found: dict[bytes, bytes] = {}
    further: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        if name in wanted:
            if name not in found:
                found[name] = value
            else:
                further.setdefault(name, []).append(value)
    return _combined(found, further) if further else found


def _combined(found: dict[bytes, bytes], further: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    # Joined once: a client may send a field in a hundred thousand lines.
    for name, values in further.items():
        found[name] = b", ".join([found[name], *values])
    return found


def read_response_fields(
    pairs: Iterable[Field], wanted: frozenset[bytes] = RESPONSE_FIELDS
) -> tuple[Fields, dict[bytes, bytes]]:
    """The pairs with lower-case names (the same list where it has them), and the wanted fields.

    Source: RFC 9110, 5.1: field names are case-insensitive; apps do not all write them small.
    """
    if type(pairs) is not list:
        # Any iterable is allowed, and a generator gives its pairs only once.
        pairs = [(name, value) for name, value in pairs]
    found: dict[bytes, bytes] = {}
    try:
        for name, value in pairs:
            if name in wanted:
                if name in found or type(value) is not bytes:
                    return _read_unusual(pairs, wanted)
                found[name] = value
            elif type(name) is not bytes or (not name.islower() and name != name.lower()):
                return _read_unusual(pairs, wanted)
    except TypeError:  # a name that has no hash: a buffer
        return _read_unusual(pairs, wanted)
    return pairs, found


def _read_unusual(pairs: Fields, wanted: frozenset[bytes]) -> tuple[Fields, dict[bytes, bytes]]:
    """The same for any pairs: with names in capitals, lines that combine, or buffers for bytes."""
    made = [(bytes(name).lower(), bytes(value)) for name, value in pairs]
    return pairs if made == pairs and _are_bytes(pairs) else made, read_fields(made, wanted)


def _are_bytes(pairs: Fields) -> bool:
    return all(type(name) is type(value) is bytes for name, value in pairs)


def without(pairs: Iterable[tuple[bytes, bytes]], names: frozenset[bytes] | set[bytes]) -> Fields:
    """A new list of the pairs whose names are not among `names`."""
    return [pair for pair in pairs if pair[0] not in names]


def content_length(fields: Mapping[bytes, bytes]) -> int | None:
    """The declared length of the body in bytes; None where it is missing or no number."""
    return parse_length(fields.get(b"content-length"))


def contradicts(fields: Mapping[bytes, bytes], size_bytes: int) -> bool:
    """Whether another length is declared than the body has."""
    length = content_length(fields)
    return length is not None and length != size_bytes


def states_its_end(status: int, fields: Mapping[bytes, bytes]) -> bool:
    """Whether the head says where the content ends, so that one that broke off can be told.

    A last message alone does not say so: behind some middleware an app that fails in the middle of
    its response ends it as if it were whole, and raises afterwards.

    Source: RFC 9112, 8: a message is complete by its Content-Length; without, by the word of its
    sender. RFC 9110, 14.4 and 15.3.5: Content-Range says it too, and a 204 has no content.
    """
    return status in (204, 206) or content_length(fields) is not None


def parse_length(value: bytes | None) -> int | None:
    """The number that a Content-Length says; None where it is missing or no number."""
    # int() takes signs, spaces and underscores as well; and 19 digits hold any length there is.
    if value is None or not value.isdigit() or len(value) > 19:
        return None
    return int(value)
