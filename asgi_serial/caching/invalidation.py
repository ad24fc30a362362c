"""Which URIs a write has made invalid: its own, and those of its host that it names."""

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


class Dropping:
    """The two drops of one write: when its response starts, and when the app is done.

    `has_ended_well` is set once the app has done what it said in its response.
    """

    __slots__ = ("_keys", "_posted", "_responses", "dropped_at", "has_ended_well")

    def __init__(self, responses: ResponseCache, keys: tuple[Key, ...]) -> None:
        self.has_ended_well = False
        self._responses = responses
        self._keys = keys
        self._posted: Entry | None = None  # what this write has stored itself
        self.dropped_at = self._drop()

    def keep(self, posted: Entry, asked: float) -> bool:
        """Store what the write itself has answered, for those who GET it; False if it is not."""
        self._posted = posted
        # Its own drop came after the app was asked; another's since then is not its own.
        return self._responses.keep(posted, asked, own_drop=self.dropped_at)

    def drop_again(self) -> None:
        """Drop what was stored since."""
        # Apps commit after their response, too: what was read since is of the time before. What
        # this write has answered itself is of the time after, if the app has ended well.
        responses, posted = self._responses, self._posted
        holds = self.has_ended_well and posted is not None and responses.holds(posted)
        dropped_at = self._drop()
        if holds and posted is not None:
            responses.keep_again(posted, dropped_at)

    def _drop(self) -> float:
        """Drop all keys; return the time of the target URI's drop, which is the last."""
        # Another of them may be the target URI in another spelling.
        return [self._responses.drop(key) for key in reversed(self._keys)][-1]
