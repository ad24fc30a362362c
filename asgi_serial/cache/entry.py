"""What the cache keeps of one response of the app."""

from collections import deque
from math import inf
from typing import NamedTuple, TypeAlias
from weakref import ref

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


SEPARATOR = b"\n"
"""Between the values of one response. RFC 9110, 5.5: a field value contains no line feed."""


class Shape:
    """The field lines that responses have in common, with gaps for the values that differ.

    The values that fill the gaps of one response are one bytes object. A list of pairs would take
    five times as much, and give the garbage collector more to walk through.
    """

    __slots__ = ("gaps", "is_shared", "lines", "tag")

    def __init__(
        self,
        lines: Fields,
        gaps: tuple[tuple[int, bytes], ...] = (),
        tag: bytes | int | None = None,
    ) -> None:
        self.is_shared = False  # it is one response's alone
        self.lines = lines  # never handed out: `fill` copies it
        self.gaps = gaps  # the place of each in the list, and its name
        self.tag = tag  # the entity tag, or which of the gaps holds it

    def fill(self, own: bytes) -> Fields:
        """Return a new list of the lines of the response that has these values of its own."""
        fields = self.lines.copy()
        if self.gaps:
            for (place, name), value in zip(self.gaps, own.split(SEPARATOR), strict=True):
                fields[place] = (name, value)
        return fields

    def tag_of(self, own: bytes) -> bytes | None:
        """Return the entity tag of the response that has these values of its own."""
        tag = self.tag
        return own.split(SEPARATOR)[tag] if isinstance(tag, int) else tag


class HitState:
    """What is ready for the hits of one representation; made at the first, and kept for few."""

    __slots__ = (
        "condition",
        "etag",
        "fields",
        "fields_of_304",
        "profile",
        "second",
        "status",
        "stored",
        "until",
        "wants",
    )

    def __init__(self, stored: Fields, etag: bytes | None) -> None:
        self.stored = stored  # the fields of the representation, put together once
        self.etag = etag
        self.wants: object = None  # of a client that was served with it
        self.second = -1  # of the clock, for which the fields hold
        self.fields: Fields = []
        self.fields_of_304: Fields | None = None  # once there was a 304
        # Until then a request of this profile, with this condition, gets this status.
        self.until = -inf
        self.profile: object = None
        self.condition: bytes | None = None
        self.status = 0


class Representation:
    """One form of a stored response, with the fields and the body as they were sent."""

    __slots__ = ("__weakref__", "body", "coding", "hit_state", "own", "shape")

    def __init__(self, fields: Fields, body: bytes, coding: str, etag: bytes | None) -> None:
        """`etag` is the value of the ETag field, if it is an entity tag."""
        self.shape, self.own = Shape(fields, (), etag), b""
        self.body = body
        self.coding = coding  # "" where the body is not encoded by us
        self.hit_state: HitState | None = None

    @property
    def fields(self) -> Fields:
        """A new list of the fields that were sent."""
        return self.shape.fill(self.own)

    @property
    def etag(self) -> bytes | None:
        """The value of the ETag field, if it is an entity tag."""
        state = self.hit_state
        return self.shape.tag_of(self.own) if state is None else state.etag


MAX_HIT_STATES = 1024
"""So many representations have one: a megabyte, whatever is stored. Others make one for a hit."""


class HitStates:
    """Keeps what is ready for hits at the representations that have come to it last."""

    def __init__(self) -> None:
        self._held: deque[ref[Representation]] = deque()

    def start(self, kept: Representation) -> HitState:
        """Return what is ready for a representation, which has nothing ready yet."""
        state = kept.hit_state = HitState(kept.fields, kept.etag)
        self._held.append(ref(kept))
        if len(self._held) > MAX_HIT_STATES:
            oldest = self._held.popleft()()
            if oldest is not None:
                oldest.hit_state = None
        return state


DROPPED, UNHELD = -1, -2
"""The epochs of entries that a write has invalidated, and that are not in the first level.

No purge has such an epoch, so that a hit sees by one comparison that there is more to look at.
"""


class Entry:
    """One stored response: what the app sent, how long it is fresh, and its representations.

    Times are epoch seconds. `born` is when the response was generated, so that its current age
    is `now - born` (RFC 9111, 4.2.3: the corrected initial age is taken off the time it came);
    `expires` is `born` plus the freshness lifetime; `kept_until` is when even a stale response is
    of no use any more. `fields` are the app's, less those that are never stored; `negotiates` says
    which axes the response was negotiated on: any variant of an axis that it was not negotiated on
    is served by the same representation.
    """

    forms: Representation | tuple[Representation, ...]
    variants: tuple[Variant, ...]

    __slots__ = (
        "app_bytes",
        "born",
        "credentialed",
        "epoch",
        "expires",
        "format",
        "forms",
        "kept_until",
        "key",
        "last_kept",
        "mark",
        "negotiates",
        "own",
        "route",
        "selecting",
        "shape",
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
        self.key = key
        self.status = status
        self.shape = Shape(fields)
        self.own = b""  # fills the gaps that the shape has once it is shared
        self.born = born
        self.expires = expires
        # Equal times are one object.
        self.kept_until = expires if kept_until in (None, expires) else kept_until
        self.epoch = UNHELD  # of the purges of which it is known that none is about it
        self.uri = b""  # the digest of its URI, once it is stored
        self.terms = terms
        self.tags = tags  # by which it may be purged
        self.credentialed = credentialed  # what it may answer: {authorization, cookie, *}
        self.selecting = selecting  # the varying fields of the request, and their values
        self.negotiates = negotiates  # (format, coding)
        self.format = ""  # of the app's own representation, once it was asked for
        self.app_bytes = app_bytes  # of the body as the app made it, for the timing of hits
        self.route = route  # the route template, for the same
        self.hold(representations)
        self.last_kept: Representation | None = None  # what was served last
        self.mark: object = None  # by which forms that are kept apart from it are known as its own

    @property
    def fields(self) -> Fields:
        """A new list of the app's fields."""
        return self.shape.fill(self.own)

    @property
    def kept(self) -> tuple[Representation, ...]:
        """The representations, in the order of `variants`."""
        return self.forms if isinstance(self.forms, tuple) else (self.forms,)

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
        """Return the representation that is kept for a variant."""
        for place, known in enumerate(self.variants):
            if known == variant:
                kept = self.forms  # after the variants: see `hold`
                return kept[place] if isinstance(kept, tuple) else kept
        return None

    def add(self, variant: Variant, kept: Representation) -> None:
        """Keep another representation, in place of one for the same variant."""
        self.hold(self.representations | {variant: kept})

    def hold(self, representations: dict[Variant, Representation]) -> None:
        """Keep these representations and no others."""
        kept = tuple(representations.values())
        # In this order: another thread may be looking, and finds nothing rather than too much.
        self.forms = kept[0] if len(kept) == 1 else kept  # nearly always: no tuple around it
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
