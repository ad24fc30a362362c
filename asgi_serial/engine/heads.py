"""What the engine reads of a message's head, in one loop over its field lines."""

from collections.abc import Iterable, Mapping

from asgi_serial.types import Field, Fields


def read_fields(pairs: Iterable[Field]) -> dict[bytes, bytes]:
    """The combined value of every field, by its name in lower case, as servers send it.

    Source: RFC 9110, 5.3: several lines of one name combine, in order, with a comma.
    """
    pairs = pairs if type(pairs) is list else list(pairs)
    # Most heads repeat no name, and then this one call has read it all.
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _combine(pairs)


def read_response_fields(pairs: Fields) -> tuple[Fields, dict[bytes, bytes]]:
    """The pairs with lower-case names (the same list where they have them), and their values.

    Source: RFC 9110, 5.1: field names are case-insensitive; apps do not all write them small.
    """
    fields = dict(pairs)
    if len(fields) == len(pairs) and b"".join(fields).islower():
        return pairs, fields
    if not b"".join(fields).islower():
        pairs = [(bytes(name).lower(), value) for name, value in pairs]
    return pairs, _combine(pairs)


def _combine(pairs: Fields) -> dict[bytes, bytes]:
    combined: dict[bytes, bytes] = {}
    for name, value in pairs:
        combined[name] = value if name not in combined else combined[name] + b", " + value
    return combined


def without(pairs: Iterable[tuple[bytes, bytes]], names: frozenset[bytes] | set[bytes]) -> Fields:
    """A new list of the pairs whose names are not among `names`."""
    return [pair for pair in pairs if pair[0] not in names]


def content_length(fields: Mapping[bytes, bytes]) -> int | None:
    """The declared length of the body in bytes; None where it is missing or no number."""
    value = fields.get(b"content-length")
    # int() takes signs, spaces and underscores as well; and 19 digits hold any length there is.
    if value is None or not value.isdigit() or len(value) > 19:
        return None
    return int(value)
