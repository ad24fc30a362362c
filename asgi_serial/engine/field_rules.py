"""The fields that an engine reads, and the cache directives in them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.bounds.memo import BoundedDict, Memo
from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.choices import choose_value
from asgi_serial.http.cookies import CookieRules
from asgi_serial.http.field_names import HARMLESS_FIELDS, REQUEST_FIELDS, RESPONSE_FIELDS
from asgi_serial.http.names import name_matcher
from asgi_serial.http.query import QueryRules
from asgi_serial.http.request_fields import canonical_name, meaning_of
from asgi_serial.http.targeted import find_targeted, parse_targeted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.http.storability import StorageRules
    from asgi_serial.settings.model import Settings


class FieldRules:
    """The names of the fields that an engine reads, depending on its settings."""

    def __init__(self, settings: Settings) -> None:
        keyed = [name.encode() for name in settings.cache_key_fields]
        # A name with `_` is read in both spellings, as by an app that treats `_` like `-`.
        self.key_fields = tuple(dict.fromkeys((*keyed, *map(canonical_name, keyed))))
        self.known = REQUEST_FIELDS.union(self.key_fields)
        harmless = {name.encode() for name in settings.cache_ignore_fields}
        self.ignored = HARMLESS_FIELDS.union(harmless) - self.known
        self.meanings = Memo(
            partial(meaning_of, keyed=frozenset(self.key_fields)), shares_values=True
        )
        self.targets = tuple(name.encode() for name in settings.cache_targets)
        self._target_names = frozenset(self.targets)
        self.tags = tuple(name.encode() for name in settings.cache_tag_fields)
        self.response = RESPONSE_FIELDS.union(self.targets, self.tags)
        self.freshness = frozenset((b"cache-control", b"expires", *self.targets))
        # A policy may turn the cache on for a route.
        may_cache = settings.cache or any(rule.policy.cache for rule in settings.routes)
        ignored_cookies, keyed_cookies = settings.cache_ignore_cookies, settings.cache_key_cookies
        self.cookies = None
        if may_cache and (ignored_cookies or keyed_cookies):
            self.cookies = CookieRules(ignored_cookies, keyed_cookies)
        ignored, counted = settings.cache_ignore_query, settings.cache_query
        self.shown_queries: Memo[bytes, bytes | None] | None = None
        if may_cache and (ignored or counted):
            self.shown_queries = Memo(QueryRules(ignored, counted).find_shown)
        self.omits_cookies = settings.cache_set_cookie == "strip"
        stripped = [*settings.cache_strip_fields, *["set-cookie"] * self.omits_cookies]
        self.strips: Memo[bytes, bool] | None = None  # a field that is sent, but not stored
        if may_cache and stripped:
            self.strips = Memo(name_matcher(stripped))
        self.choices: dict[bytes, Memo[bytes | None, bytes]] | None = None
        """For each field of which the app sees one of a few values, the one for a value."""
        if may_cache and settings.cache_vary_normalize:
            self.choices = {
                (key := name.encode()): Memo(
                    partial(choose_value, key, tuple(one.encode() for one in offered)),
                    shares_values=True,
                )
                for name, offered in settings.cache_vary_normalize
            }
        self.cache_controls = Memo(parse_cache_control)
        self._targeted_controls = Memo(parse_targeted)
        self.storage_rules: BoundedDict[tuple[object, ...], StorageRules] = BoundedDict()

    def shown_query(self, query: bytes) -> bytes:
        """Return a query without the parameters that the cache ignores."""
        shown = self.shown_queries[query] if query and self.shown_queries is not None else None
        return query if shown is None else shown

    def read_directives(self, fields: Mapping[bytes, bytes]) -> CacheControl:
        """Return the directives of a response: those of a targeted field, or of Cache-Control."""
        targeted = None
        if not self._target_names.isdisjoint(fields):
            targeted = find_targeted(fields, self.targets, self._targeted_controls.__getitem__)
        return targeted or self.cache_controls[fields.get(b"cache-control", b"")]
