"""The members of the Cache-Status field (RFC 9211)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from asgi_serial.cache.key import resource_of
from asgi_serial.cache.packing import digest_key
from asgi_serial.http.fields import is_token
from asgi_serial.http.request_fields import MAX_STRANGE
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.engine.profiles import Profile, User
    from asgi_serial.types import Field

_UNKNOWN_FIELD = Reason.REQUEST_HAS_UNKNOWN_FIELD
_UNKEYED_FIELD = Reason.REQUEST_HAS_UNKEYED_FIELD


MAX_PAIRS = 4096


MAX_SHOWN_BYTES = 64
"""The longest name of a client's field that is shown."""


# The values of `fwd` (RFC 9211, 2.2); all other reasons are a bypass.
FORWARD = {
    Reason.METHOD_NOT_CACHED: "method",
    Reason.REQUEST_NO_CACHE: "request",
    Reason.MISS: "uri-miss",
    Reason.VARY_MISS: "vary-miss",
    Reason.PARTIAL: "partial",
    Reason.STALE: "stale",
    Reason.NO_CACHE: "stale",
}


def hit_status(name: str, ttl: int, *, detail: Reason | None = None) -> bytes:
    """Return the member for a response from the cache, which stays fresh for `ttl` seconds.

    A stale response has a negative `ttl`, and `detail` tells why it was used (RFC 9211, 2.5).

    >>> hit_status("asgi_serial", 60)
    b'asgi_serial; hit; ttl=60'
    """
    said = f"{name}; hit; ttl={ttl}"
    return (said if detail is None else f"{said}; detail={detail.token}").encode()


def replaced_status(
    name: str,
    why: Reason,
    ttl: int,
    *,
    status: int | None,
    stored: bool = False,
    detail: Reason | None = None,
) -> bytes:
    """Return the member for a stored response that is sent after the app was called.

    `status` is that of the app's response (RFC 9211, 2.3), or None if there was none.

    >>> replaced_status("asgi_serial", Reason.STALE, 60, status=304, stored=True)
    b'asgi_serial; fwd=stale; fwd-status=304; stored; ttl=60'
    """
    parts = [name, f"fwd={FORWARD.get(why, 'bypass')}"]
    if status is not None:
        parts.append(f"fwd-status={status}")
    if stored:
        parts.append("stored")
    parts.append(f"ttl={ttl}")
    if detail is not None:
        parts.append(f"detail={detail.token}")
    return "; ".join(parts).encode()


def shared_status(name: str, why: Reason, ttl: int) -> bytes:
    """Return the member for the response of another request's call, for which this one waited.

    Source: RFC 9211, 2.6: `collapsed` accompanies `fwd`, since nothing was stored yet when the
    request arrived.

    >>> shared_status("asgi_serial", Reason.MISS, 60)
    b'asgi_serial; fwd=uri-miss; collapsed; ttl=60'
    """
    return f"{name}; fwd={FORWARD.get(why, 'bypass')}; collapsed; ttl={ttl}".encode()


def forward_status(
    name: str, why: Reason, *, stored: bool, detail: Reason | None, waited: bool = False
) -> bytes:
    """Return the member for a response of the app; `detail` tells why it was not stored.

    `waited` means that the request waited for another's call, whose response could not be shared.

    >>> forward_status("asgi_serial", Reason.MISS, stored=False, detail=Reason.NO_FRESHNESS)
    b'asgi_serial; fwd=uri-miss; detail=no-freshness'
    """
    forward = FORWARD.get(why, "bypass")
    parts = [name, f"fwd={forward}"]
    if waited:
        parts.append("collapsed=?0")
    if stored:
        parts.append("stored")
    if detail is None and forward == "bypass":
        detail = why
    if detail is not None:
        parts.append(f"detail={detail.token}")
    return "; ".join(parts).encode()


def with_key(line: Field, key: Key) -> Field:
    """Return the Cache-Status line with a digest of the resource's key (RFC 9211, 2.7).

    The key itself may contain a user's data.
    """
    name, value = line
    return name, value + b'; key="%s"' % digest_key(resource_of(key)).encode()


class ForwardReason(Protocol):
    """Why the app was called, and whether the request has waited for another's call."""

    @property
    def reason(self) -> Reason:
        """Why no stored response was used."""

    @property
    def waited(self) -> bool:
        """Whether it has waited for another request's call."""


