"""The state that the requests of an app share: settings, remembered decisions, caches, counts."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from asgi_serial.bounds.budget import FairBudget
from asgi_serial.bounds.once import Spent
from asgi_serial.cache.encodings import Encodings
from asgi_serial.cache.in_flight import CallsInFlight
from asgi_serial.cache.key import make_realm
from asgi_serial.cache.memory import Memory
from asgi_serial.cache.responses import ResponseCache
from asgi_serial.engine.cache_status import CacheStatus
from asgi_serial.engine.field_rules import FieldRules
from asgi_serial.engine.learned import Learned
from asgi_serial.engine.negotiator import Negotiator
from asgi_serial.engine.profiles import Profiles
from asgi_serial.engine.workers import Workers
from asgi_serial.http.reuse import Options
from asgi_serial.settings.policy import PolicyTable, is_early, is_on_somewhere
from asgi_serial.timing.failures import Failures
from asgi_serial.timing.figures import Slowest
from asgi_serial.timing.gauges import Gauges
from asgi_serial.timing.recorder import KindRecorder, SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder, find_listeners
from asgi_serial.timing.routes.resolver import build_resolver
from asgi_serial.timing.workers.crew import Crew

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.settings.model import Settings
    from asgi_serial.store.base import GuardedStore
    from asgi_serial.timing.base import OnResponse, Recorder
    from asgi_serial.types import Scope


class Engine:
    """The state behind the middleware of one app; its instances may share it.

    Everything in it is bounded: remembered decisions, caches, counts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: GuardedStore | None = None,
        store_target: object = None,
        label: Callable[[Scope], str] | None = None,
        recorder: Recorder | None = None,
        on_response: OnResponse | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.store_target = store_target  # the store as the user passed it; distinguishes engines
        self.active = settings.enabled and (
            settings.formats
            or settings.compression
            or settings.decoding
            or settings.cache
            or settings.timing
            or settings.server_timing
            or recorder is not None
            or on_response is not None
            or settings.slow_request_ms is not None
        )
        self.clock = clock
        self.started = clock()
        resolver = self.resolver = label or build_resolver()
        self.label: Callable[[Scope], str] = getattr(resolver, "label", resolver)
        self.reads_json: Callable[[Scope], bool] = getattr(resolver, "reads_json", _is_never_known)
        self.is_unrouted: Callable[[Scope], bool] = getattr(
            resolver, "is_unrouted", _is_never_known
        )
        self.workers = Workers(settings)
        self.negotiator = Negotiator(settings)
        self.fields = FieldRules(settings)
        self.shown_queries = self.fields.shown_queries  # read by every request with a query
        self.profiles = Profiles(settings, self.fields, self.negotiator)
        self.cache_status = CacheStatus(settings.cache_name, shows_key=settings.cache_status_key)
        self.learned = Learned(
            clock,
            self.fields.key_fields,
            decides_early=any(is_early(rule.policy) for rule in settings.routes),
        )
        self.skip_failures = Failures("A function in skip", "its requests go past the cache")
        self.stale_options = Options(settings.cache_grace, settings.cache_stale_if_error)
        self._choose_stages(settings)
        secret = settings.cache_secret
        self.secret = secret.get_secret_value().encode() if secret else os.urandom(32)
        self._build_caches(settings, store)
        self.crew = Crew(repr(settings)) if settings.timing and settings.enabled else None
        self.series = SeriesRecorder(settings.max_series, self.crew) if settings.timing else None
        self.gauges = Gauges()
        self.listeners = find_listeners(recorder, on_response, settings.slow_request_ms)
        self.heard_by = recorder, on_response  # as the user passed them; distinguishes engines
        self.recorder: KindRecorder | None = self.series
        if self.listeners:
            self.recorder = RelayRecorder(self.listeners.values(), self.series)
        self.records = settings.server_timing or self.recorder is not None  # for cache hits, too
        self.slowest = Slowest()
        self.has_sought_shadows = False  # of its own paths, over routes of the app
        self.spent_links = Spent()  # those that sign in to the report, and work once
        self.is_told_of = False  # that it is nested in another engine

    def _choose_stages(self, settings: Settings) -> None:
        """Decide once which stages have anything to do."""
        # Read by every request; attributes of the settings are one look-up further away.
        self.caching, self.server_timing = settings.cache, settings.server_timing
        # Nothing is left to do but to time requests.
        self.is_idle = not (
            settings.routes
            or settings.timing_exclude
            or settings.cache
            or settings.compression
            or settings.formats
            or settings.decoding
        )
        # A write invalidates stored responses even if it does not take part in the cache itself.
        self.may_cache = is_on_somewhere("cache", by_default=settings.cache, rules=settings.routes)
        # Only then may entity tags differ from the app's own, which are told apart and mapped back.
        self.names_variants = bool(
            settings.routes or self.may_cache or settings.compression or settings.formats
        )
        self.policies = (
            PolicyTable(settings.routes, cache_ttl=settings.cache_ttl) if settings.routes else None
        )

        excluded = settings.timing_exclude
        self.untimed = PolicyTable(excluded) if excluded else None
        self.may_leave_out = bool(excluded) or any(
            rule.policy.timing is False for rule in settings.routes
        )

    def _build_caches(self, settings: Settings, store: GuardedStore | None) -> None:
        self.realm = make_realm(settings.cache_namespace)
        memory: Memory[object] = Memory(settings.cache_memory)
        self.memory = memory
        self.responses = ResponseCache(
            # The second level takes records of twice the size of an object, to allow for metadata.
            memory,
            store,
            self.clock,
            max_entry_bytes=1.9 * settings.cache_max_object,
            realm=self.realm,
            poll_seconds=settings.cache_poll,
            hearing_seconds=settings.cache_store_timeout,
        )
        self.purges = self.responses.purges
        # Bodies collected from responses in progress: clients may request many, and not read them.
        self.collecting = FairBudget(max(settings.cache_memory // 4, settings.cache_max_object))
        self.calls = CallsInFlight(self.clock)
        self.encodings = (
            Encodings(memory, settings.cache_max_object) if settings.encodings_cache else None
        )


def _is_never_known(scope: Scope) -> bool:
    return False
