"""Whether a stored response answers a request: at once, after validation, or on an error only."""

from enum import Enum
from typing import NamedTuple, Protocol

from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.reasons import Reason

ERROR_STATUSES = frozenset({500, 502, 503, 504})
"""The statuses in place of which a stale response may be sent (RFC 5861, 4)."""


class Stored(Protocol):
    """What the decision needs of a stored response.

    The staleness that is allowed is in seconds past `expires`; None where the response says
    nothing of it, so that the options hold.
    """

    @property
    def born(self) -> float:
        """When it was generated, in epoch seconds: its current age is `now - born`."""

    @property
    def expires(self) -> float:
        """When its freshness ends, in epoch seconds."""

    @property
    def no_cache(self) -> bool:
        """Whether it needs validation before each use (RFC 9111, 5.2.2.4)."""

    @property
    def must_revalidate(self) -> bool:
        """Whether it is never used stale, as `forbids_stale` says of its directives."""

    @property
    def immutable(self) -> bool:
        """Whether it does not change while it is fresh (RFC 8246)."""

    @property
    def stale_while_revalidate(self) -> float | None:
        """How stale it may be used while it is refreshed (RFC 5861, 3)."""

    @property
    def stale_if_error(self) -> float | None:
        """How stale it may be used in place of an error (RFC 5861, 4)."""

    @property
    def has_validator(self) -> bool:
        """Whether the app can be asked if it still holds: it has an ETag or a Last-Modified."""


class Asked(NamedTuple):
    """What a request says of caching; a setting may have it that nobody obeys."""

    directives: CacheControl | None = None  # None without Cache-Control
    pragma_no_cache: bool = False
    honours: bool = True


class Options(NamedTuple):
    """The staleness that is allowed where a response says nothing of it, in seconds."""

    grace_seconds: float = 0.0
    stale_if_error_seconds: float = 0.0


class Action(Enum):
    """What is done about a request; the value says how."""

    USE = "send the stored response"
    USE_STALE_AND_REFRESH = "send the stored response, and call the app behind it"
    VALIDATE = "call the app with the stored validators as conditions"
    FORWARD = "call the app as if nothing were stored"
    REFUSE = "answer 504 without calling the app"


class Decision(NamedTuple):
    """What is done, and why."""

    action: Action
    reason: Reason


ASKS_NOTHING = Asked()
NO_OPTIONS = Options()

USE_FRESH = Decision(Action.USE, Reason.HIT)
USE_ACCEPTED = Decision(Action.USE, Reason.STALE_ACCEPTED)
USE_AND_REFRESH = Decision(Action.USE_STALE_AND_REFRESH, Reason.STALE_WHILE_REVALIDATE)
FORWARD_MISS = Decision(Action.FORWARD, Reason.MISS)
REFUSE = Decision(Action.REFUSE, Reason.ONLY_IF_CACHED)

_NO_CACHE, _REQUEST_NO_CACHE, _STALE = Reason.NO_CACHE, Reason.REQUEST_NO_CACHE, Reason.STALE
_CALLING = (Action.VALIDATE, Action.FORWARD)
_CALLS = {
    (reason, validates): Decision(Action.VALIDATE if validates else Action.FORWARD, reason)
    for reason in (_NO_CACHE, _REQUEST_NO_CACHE, _STALE)
    for validates in (True, False)
}


def decide(
    request: Asked, entry: Stored | None, now: float, options: Options = NO_OPTIONS
) -> Decision:
    """What is done about a request for which `entry` was selected, or nothing (None).

    `now` is in epoch seconds. A miss comes with `Reason.MISS`; the caller may know better why.

    Source: RFC 9111, 4 and 5.2.1; RFC 5861, 3; RFC 8246, 2.
    """
    cc = request.directives if request.honours else None
    decision = FORWARD_MISS if entry is None else _judge(request, cc, entry, now, options)
    # RFC 9111, 5.2.1.7: a stored response or a 504, since the client wants nothing else.
    if cc is not None and cc.only_if_cached and decision.action in _CALLING:
        return REFUSE
    return decision


