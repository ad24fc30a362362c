"""Decide how a stored response may be used: at once, after validation, or in place of an error."""

from enum import Enum
from typing import NamedTuple, Protocol

from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.reasons import Reason

ERROR_STATUSES = frozenset({500, 502, 503, 504})
"""The error statuses that a stale response may replace (RFC 5861, 4)."""


class Stored(Protocol):
    """The properties of a stored response that decide about its use.

    The stale times are in seconds past `expires`. None means that the response states none, and
    that `Options` applies.
    """

    @property
    def generated_at(self) -> float:
        """The time of generation in epoch seconds; the current age is `now - generated_at`."""

    @property
    def expires(self) -> float:
        """The end of its freshness, in epoch seconds."""

    @property
    def no_cache(self) -> bool:
        """Whether it must be validated before each use (RFC 9111, 5.2.2.4)."""

    @property
    def must_revalidate(self) -> bool:
        """Whether it must not be used stale; see `forbids_stale`."""

    @property
    def immutable(self) -> bool:
        """Whether it will not change while it is fresh (RFC 8246)."""

    @property
    def stale_while_revalidate(self) -> float | None:
        """The staleness up to which it may be used while it is refreshed (RFC 5861, 3)."""

    @property
    def stale_if_error(self) -> float | None:
        """The staleness up to which it may replace an error (RFC 5861, 4)."""

    @property
    def has_validator(self) -> bool:
        """Whether it has an ETag or Last-Modified, so that it can be validated."""


class RequestDirectives(NamedTuple):
    """The cache directives of a request."""

    directives: CacheControl | None = None
    """None without Cache-Control."""
    pragma_no_cache: bool = False
    honours: bool = True
    """Whether the settings let clients control the cache (`cache_obey_requests`)."""


class Options(NamedTuple):
    """The allowed staleness of responses that state none, in seconds."""

    grace_seconds: float = 0.0
    stale_if_error_seconds: float = 0.0


class Action(Enum):
    """How a request is answered."""

    USE = "send the stored response"
    USE_STALE_AND_REFRESH = "send the stored response, and refresh it in the background"
    VALIDATE = "call the app with the stored validators as conditions"
    FORWARD = "call the app as if nothing were stored"
    REFUSE = "answer 504 without calling the app"


class Decision(NamedTuple):
    """An action and its reason."""

    action: Action
    reason: Reason


NO_DIRECTIVES = RequestDirectives()
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
    request: RequestDirectives, entry: Stored | None, now: float, options: Options = NO_OPTIONS
) -> Decision:
    """Decide how to answer a request for which `entry` was selected, or None if nothing was.

    `now` is in epoch seconds. The reason of a miss is `Reason.MISS`; the caller may know a more
    specific one.

    Source: RFC 9111, 4 and 5.2.1; RFC 5861, 3; RFC 8246, 2.
    """
    cc = request.directives if request.honours else None
    decision = FORWARD_MISS if entry is None else _evaluate(request, cc, entry, now, options)
    # RFC 9111, 5.2.1.7: the client only wishes to obtain a stored response. Caches should answer
    # with one that meets the other constraints of the request, or with a 504.
    if cc is not None and cc.only_if_cached and decision.action in _CALLING:
        return REFUSE
    return decision


def _evaluate(
    request: RequestDirectives, cc: CacheControl | None, entry: Stored, now: float, options: Options
) -> Decision:
    if entry.no_cache:
        return _call(entry, _NO_CACHE)
    staleness = now - entry.expires
    if staleness < 0:
        if _refuses_stored(request) or (cc is not None and _refuses_fresh(cc, entry, now)):
            return _call(entry, _REQUEST_NO_CACHE)
        return USE_FRESH
    # RFC 9111, 4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an
    # explicit in-protocol directive", whatever the request or the settings allow.
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


def _refuses_stored(request: RequestDirectives) -> bool:
    """Whether the client asks for validation, however fresh the stored response is."""
    if not request.honours:
        return False
    # RFC 9111, 5.4: Pragma is deprecated. As in RFC 7234, 5.4, `no-cache` in it counts only for
    # a request without Cache-Control.
    cc = request.directives
    return request.pragma_no_cache if cc is None else cc.no_cache


def _refuses_fresh(cc: CacheControl, entry: Stored, now: float) -> bool:
    """Whether a fresh response is too old for the client, or expires too soon."""
    # RFC 9111, 5.2.1.3: the client wants a freshness lifetime "no less than its current age plus
    # the specified time in seconds".
    if cc.min_fresh is not None and entry.expires - now < cc.min_fresh:
        return True
    # RFC 8246, 2.1: proxies should skip revalidating fresh immutable responses, unless the client
    # signals that it is necessary, as by no-cache. The `max-age=0` of a mere reload does not.
    if cc.max_age is None or entry.immutable:
        return False
    # `max-age=0` always asks for validation, also within the second of the response.
    return cc.max_age == 0 or now - entry.generated_at > cc.max_age


def _accepts_stale(cc: CacheControl, entry: Stored, now: float) -> bool:
    """Whether the request does not rule out a response as stale as this one."""
    if cc.min_fresh is not None:
        return False
    # RFC 9111, 5.2.1.1: "Unless the max-stale request directive is also present, the client does
    # not wish to receive a stale response."
    if cc.max_stale is None:
        return cc.max_age is None
    is_too_old = cc.max_age is not None and now - entry.generated_at > cc.max_age
    return now - entry.expires <= cc.max_stale and not is_too_old


def _is_within(staleness: float, allowed: float) -> bool:
    # 0 allows nothing, not even at the moment of expiry.
    return 0 < allowed >= staleness


def may_use_on_error(
    request: RequestDirectives, entry: Stored, now: float, options: Options = NO_OPTIONS
) -> bool:
    """Whether the entry may replace an error: one of `ERROR_STATUSES`, or an exception of the app.

    To be asked only if `decide` said to call the app. An entry that is fresh, though not fresh
    enough for the client, is better than an error.

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
    """Whether a response with these directives must not be used stale without validation.

    Source: RFC 9111, 5.2.2.2; for a shared cache also 5.2.2.8 and 5.2.2.10, by which s-maxage
    implies proxy-revalidate.
    """
    return cc.must_revalidate or (shared and (cc.proxy_revalidate or cc.s_maxage is not None))
