"""What the cache keeps of one response of the app."""

from typing import NamedTuple, TypeAlias

from asgi_serial.cache.drops import NEVER_DROPPED
from asgi_serial.formats.registry import JSON, format_name
from asgi_serial.http.mediatypes import essence
from asgi_serial.types import Fields

Variant: TypeAlias = tuple[str, str]
"""What a client negotiated: (media type or "" for the app's own, coding or "" for identity)."""

Key: TypeAlias = tuple[object, ...]
"""The parts of a request that select a resource: str, bytes, None, or tuples of those."""

UNKNOWN_FIELDS = b"*"
"""Stands among the credentials of requests that an entry may answer, for fields nobody knows."""


class Terms(NamedTuple):
    """What a stored response says of its use beyond its freshness: see `asgi_serial.http.reuse`.

    Most responses say the same, so that entries share them.
    """

    no_cache: bool = False
    must_revalidate: bool = False
    immutable: bool = False
    has_validator: bool = False
    has_tag: bool = False  # its ETag is the app's, and not made of its bytes here
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None


PLAIN_TERMS = Terms()


class Representation:
    """One form of a stored response, with the fields and the body as they were sent."""

    __slots__ = (
        "body",
        "coding",
        "etag",
        "fields",
        "fields_of_304",
        "hit_fields",
        "second",
        "wants",
    )

    def __init__(self, fields: Fields, body: bytes, coding: str, etag: bytes | None) -> None:
        self.fields = fields
        self.body = body
        self.coding = coding  # "" where the body is not encoded by us
        self.etag = etag  # the value of the ETag field in `fields`, if it is an entity tag
        self.wants: object = None  # of a client that was served with it
        self.second = -1  # of the clock, for which `hit_fields` hold
        self.hit_fields = fields
        self.fields_of_304: Fields | None = None  # the same for a 304, once there was one


class Entry:
    """One stored response: what the app sent, how long it is fresh, and its representations.

    Times are epoch seconds. `born` is when the response was generated, so that its current age
    is `now - born` (RFC 9111, 4.2.3: the corrected initial age is taken off the time it came);
    `expires` is `born` plus the freshness lifetime; `kept_until` is when even a stale response is
    of no use any more. `fields` are the app's, less those that are never stored; `negotiates` says
    which axes the response was negotiated on: any variant of an axis that it was not negotiated on
    is served by the same representation.
    """

    __slots__ = (
        "app_bytes",
        "born",
        "credentialed",
        "epoch",
        "expires",
        "fields",
        "format",
        "kept",
        "kept_until",
        "key",
        "last_kept",
        "mark",
        "negotiates",
        "route",
        "selecting",
        "status",
        "tags",
        "terms",
        "uri",
        "variants",
    )

    def __init__(
        self,
        key: Key,
        status: int,
        fields: Fields,
        *,
        born: float,
        expires: float,
        credentialed: frozenset[bytes],
        route: str,
        selecting: tuple[tuple[bytes, bytes | None], ...],
        negotiates: tuple[bool, bool],
        representations: dict[Variant, Representation],
        app_bytes: int = 0,
        kept_until: float | None = None,
        terms: Terms = PLAIN_TERMS,
        tags: tuple[bytes, ...] = (),
    ) -> None:
        self.app_bytes = app_bytes  # of the body as the app made it, for the timing of hits
        self.key = key
        self.status = status
        self.fields = fields
        self.born = born
        self.expires = expires
        self.kept_until = expires if kept_until is None else kept_until
        self.terms = terms
        self.tags = tags  # by which it may be purged
        self.epoch = 0  # of the purges of which it is known that none is about it
        self.uri = NEVER_DROPPED  # what it shares with all that is stored of its URI
        self.credentialed = credentialed  # what it may answer: {authorization, cookie, *}
        self.route = route  # the route template, for the timing of hits
        self.selecting = selecting  # the varying fields of the request, and their values
        self.negotiates = negotiates  # (format, coding)
        self.format = ""  # of the app's own representation, once it was asked for
        # Two tuples take 100 bytes less than a dict of one, which most entries would be.
        self.variants = tuple(representations)
        self.kept = tuple(representations.values())
        self.last_kept: Representation | None = None  # what was served last
        self.mark: object = None  # by which forms that are kept apart from it are known as its own

    @property
    def no_cache(self) -> bool:
        """Whether it needs validation before each use."""
        return self.terms.no_cache

    @property
    def must_revalidate(self) -> bool:
        """Whether it is never used stale."""
        return self.terms.must_revalidate

    @property
    def immutable(self) -> bool:
        """Whether it does not change while it is fresh."""
        return self.terms.immutable

    @property
    def has_validator(self) -> bool:
        """Whether the app has given it an ETag or a Last-Modified."""
        return self.terms.has_validator

    @property
    def stale_while_revalidate(self) -> float | None:
        """How stale it may be used while it is refreshed, in seconds."""
        return self.terms.stale_while_revalidate

    @property
    def stale_if_error(self) -> float | None:
        """How stale it may be used in place of an error, in seconds."""
        return self.terms.stale_if_error

    @property
    def representations(self) -> dict[Variant, Representation]:
        """A new mapping of what is kept, by variant."""
        return dict(zip(self.variants, self.kept, strict=False))

    def find_format(self) -> str:
        """Return the name of the app's own format, where others can be had."""
        if not self.format:
            types = [value for name, value in self.fields if name == b"content-type"]
            self.format = format_name(essence(types[0]).decode("latin-1")) if types else JSON
        return self.format

    def find(self, variant: Variant) -> Representation | None:
        """The representation that is kept for a variant."""
        for place, known in enumerate(self.variants):
            if known == variant:
                return self.kept[place]
        return None

    def add(self, variant: Variant, kept: Representation) -> None:
        """Keep another representation, in place of one for the same variant."""
        representations = self.representations
        representations[variant] = kept
        # In this order: another thread may be looking, and finds nothing rather than too much.
        self.kept = tuple(representations.values())
        self.variants = tuple(representations)


class FormApart(NamedTuple):
    """A representation that found no room in its entry, which has the same mark."""

    mark: object
    made: Representation


class VaryIndex(NamedTuple):
    """Kept under a resource's key where its responses vary: the names that select among them.

    The nonce takes part in the keys of the selected entries, so that dropping the index
    drops them all.
    """

    names: tuple[bytes, ...]
    nonce: bytes
    born: float = 0.0  # when it was made, in epoch seconds
    until: float = 0.0  # when the second level forgets it: no entry on it may live longer
