"""Conversion of scopes with parts that can be read only once."""

from asgi_serial.types import Fields, Scope


def keep_iterators(scope: Scope) -> Fields:
    """Replace parts that can be read only once by lists and tuples; return the field lines.

    Source: ASGI, HTTP connection scope: `headers` is an iterable of two-item iterables, `client`
    and `server` are two-item iterables.
    """
    pairs = scope["headers"]
    if _is_read_once(pairs) or any(map(_is_read_once, pairs)):
        scope["headers"] = [tuple(pair) for pair in pairs]
    for name in ("client", "server"):
        if name in scope and _is_read_once(scope[name]):
            scope[name] = tuple(scope[name])
    headers: Fields = scope["headers"]
    return headers


def _is_read_once(value: object) -> bool:
    return hasattr(value, "__next__")
