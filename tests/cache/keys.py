"""Keys of requests whose fields are given by name."""

from typing import NamedTuple

from asgi_serial.cache.key import make_key, read_key_fields


class _Fields(NamedTuple):
    method: str
    host_at: int | None
    origin_at: int | None
    proto: bytes | None
    unusual: tuple[tuple[bytes, bytes | None], ...]


def make_key_from(realm, scope, method, fields, query, extra=(), body=None):
    """The key of a request with these fields, whatever their order."""
    places = {name: place for place, name in enumerate(fields)}
    key_fields = _Fields(
        method, places.get(b"host"), places.get(b"origin"), *read_key_fields(fields)
    )
    return make_key(realm, scope, key_fields, list(fields.items()), query, extra, body)
