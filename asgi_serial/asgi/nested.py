"""Engines nested in the one that handles the request: their settings restrict the outer one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asgi_serial.caching.invalidation import Invalidation, invalid_keys
from asgi_serial.engine.app_engines import MARK
from asgi_serial.http.headers import read_response_fields
from asgi_serial.http.writes import invalidates
from asgi_serial.request.plan import RequestPlan, choose, find_policy
from asgi_serial.response.start import READS
from asgi_serial.settings.policy import CURRENT, HANDLER_OPTIONS, RoutePolicy
from asgi_serial.settings.routed_handler import REQUEST, is_of_one

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Message, Scope

logger = logging.getLogger("asgi_serial")

_OPEN = RoutePolicy()

# These allow more to be stored, answered or treated as equal: only if both engines have them on.
_LENIENT = ("cache_heuristic", "cache_confirm", "cache_posted", "cache_sort_query")


def restrict_outer(inner: Engine, scope: Scope) -> None:
    """Apply the policy of an inner engine to the engine that serves the request; log it once."""
    outer: Engine = scope[MARK]
    if outer is inner or not inner.settings.enabled:
        return
    if not inner.is_told_of:
        inner.is_told_of = True
        logger.warning(
            "A SerialMiddleware is nested in another one, which handles the requests: the inner "
            "one only restricts it, by its routes and cache settings. Move these settings to the "
            "outer one (%r), and remove the inner one.",
            sorted(inner.settings.model_fields_set) or "the defaults",
        )
    HANDLER_OPTIONS.add("cache")  # from now on, every response is checked against them
    request = CURRENT.get()
    if request is not None and REQUEST in scope:
        policy = _OPEN if inner.policies is None else find_policy(inner.policies, scope) or _OPEN
        request.add_inner_policy(*_words_of(inner, outer, policy))


def _words_of(inner: Engine, outer: Engine, policy: RoutePolicy) -> tuple[RoutePolicy, RoutePolicy]:
    """Return the inner engine's defaults for its routes, and what it forbids to every handler."""
    settings = inner.settings
    ttl = settings.cache_ttl if policy.cache_ttl is None else policy.cache_ttl
    caches = choose(policy.cache, settings.cache) and _is_stricter(outer, inner)
    has_grace = bool(outer.settings.cache_grace or outer.settings.cache_stale_if_error)
    if ttl is None and has_grace:
        caches = False  # a response without a granted lifetime could be used stale
    if policy.skip is not None:
        caches = False  # the outer engine has looked the request up without asking the function
    below = RoutePolicy(
        cache_ttl=0.0 if ttl is None else ttl,
        cache_shared=bool(policy.cache_shared),
        cache_body=bool(policy.cache_body),
        cache_partition=policy.cache_partition,
    )
    forbidden = RoutePolicy(
        compression=None if choose(policy.compression, settings.compression) else False,
        formats=None if choose(policy.formats, settings.formats) else False,
        cache=None if caches else False,
    )
    return below, forbidden


def _is_stricter(outer: Engine, inner: Engine) -> bool:
    """Whether the outer engine keys on all fields of the inner one, and allows no more storing."""
    ours, theirs = outer.settings, inner.settings
    return (
        set(inner.fields.key_fields) <= set(outer.fields.key_fields)
        and set(ours.cache_ignore_fields) <= set(theirs.cache_ignore_fields)
        and set(ours.cache_ignore_cookies) <= set(theirs.cache_ignore_cookies)
        and ours.cache_key_cookies == theirs.cache_key_cookies
        and set(ours.cache_ignore_query) <= set(theirs.cache_ignore_query)
        and set(ours.cache_vary_normalize) <= set(theirs.cache_vary_normalize)
        and ours.cache_query in ((), theirs.cache_query)
        and set(theirs.cache_strip_fields) <= set(ours.cache_strip_fields)
        and ours.cache_set_cookie in ("refuse", theirs.cache_set_cookie)
        and set(ours.cache_targets) == set(theirs.cache_targets)
        and ours.cache_negative_ttl == theirs.cache_negative_ttl
        and ours.cache_grace <= theirs.cache_grace
        and ours.cache_stale_if_error <= theirs.cache_stale_if_error
        and all(getattr(theirs, name) or not getattr(ours, name) for name in _LENIENT)
    )


class WriteWithin:
    """A write that a handler makes by calling its app with a copy of its scope.

    It is not the outer request, which is already in progress: no other code sees its target.
    """

    __slots__ = ("_dropping", "_engine", "_plan")

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._plan = RequestPlan(scope, *engine.profiles.read(scope))
        self._dropping: Invalidation | None = None

    def heed(self, message: Message) -> None:
        """Drop the responses that this one invalidates, when it starts (RFC 9111, 4.4)."""
        if message["type"] != "http.response.start" or self._dropping is not None:
            return
        if invalidates(self._plan.method, message["status"]):
            _, fields = read_response_fields(message.get("headers", ()))
            keys = invalid_keys(self._engine, self._plan, fields)
            method = self._plan.method
            self._dropping = Invalidation(self._engine.responses, keys, method=method)

    def end(self) -> None:
        """Drop what was stored meanwhile, after the app has finished."""
        if self._dropping is not None:
            self._dropping.invalidate_again()


def find_write_within(scope: Scope) -> WriteWithin | None:
    """Return the write for which a nested scope was made; None for the outer request itself."""
    engine: Engine = scope[MARK]
    if scope["method"] in READS or not engine.may_cache:
        return None
    request = CURRENT.get()
    if request is not None and is_of_one(scope, request.app_scope):
        return None
    return WriteWithin(engine, scope)
