"""Which URIs a write has made invalid: its own, and those of its host that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from asgi_serial.cache.key import split_host
from asgi_serial.engine.plan import request_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.types import Scope

_NAMING_FIELDS = (b"location", b"content-location")
_MAX_URI_BYTES = 8192
_SCHEMES = ("http", "https")


def invalid_keys(
    engine: Engine, request: RequestPlan, fields: Mapping[bytes, bytes]
) -> tuple[Key, ...]:
    """The key of the target URI, and those of others in Location and Content-Location.

    Source: RFC 9111, 4.4: the latter only where their origin is that of the target URI.
    """
    keys = [request_key(engine, request, None, "GET")]
    for name in _NAMING_FIELDS:
        scope = _scope_of(request, fields[name]) if name in fields else None
        if scope is not None:
            keys.append(request_key(engine, request, None, "GET", scope=scope))
    return tuple(dict.fromkeys(keys))


def target_uri(request: RequestPlan) -> str:
    """The target URI of a request, absolute, as far as its scope tells."""
    _, _, base = _base_of(request)
    query: bytes = request.scope.get("query_string", b"")
    return f"{base}?{query.decode('latin-1')}" if query else base


def _base_of(request: RequestPlan) -> tuple[str, str, str]:
    """The scheme, the host and all of the target URI but its query."""
    scope = request.scope
    host = request.fields.get(b"host", b"").lower().decode("latin-1")
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    # A proxy before the server may know the scheme of the target URI better.
    proto = request.fields.get(b"x-forwarded-proto", b"").decode("latin-1").lower()
    scheme = proto if proto in _SCHEMES else scope.get("scheme", "http")
    return scheme, host, f"{scheme}://{host}{raw_path.decode('latin-1')}"


def _scope_of(request: RequestPlan, value: bytes) -> Scope | None:
    """The scope of a request for this URI reference; None for one of another host."""
    scope = request.scope
    if len(value) > _MAX_URI_BYTES:
        return None
    scheme, host, base = _base_of(request)
    try:
        target = urlsplit(urljoin(base, value.decode("latin-1")))
    except ValueError:
        return None
    named = target.netloc.lower().encode("latin-1", "replace")
    if split_host(named)[0] != split_host(host.encode("latin-1"))[0] or target.scheme != scheme:
        return None
    path = target.path or "/"
    made = {**scope, "path": unquote(path), "query_string": target.query.encode("latin-1")}
    if scope.get("raw_path") is not None:
        made["raw_path"] = path.encode("latin-1")
    return made
