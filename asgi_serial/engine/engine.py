"""What the requests of one app share: settings, choices that were made, caches and counts."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.bounds.bodies import Bodies
from asgi_serial.bounds.budget import FairBudget
from asgi_serial.bounds.memo import BoundedDict, Memo
from asgi_serial.cache.encodings import Encodings
from asgi_serial.cache.in_flight import CallsInFlight
from asgi_serial.cache.key import make_realm
from asgi_serial.cache.memory import Memory
from asgi_serial.cache.responses import ResponseCache
from asgi_serial.codecs.decoding import parse_content_encoding
from asgi_serial.codecs.registry import build_codecs
from asgi_serial.concurrency.threads import Threads
from asgi_serial.engine.cache_status import (
    forward_status,
    hit_status,
    replaced_status,
    shared_status,
)
from asgi_serial.engine.preferences import (
    JSON_TYPE,
    MSGPACK_TYPES,
    Accepted,
    Wants,
    _choose_coding,
    _choose_formats,
    _vary,
    read_content_type,
)
from asgi_serial.formats.transcoding import build_transcoder
from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.headers import RESPONSE_FIELDS, parse_length
from asgi_serial.http.request_fields import (
    HARMLESS_FIELDS,
    REQUEST_FIELDS,
    canonical_name,
    meaning_of,
)
from asgi_serial.http.reuse import Options
from asgi_serial.http.targeted import find_targeted, parse_targeted
from asgi_serial.http.validators import tag_suffixes
from asgi_serial.settings.policy import PolicyTable
from asgi_serial.timing.recorder import Recorder
from asgi_serial.timing.routes.resolver import build_resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.reasons import Reason
    from asgi_serial.settings.model import Settings
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.store.base import Store
    from asgi_serial.types import Field, Scope

DECODABLE = ("zstd", "br", "gzip", "deflate")


RouteKey: TypeAlias = tuple[str | bytes | None, ...]
"""The method, scheme, host and path of a request, and what else it is routed by."""

ENCODERS, DECODERS = 4, 2  # threads; codecs release the GIL, so they use as many cores
MAX_LEARNED = 1024
MAX_PAIRS = 4096
UNCONDITIONAL_SECONDS = 600.0


class Engine:
    """The state behind the middleware of one app; safe to share between its instances.

    Everything in it is bounded: the memories of choices, the caches, the counts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        store_target: object = None,
        label: Callable[[Scope], str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.store_target = store_target  # what the user gave for it; tells engines apart
        self.active = settings.enabled and (
            settings.formats
            or settings.compression
            or settings.decoding
            or settings.cache
            or settings.timing
            or settings.server_timing
        )
        self.clock = clock
        self.label = label or build_resolver()
        self.reads_json: Callable[[Scope], bool] = getattr(
            self.label, "reads_json", _is_never_known
        )
        self.is_unrouted: Callable[[Scope], bool] = getattr(
            self.label, "is_unrouted", _is_never_known
        )
        # Apart, so that those who send what is slow to decode hold up one another only.
        self.encoders = Threads(ENCODERS, "asgi_serial_encode")
        self.decoders = Threads(DECODERS, "asgi_serial_decode")
        # One body always finds room.
        self.bodies = Bodies(max(settings.max_gathered, settings.max_encoded, settings.max_decoded))
        self._build_negotiation(settings)
        self._choose_fields(settings)
        self._choose_ways(settings)
        secret = settings.cache_secret
        self.secret = secret.get_secret_value().encode() if secret else os.urandom(32)
        self._build_caches(settings, store)
        self.recorder = Recorder(settings.max_series) if settings.timing else None
        # The paths whose responses did not pass (see `Attempt`).
        self.encoded_paths: BoundedDict[str, None] = BoundedDict()
        self.tasks: set[object] = set()  # the calls of the app that no client waits for
        self.led: set[object] = set()  # those that others may wait for: tasks of their own
        self.is_told_of = False  # that it stands inside another engine
        self._unconditional: dict[int, float] = {}
        self.learned_policies: BoundedDict[RouteKey, RoutePolicy] = BoundedDict(shares_values=True)
        self._age_pairs: dict[int, Field] = {}
        self._hit_pairs: dict[int, Field] = {}
        self._forward_pairs: dict[tuple[str, bool, str | None, bool], Field] = {}

    def _choose_fields(self, settings: Settings) -> None:
        """Which fields of a head have a say."""
        keyed = [name.encode() for name in settings.cache_key_fields]
        # An app that takes `_` for `-` reads one that is named with it in both spellings.
        self.key_fields = tuple(dict.fromkeys((*keyed, *map(canonical_name, keyed))))
        self.known_fields = REQUEST_FIELDS.union(self.key_fields)
        ignored = {name.encode() for name in settings.cache_ignore_fields}
        self.ignored_fields = HARMLESS_FIELDS.union(ignored) - self.known_fields
        self.meanings = Memo(
            partial(meaning_of, keyed=frozenset(self.key_fields)), shares_values=True
        )
        self.targets = tuple(name.encode() for name in settings.cache_targets)
        self.tag_fields = tuple(name.encode() for name in settings.cache_tag_fields)
        self.response_fields = RESPONSE_FIELDS.union(self.targets, self.tag_fields)
        self.freshness_fields = frozenset((b"cache-control", b"expires", *self.targets))
        self.stale_options = Options(settings.cache_grace, settings.cache_stale_if_error)

    def _choose_ways(self, settings: Settings) -> None:
        """Which of the shorter ways a request may take."""
        # How large a response is that has this Content-Length, as far as a plan depends on it.
        self.reaches = Memo(partial(_reach, limits=(settings.min_size, settings.whole_limit + 1)))
        # On the way of every request; attributes of the settings lie one look-up further.
        self.caching, self.server_timing = settings.cache, settings.server_timing
        # A write that has no part in the cache itself makes what is stored invalid all the same.
        self.may_cache = settings.cache or any(rule.policy.cache for rule in settings.routes)
        self.policies = (
            PolicyTable(settings.routes, cache_ttl=settings.cache_ttl) if settings.routes else None
        )
        # Where nothing but the usual fields has a say, a hit needs no plan (see `find_hit`).
        self.finds_hits = settings.cache and not (
            settings.routes
            or settings.cache_key_fields
            or settings.cache_sort_query
            or settings.server_timing
        )
        # Where no policy has a say, a response may pass by itself (see `Passage`).
        self.lets_pass = not (settings.routes or settings.server_timing)
        self.only_times = self.lets_pass and not (
            settings.cache or settings.compression or settings.formats or settings.decoding
        )
        # Where a handler turns on what is off for all, its word has to be waited for.
        self.is_partly_off = not (settings.compression and settings.formats)
        self.plain_wants = self.wants[None, None]
        self.sole_wants = None if self.plain_wants.offers else self.plain_wants
        self.has_partitions = any(rule.policy.cache_partition for rule in settings.routes)

    def _build_caches(self, settings: Settings, store: Store | None) -> None:
        self.realm = make_realm(settings.cache_namespace)
        memory: Memory[object] = Memory(settings.cache_memory)
        self.memory = memory
        self.find_slot = memory.find_slot
        self.responses = ResponseCache(
            # The second level takes records of twice an object, with what stands around the bodies.
            memory,
            store,
            self.clock,
            max_entry_bytes=1.9 * settings.cache_max_object,
            realm=self.realm,
            poll_seconds=settings.cache_poll,
            hearing_seconds=settings.cache_store_timeout,
        )
        self.purges = self.responses.purges
        # What is collected of responses under way: clients may ask for many, and not read.
        self.collecting = FairBudget(max(settings.cache_memory // 4, settings.cache_max_object))
        self.calls = CallsInFlight(self.clock)
        self.encodings = (
            Encodings(memory, settings.cache_max_object) if settings.encodings_cache else None
        )

    def _build_negotiation(self, settings: Settings) -> None:
        self.all_codecs = build_codecs(
            dict.fromkeys((*settings.codings, *DECODABLE)),
            gzip_level=settings.gzip_level,
            brotli_level=settings.brotli_level,
            zstd_level=settings.zstd_level,
        )
        self.codecs = {codec.name: codec for codec in self.all_codecs}
        self.decodable = DECODABLE
        self.tag_suffixes = tag_suffixes(settings.codings)
        self.media_types = (JSON_TYPE, *MSGPACK_TYPES)
        self.transcoder = build_transcoder(max_depth=settings.format_max_depth)
        self.codings = Memo(partial(_choose_coding, available=settings.codings))
        self.choices = Memo(_choose_formats)
        self.wants = Memo(
            partial(self.read_wants, settings.compression, settings.formats), shares_values=True
        )
        self._known_wants: dict[tuple[bool, bool, str, bool, str, str, bool], Wants] = {}
        self.content_codings = Memo(parse_content_encoding)
        self.cache_controls = Memo(parse_cache_control)
        self.targeted_controls = Memo(parse_targeted)
        extra = frozenset(name.encode() for name in settings.compressible_types)
        self.types = Memo(partial(read_content_type, extra=extra))
        self.varies = {
            (by_format, by_coding): Memo(partial(_vary, by_format=by_format, by_coding=by_coding))
            for by_format in (False, True)
            for by_coding in (False, True)
        }

    def read_wants(self, compression: bool, formats: bool, accepted: Accepted) -> Wants:  # noqa: FBT001
        """What a client wants that sends these fields, where these switches are on."""
        accept, accept_encoding = accepted
        coding = media_type = json_type = ""
        coded_only, acceptable = False, True
        if accept_encoding is not None:
            coding, coded_only = self.codings[accept_encoding]
        if accept is not None:
            media_type, json_type, acceptable = self.choices[accept]
        known = (compression, formats, coding, coded_only, media_type, json_type, acceptable)
        wants = self._known_wants.get(known)
        if wants is None:
            wants = self._known_wants[known] = Wants(
                compression=compression,
                formats=formats,
                coding=coding,
                coded_only=coded_only,
                media_type=media_type,
                json_type=json_type,
                acceptable=acceptable,
                strict=self.settings.format_strict,
            )
        return wants

    def read_directives(self, fields: Mapping[bytes, bytes]) -> CacheControl:
        """What a response says to this cache: by a targeted field, or by Cache-Control."""
        targeted = find_targeted(fields, self.targets, self.targeted_controls.__getitem__)
        return targeted or self.cache_controls[fields.get(b"cache-control", b"")]

    def misses(self, key: Key) -> bool:
        """Whether nothing is to be had of the cache for `key`, now or after this request.

        One response that is not stored is no sign of the next; two are.
        """
        return (
            self.responses.store is None
            and self.calls.is_hit_for_miss(key, calls=2)
            and self.find_slot(key) is None
        )

    def ignores_conditions(self, key: Key) -> bool:
        """Whether the app was seen to answer 200 where 304 was to be expected."""
        return self._unconditional.get(hash(key), 0.0) > self.clock()

    def note_unconditional(self, key: Key) -> None:
        """Do not ask the app for a while whether what it says under this key still holds."""
        if len(self._unconditional) >= MAX_LEARNED:
            self._unconditional.clear()
        self._unconditional[hash(key)] = self.clock() + UNCONDITIONAL_SECONDS

    def learn(self, scope: Scope, fields: Mapping[bytes, bytes], policy: RoutePolicy) -> None:
        """Remember a handler's policy, by which the next requests of its route are looked up.

        A response is stored by what its own handler says: where nothing was learned, or what was
        is not true any more, there are misses.
        """
        if policy.cache_partition is not None:
            self.has_partitions = True
        self.learned_policies.keep(self.route_key(scope, fields), policy)

    def find_learned(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RoutePolicy | None:
        """Return the policy that the handler of the request's route has last said."""
        return self.learned_policies.get(self.route_key(scope, fields))

    def route_key(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RouteKey:
        """Return all that requests are usually routed by."""
        return (
            "GET" if scope["method"] == "HEAD" else scope["method"],
            scope.get("scheme"),
            fields.get(b"host", b"").lower(),
            fields.get(b"x-forwarded-proto"),
            scope.get("root_path"),
            scope["path"],
            scope.get("raw_path"),
            *[fields.get(name) for name in self.key_fields],
        )

    def age_pair(self, seconds: int) -> Field:
        """The Age field (RFC 9111, 5.1)."""
        pair = self._age_pairs.get(seconds)
        if pair is None:
            _make_room(self._age_pairs)
            pair = self._age_pairs[seconds] = (b"age", b"%d" % seconds)
        return pair

    def hit_pair(self, ttl: int) -> Field:
        """The Cache-Status field of an answer out of the cache."""
        pair = self._hit_pairs.get(ttl)
        if pair is None:
            _make_room(self._hit_pairs)
            value = hit_status(self.settings.cache_name, ttl)
            pair = self._hit_pairs[ttl] = (b"cache-status", value)
        return pair

    def shared_pair(self, why: Reason, ttl: int) -> Field:
        """The Cache-Status field of an answer by another's call of the app."""
        return b"cache-status", shared_status(self.settings.cache_name, why, ttl)

    def stale_pair(self, why: Reason, ttl: int) -> Field:
        """The Cache-Status field of an answer by a stored response that is stale."""
        return b"cache-status", hit_status(self.settings.cache_name, ttl, detail=why)

    def replaced_pair(
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
            self.settings.cache_name,
            why,
            0 if entry.no_cache else int(entry.expires - now),
            status=status,
            stored=stored,
            detail=detail,
        )

    def forward_pair(
        self, why: Reason, *, stored: bool, detail: Reason | None, waited: bool = False
    ) -> Field:
        """The Cache-Status field of an answer of the app."""
        # The name of a member hashes as a string does; the member itself hashes in Python.
        key = (why._name_, stored, detail and detail._name_, waited)
        pair = self._forward_pairs.get(key)
        if pair is None:
            value = forward_status(
                self.settings.cache_name, why, stored=stored, detail=detail, waited=waited
            )
            pair = self._forward_pairs[key] = (b"cache-status", value)
        return pair


def _reach(length: bytes, *, limits: tuple[int, ...]) -> int | None:
    """How many of the limits a length reaches; None for what is no length."""
    size = parse_length(length)
    return None if size is None else sum(size >= limit for limit in limits)


def _is_never_known(scope: Scope) -> bool:
    return False


def _make_room(pairs: dict[int, Field]) -> None:
    if len(pairs) >= MAX_PAIRS:
        pairs.clear()
