"""Invalidation of the URIs that a write may have changed (RFC 9111, 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from asgi_serial.cache.key import split_host
from asgi_serial.request.plan import request_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.cache.responses import ResponseCache
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Scope


_NAMING_FIELDS = (b"location", b"content-location")
_MAX_URI_BYTES = 8192
_SCHEMES = ("http", "https")


def invalid_keys(
    engine: Engine, request: RequestPlan, fields: Mapping[bytes, bytes]
) -> tuple[Key, ...]:
    """Return the keys of the URIs to invalidate: the target URI, and those that fields name.

    Source: RFC 9111, 4.4: a URI in Location or Content-Location only if its origin is that of the
    target URI.
    """
    keys = [request_key(engine, request, None, "GET")]
    for name in _NAMING_FIELDS:
        scope = _scope_of(request, fields[name]) if name in fields else None
        if scope is not None:
            keys.append(request_key(engine, request, None, "GET", scope=scope))
    return tuple(dict.fromkeys(keys))


def target_uri(request: RequestPlan) -> str:
    """Return the target URI of a request, in absolute form."""
    _, _, base = _base_of(request)
    query: bytes = request.scope.get("query_string", b"")
    return f"{base}?{query.decode('latin-1')}" if query else base


def _base_of(request: RequestPlan) -> tuple[str, str, str]:
    """Return the scheme, the host, and the target URI without its query."""
    scope = request.scope
    host = request.fields.get(b"host", b"").lower().decode("latin-1")
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    # Behind a proxy, the scheme of the target URI may not be that of the connection.
    proto = request.fields.get(b"x-forwarded-proto", b"").decode("latin-1").lower()
    scheme = proto if proto in _SCHEMES else scope.get("scheme", "http")
    return scheme, host, f"{scheme}://{host}{raw_path.decode('latin-1')}"


def _scope_of(request: RequestPlan, value: bytes) -> Scope | None:
    """Return the scope of a request for this URI reference; None for one of another origin."""
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


class Invalidation:
    """Invalidates the URIs of one write twice: when its response starts, and when the app returns.

    `keys` begin with that of the target URI. `app_succeeded` is set once the app has returned
    without an exception.
    """

    __slots__ = ("_keys", "_may_add", "_posted", "_responses", "app_succeeded", "invalidated_at")

    def __init__(self, responses: ResponseCache, keys: tuple[Key, ...], *, method: str) -> None:
        self.app_succeeded = False
        self._responses = responses
        self._keys = keys
        self._may_add = method == "POST"
        self._posted: Entry | None = None  # the write's own response, stored for GET
        self.invalidated_at = self._invalidate()

    def keep(self, posted: Entry, asked: float, *, is_checked: bool = False) -> bool:
        """Store the response to the write itself, for GET; False if it is not stored."""
        self._posted = posted
        # The write's own invalidation came after the app was called, and does not count here.
        return self._responses.keep(
            posted, asked, own_drop=self.invalidated_at, is_checked=is_checked
        )

    def invalidate_again(self) -> None:
        """Invalidate what was stored since the response started."""
        # An app may commit after its response: what was read since may be of the time before. The
        # write's own response is of the time after, if the app has succeeded.
        responses, posted = self._responses, self._posted
        holds = self.app_succeeded and posted is not None and responses.holds(posted)
        invalidated_at = self._invalidate()
        if holds and posted is not None:
            responses.keep_again(posted, invalidated_at)

    def _invalidate(self) -> float:
        """Drop all keys; return the time at which the target URI was dropped."""
        # RFC 9110, 9.3.3: a POST may create a resource, whose URI the response need not name.
        # RFC 9111, 4.4: "A cache MAY invalidate other URIs when it receives a non-error status
        # code in response to an unsafe request method".
        if self._may_add:
            self._responses.drop_missing(self._keys[0])
        # The target URI comes last: one of the others may be another spelling of it.
        return [self._responses.drop(key) for key in reversed(self._keys)][-1]
