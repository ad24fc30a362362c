"""The members of the Cache-Status field (RFC 9211)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import resource_of
from asgi_serial.cache.packing import digest_key
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.types import Field


MAX_PAIRS = 4096


MAX_SHOWN_BYTES = 64
"""The length up to which the name of a client's field is shown."""


# RFC 9211, 2.2: why a request went forward; all other reasons are a bypass.
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
    """The member for an answer out of the cache; `ttl`: seconds that it stays fresh.

    A stale one has a `ttl` below 0, and says in `detail` why it was used (RFC 9211, 2.5).

    >>> hit_status("asgi_serial", 60)
    b'asgi_serial; hit; ttl=60'
    """
    said = f"{name}; hit; ttl={ttl}"
    return (said if detail is None else f"{said}; detail={reason_token(detail)}").encode()


def replaced_status(
    name: str,
    why: Reason,
    ttl: int,
    *,
    status: int | None,
    stored: bool = False,
    detail: Reason | None = None,
) -> bytes:
    """The member for an answer by a stored response that the app was asked for before.

    `status` is what the app has answered (RFC 9211, 2.3), None where it has not.

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
        parts.append(f"detail={reason_token(detail)}")
    return "; ".join(parts).encode()


def shared_status(name: str, why: Reason, ttl: int) -> bytes:
    """The member for an answer by another request's call of the app, which this one waited for.

    Source: RFC 9211, 2.6: it goes with `fwd`, since nothing was stored yet when this came.

    >>> shared_status("asgi_serial", Reason.MISS, 60)
    b'asgi_serial; fwd=uri-miss; collapsed; ttl=60'
    """
    return f"{name}; fwd={FORWARD.get(why, 'bypass')}; collapsed; ttl={ttl}".encode()


def forward_status(
    name: str, why: Reason, *, stored: bool, detail: Reason | None, waited: bool = False
) -> bytes:
    """The member for an answer of the app; `detail`: why it was not stored.

    `waited` says that another's call came first, whose response was of no use here.

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
        parts.append(f"detail={reason_token(detail)}")
    return "; ".join(parts).encode()


def with_key(line: Field, key: Key) -> Field:
    """The line of Cache-Status with the resource's key, which is shown by its digest only.

    Source: RFC 9211, 2.7.
    """
    name, value = line
    return name, value + b'; key="%s"' % digest_key(resource_of(key)).encode()


def reason_token(reason: Reason) -> str:
    """A reason's name as it goes over the wire.

    >>> reason_token(Reason.NO_FRESHNESS)
    'no-freshness'
    """
    return reason.name.lower().replace("_", "-")


class CacheStatus:
    """The lines of Age and Cache-Status that answers carry, each made once.

    `name` is the cache's own in Cache-Status (RFC 9211, 2).
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._age_pairs: dict[int, Field] = {}
        self._hit_pairs: dict[int, Field] = {}
        self._forward_pairs: dict[tuple[str, bool, str | None, bool], Field] = {}

    def age_line(self, seconds: int) -> Field:
        """The Age field (RFC 9111, 5.1)."""
        pair = self._age_pairs.get(seconds)
        if pair is None:
            _make_room(self._age_pairs)
            pair = self._age_pairs[seconds] = (b"age", b"%d" % seconds)
        return pair

    def hit_line(self, ttl: int) -> Field:
        """The Cache-Status field of an answer out of the cache."""
        pair = self._hit_pairs.get(ttl)
        if pair is None:
            _make_room(self._hit_pairs)
            value = hit_status(self._name, ttl)
            pair = self._hit_pairs[ttl] = (b"cache-status", value)
        return pair

    def shared_line(self, why: Reason, ttl: int) -> Field:
        """The Cache-Status field of an answer by another's call of the app."""
        return b"cache-status", shared_status(self._name, why, ttl)

    def stale_line(self, why: Reason, ttl: int) -> Field:
        """The Cache-Status field of an answer by a stored response that is stale."""
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
        """The Cache-Status field of an answer by a stored response after the app was asked.

        `status` is what the app has answered, if it has.
        """
        return b"cache-status", replaced_status(
            self._name,
            why,
            0 if entry.no_cache else int(entry.expires - now),
            status=status,
            stored=stored,
            detail=detail,
        )

    def forward_line(
        self, why: Reason, *, stored: bool, detail: Reason | None, waited: bool = False
    ) -> Field:
        """The Cache-Status field of an answer of the app."""
        # The name of a member hashes as a string does; the member itself hashes in Python.
        key = (why._name_, stored, detail and detail._name_, waited)
        pair = self._forward_pairs.get(key)
        if pair is None:
            value = forward_status(self._name, why, stored=stored, detail=detail, waited=waited)
            pair = self._forward_pairs[key] = (b"cache-status", value)
        return pair


def _make_room(pairs: dict[int, Field]) -> None:
    if len(pairs) >= MAX_PAIRS:
        pairs.clear()
