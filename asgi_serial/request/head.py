"""What the engine reads of a message's head, in one loop over its field lines."""

from asgi_serial.http.headers import _combined
from asgi_serial.http.request_fields import CLIENT
from asgi_serial.request.client import has_known_client
from asgi_serial.types import Scope


def keep_iterators(scope: Scope) -> None:
    """Put lists and tuples in place of what can be read only once, for us, the app and others.

    Source: ASGI, HTTP connection scope: `headers` is an iterable of two-item iterables, `client`
    and `server` are two-item iterables.
    """
    pairs = scope["headers"]
    if _is_read_once(pairs) or any(map(_is_read_once, pairs)):
        scope["headers"] = [tuple(pair) for pair in pairs]
    for name in ("client", "server"):
        if name in scope and _is_read_once(scope[name]):
            scope[name] = tuple(scope[name])


def _is_read_once(value: object) -> bool:
    return hasattr(value, "__next__")


def read_request_fields(scope: Scope, ignored: frozenset[bytes]) -> dict[bytes, bytes]:
    """Return the combined values of all fields of a request but the ignored ones, by name.

    That is as fast as to look for those that are wanted, and overlooks none. Servers send names in
    lower case; in any other spelling a field is another one. A client whom the scope tells of
    stands among them as `CLIENT`.

    Source: RFC 9110, 5.3, as for `read_fields`.
    """
    found: dict[bytes, bytes] = {}
    further: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        if name in ignored:
            continue
        if name not in found:
            found[name] = value
        else:
            further.setdefault(name, []).append(value)
    extensions = scope.get("extensions")
    tells = "user" in scope or "auth" in scope or (extensions and "tls" in extensions)
    if tells and has_known_client(scope):
        found[CLIENT] = b""
    return _combined(found, further) if further else found