class Forwarded(Protocol):
    """A request for which the app was called."""

    bypass: Reason | None
    """Why the cache took no part."""

    @property
    def forward(self) -> ForwardReason:
        """Why the app was called, if the cache took part."""

    key: Key | None

    user: User

    profile: Profile


def field_behind(request: Forwarded, reason: Reason) -> bytes | None:
    """Return the name of the request field behind a reason, if there is one that can be shown.

    The client has chosen it and others may read it: it is short, and a token (RFC 9651, 3.3.4).
    """
    if reason is _UNKNOWN_FIELD:
        names = request.user.unknown
    elif reason is _UNKEYED_FIELD:
        names = request.profile.strange.routing or request.profile.strange.twins
    else:
        return None
    if len(names) > MAX_STRANGE:
        return None  # their number is the reason, and none of them
    shown = [name for name in names if len(name) <= MAX_SHOWN_BYTES and is_token(name)]
    return min(shown, default=None)


class CacheStatus:
    """Makes the Age and Cache-Status lines of responses, and reuses equal ones.

    `name` is the name of this cache in Cache-Status (RFC 9211, 2). With `shows_key`, the line of a
    response of the app has the digest of the key.
    """

    def __init__(self, name: str, *, shows_key: bool) -> None:
        self._name = name
        self._shows_key = shows_key
        self._age_pairs: dict[int, Field] = {}
        self._hit_pairs: dict[int, Field] = {}
        self._forward_pairs: dict[tuple[str, bool, str | None, bool], Field] = {}

    def age_line(self, seconds: int) -> Field:
        """Return the Age line (RFC 9111, 5.1)."""
        pair = self._age_pairs.get(seconds)
        if pair is None:
            _make_room(self._age_pairs)
            pair = self._age_pairs[seconds] = (b"age", b"%d" % seconds)
        return pair

    def hit_line(self, ttl: int) -> Field:
        """Return the Cache-Status line of a fresh response from the cache."""
        pair = self._hit_pairs.get(ttl)
        if pair is None:
            _make_room(self._hit_pairs)
            value = hit_status(self._name, ttl)
            pair = self._hit_pairs[ttl] = (b"cache-status", value)
        return pair

    def shared_line(self, why: Reason, ttl: int) -> Field:
        """Return the Cache-Status line of a response of another request's call."""
        return b"cache-status", shared_status(self._name, why, ttl)

    def stale_line(self, why: Reason, ttl: int) -> Field:
        """Return the Cache-Status line of a stale response from the cache."""
        return b"cache-status", hit_status(self._name, ttl, detail=why)

    def replaced_line(
        self,
        why: Reason,
        entry: Entry,
        now: float,
        status: int | None,
        detail: Reason | None = None,
        *,
        stored: bool = False,
    ) -> Field:
        """Return the Cache-Status line of a stored response that is sent after a call of the app.

        `status` is that of the app's response, or None if there was none.
        """
        return b"cache-status", replaced_status(
            self._name,
            why,
            0 if entry.no_cache else int(entry.expires - now),
            status=status,
            stored=stored,
            detail=detail,
        )

    def forward_line(self, request: Forwarded, *, stored: bool, detail: Reason | None) -> Field:
        """Return the line for a response of the app: why it was called, and what is stored.

        `detail` says why the response is not stored.
        """
        why, waited = request.bypass or request.forward.reason, request.forward.waited
        # The key holds names, since strings hash faster than members of an Enum.
        key = (why._name_, stored, detail and detail._name_, waited)
        pair = self._forward_pairs.get(key)
        if pair is None:
            value = forward_status(self._name, why, stored=stored, detail=detail, waited=waited)
            pair = self._forward_pairs[key] = (b"cache-status", value)
        name = None if stored else field_behind(request, detail or why)
        if name is not None:
            pair = pair[0], pair[1] + b":" + name
        if self._shows_key and request.key is not None:
            pair = with_key(pair, request.key)
        return pair

    def line_of_kind(self, request: Forwarded, detail: Reason) -> Field | None:
        """Return the line for a response that is not stored; None if it shows the request's own."""
        if self._shows_key or detail is _UNKNOWN_FIELD or detail is _UNKEYED_FIELD:
            return None
        return self.forward_line(request, stored=False, detail=detail)


def _make_room(pairs: dict[int, Field]) -> None:
    if len(pairs) >= MAX_PAIRS:
        pairs.clear()