def _judge(
    request: Asked, cc: CacheControl | None, entry: Stored, now: float, options: Options
) -> Decision:
    if entry.no_cache:
        return _call(entry, _NO_CACHE)
    staleness = now - entry.expires
    if staleness < 0:
        if _refuses_stored(request) or (cc is not None and _refuses_fresh(cc, entry, now)):
            return _call(entry, _REQUEST_NO_CACHE)
        return USE_FRESH
    # RFC 9111, 4.2.4: what forbids a stale response is obeyed, whoever else allows it.
    if entry.must_revalidate or _refuses_stored(request):
        return _call(entry, _STALE)
    if cc is not None and not _accepts_stale(cc, entry, now):
        return _call(entry, _STALE)
    allowed = entry.stale_while_revalidate
    if _is_within(staleness, options.grace_seconds if allowed is None else allowed):
        return USE_AND_REFRESH
    return USE_ACCEPTED if cc is not None and cc.max_stale is not None else _call(entry, _STALE)


def _call(entry: Stored, reason: Reason) -> Decision:
    return _CALLS[reason, entry.has_validator]


def _refuses_stored(request: Asked) -> bool:
    """Whether the client wants the app's word, however fresh the stored response is."""
    if not request.honours:
        return False
    # RFC 9111, 5.4: Pragma is read where there is no Cache-Control.
    cc = request.directives
    return request.pragma_no_cache if cc is None else cc.no_cache


def _refuses_fresh(cc: CacheControl, entry: Stored, now: float) -> bool:
    """Whether the client finds a fresh response too old, or too near to its end."""
    # RFC 9111, 5.2.1.3: the lifetime is to be no less than the age plus min-fresh.
    if cc.min_fresh is not None and entry.expires - now < cc.min_fresh:
        return True
    # RFC 8246, 2.1: what can not have changed is not validated because of a mere reload.
    if cc.max_age is None or entry.immutable:
        return False
    # With 0 the client asks for validation, however short the time since.
    return cc.max_age == 0 or now - entry.born > cc.max_age


def _accepts_stale(cc: CacheControl, entry: Stored, now: float) -> bool:
    """Whether the client says nothing against a response that is as stale as this one."""
    if cc.min_fresh is not None:
        return False
    # RFC 9111, 5.2.1.1: with max-age and without max-stale, nothing stale is wished for.
    if cc.max_stale is None:
        return cc.max_age is None
    is_too_old = cc.max_age is not None and now - entry.born > cc.max_age
    return now - entry.expires <= cc.max_stale and not is_too_old


def _is_within(staleness: float, allowed: float) -> bool:
    # Nothing allowed is nothing, even in the very moment in which the response becomes stale.
    return 0 < allowed >= staleness


def may_use_on_error(
    request: Asked, entry: Stored, now: float, options: Options = NO_OPTIONS
) -> bool:
    """Whether the entry is sent in place of an error: `ERROR_STATUSES`, or the app's exception.

    It is for an entry with which `decide` had the app called. One that is fresh, though not
    fresh enough for the client, is better than an error.

    Source: RFC 9111, 4.2.4 and 4.3.3; RFC 5861, 4.
    """
    if entry.no_cache or _refuses_stored(request):
        return False
    staleness = now - entry.expires
    if staleness < 0:
        return True
    if entry.must_revalidate:
        return False
    allowed = entry.stale_if_error
    if allowed is None:
        allowed = options.stale_if_error_seconds
    cc = request.directives if request.honours else None
    if cc is not None and cc.stale_if_error is not None:
        allowed = max(allowed, cc.stale_if_error)
    return _is_within(staleness, allowed)


def forbids_stale(cc: CacheControl, *, shared: bool = True) -> bool:
    """Whether a response with these directives must be validated before it is used stale.

    Source: RFC 9111, 5.2.2.2, and for a shared cache 5.2.2.8 and 5.2.2.10: s-maxage does so, too.
    """
    return cc.must_revalidate or (shared and (cc.proxy_revalidate or cc.s_maxage is not None))
