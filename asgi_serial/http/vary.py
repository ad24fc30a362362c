"""Vary: the request fields that select among the stored responses of one resource."""

from collections.abc import Mapping

from asgi_serial.http.fields import MAX_LIST_BYTES, is_token, split_list, split_parameters

_ACCEPT_FIELDS = frozenset({b"accept", b"accept-charset", b"accept-encoding", b"accept-language"})
_MAX_NORMALISED_BYTES = 4096  # no honest client sends more, and 64 kB would take 30 ms
_CASELESS_FIELDS = frozenset({b"accept-charset", b"accept-encoding", b"accept-language"})


def vary_names(vary: bytes) -> tuple[bytes, ...] | None:
    """Return the names in a Vary value, in lower case and sorted.

    None for a value with `*`, which no request matches. None also for one that is longer than
    MAX_LIST_BYTES or holds anything but field names: it cannot be known what such a response
    varies on.

    Source: RFC 9111, 4.1.
    """
    if not vary:
        return ()
    if len(vary) > MAX_LIST_BYTES:
        return None
    names = {name.lower() for name in split_list(vary)}
    return None if b"*" in names or not all(map(is_token, names)) else tuple(sorted(names))


def vary_values(
    names: tuple[bytes, ...], request: Mapping[bytes, bytes]
) -> tuple[bytes | None, ...]:
    """Return a request's values of the fields in Vary, in that order; None for an absent field.

    In the fields of negotiation, whose syntax is known, white space and case are normalised where
    they mean nothing; other fields are compared as they came.

    Source: RFC 9111, 4.1.
    """
    return tuple(_normalised(name, request.get(name)) for name in names)


def _normalised(name: bytes, value: bytes | None) -> bytes | None:
    if value is None or name not in _ACCEPT_FIELDS or len(value) > _MAX_NORMALISED_BYTES:
        return value
    if name in _CASELESS_FIELDS:
        value = value.lower()
    return b",".join(b";".join(split_parameters(element)) for element in split_list(value))
