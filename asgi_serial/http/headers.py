"""Read the fields of a message in one pass over its field lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asgi_serial.http.field_names import RESPONSE_FIELDS
from asgi_serial.types import Field, Fields


def read_fields(
    pairs: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes]
) -> dict[bytes, bytes]:
    """Return the combined values of the wanted fields, by lower-case name.

    Names in `pairs` must be in lower case, as ASGI servers send them.

    Source: RFC 9110, 5.3: field lines with the same name are combined in order, with commas.
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


def combine_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the combined values of all fields, by name (RFC 9110, 5.3)."""
    lines: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        lines.setdefault(name, []).append(value)
    return {name: _joiner(name).join(values) for name, values in lines.items()}


def _combined(found: dict[bytes, bytes], further: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    # Joined once, since a client may send a field in a hundred thousand lines, and joining them
    # one by one would take quadratic time.
    for name, values in further.items():
        found[name] = _joiner(name).join([found[name], *values])
    return found


def _joiner(name: bytes) -> bytes:
    """Return what stands between the combined values of a field.

    RFC 9113, 8.2.3: cookies in several fields are joined by `; ` before they are passed on.
    """
    return b"; " if name == b"cookie" else b", "


def read_response_fields(
    pairs: Iterable[Field], wanted: frozenset[bytes] = RESPONSE_FIELDS
) -> tuple[Fields, dict[bytes, bytes]]:
    """Return the pairs with lower-case names, and the values of the wanted fields.

    The list itself is returned if its names are in lower case already.

    Source: RFC 9110, 5.1: field names are case-insensitive. ASGI asks apps for lower case, but
    not all of them comply.
    """
    if type(pairs) is not list:
        # ASGI allows any iterable, and a generator can be read only once.
        pairs = [(name, value) for name, value in pairs]
    found: dict[bytes, bytes] = {}
    try:
        for name, value in pairs:
            if name in wanted:
                if name in found or type(value) is not bytes or type(name) is not bytes:
                    return _read_unusual(pairs, wanted)
                found[name] = value
            elif type(name) is not bytes or (not name.islower() and name != name.lower()):
                return _read_unusual(pairs, wanted)
    except TypeError:  # an unhashable name, such as a bytearray
        return _read_unusual(pairs, wanted)
    return pairs, found


def _read_unusual(pairs: Fields, wanted: frozenset[bytes]) -> tuple[Fields, dict[bytes, bytes]]:
    """Read pairs with upper-case names, repeated names, or buffers in place of bytes."""
    made = [(bytes(name).lower(), bytes(value)) for name, value in pairs]
    return pairs if made == pairs and _are_bytes(pairs) else made, read_fields(made, wanted)


def _are_bytes(pairs: Fields) -> bool:
    return all(type(name) is type(value) is bytes for name, value in pairs)


def without(pairs: Iterable[tuple[bytes, bytes]], names: frozenset[bytes] | set[bytes]) -> Fields:
    """Return a new list of the pairs whose names are not in `names`."""
    return [pair for pair in pairs if pair[0] not in names]


def without_fields(
    pairs: Iterable[tuple[bytes, bytes]], names: frozenset[bytes], fields: Mapping[bytes, bytes]
) -> Fields:
    """Return a new list of the pairs whose names are not in `names`.

    `fields` has the combined values of all fields, by name. Usually there is one line for each,
    which is found without a loop in Python.
    """
    made = list(pairs)
    try:
        for name in names.intersection(fields):
            made.remove((name, fields[name]))
    except ValueError:  # several lines, which the value combines
        return without(made, names)
    return made


def content_length(fields: Mapping[bytes, bytes]) -> int | None:
    """Return the declared length of the body in bytes; None if it is missing or not a number."""
    return parse_length(fields.get(b"content-length"))


def contradicts(fields: Mapping[bytes, bytes], size_bytes: int) -> bool:
    """Whether the declared length differs from that of the body."""
    declared = fields.get(b"content-length")
    if declared is None or declared == b"%d" % size_bytes:
        return False
    return parse_length(declared) not in (None, size_bytes)


def states_its_end(status: int, fields: Mapping[bytes, bytes]) -> bool:
    """Whether the head says where the content ends, so that a truncated body can be detected.

    A final message is no proof: behind some middleware an app that fails in the middle of its
    response sends a regular end first and raises afterwards.

    Source: RFC 9112, 8: a message is complete when the octets of its Content-Length have been
    received. RFC 9110, 14.4 and 15.3.5: Content-Range gives the length, and a 204 has no content.
    """
    return status in (204, 206) or content_length(fields) is not None


def parse_length(value: bytes | None) -> int | None:
    """Return the number of a Content-Length value; None if it is missing or not a number."""
    # int() also accepts signs, spaces and underscores. 19 digits hold any length that occurs.
    if value is None or not value.isdigit() or len(value) > 19:
        return None
    return int(value)
