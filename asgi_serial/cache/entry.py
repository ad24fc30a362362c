"""A stored response: its metadata, its fields and its representations."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from weakref import ref

from asgi_serial.formats.registry import JSON, format_name
from asgi_serial.http.mediatypes import essence
from asgi_serial.types import Fields

if TYPE_CHECKING:
    from asgi_serial.reasons import Reason
    from asgi_serial.timing.recorder import Kind

Variant: TypeAlias = tuple[str, str]
"""The negotiated form: (media type or "" for the app's own, coding or "" for identity)."""

Key: TypeAlias = tuple[object, ...]
"""The parts of a request that select a resource: str, bytes, None, or tuples of those."""

UNKNOWN_FIELDS = b"*"
"""Stands for unknown fields among the credentials of requests that an entry may answer."""


class Terms(NamedTuple):
    """The rules for using a stored response, beyond its freshness: see `asgi_serial.http.reuse`.

    Most responses have equal terms, so entries share them.
    """

    no_cache: bool = False
    must_revalidate: bool = False
    immutable: bool = False
    has_validator: bool = False
    has_tag: bool = False  # the app sent the ETag; it was not computed from the body here
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None


PLAIN_TERMS = Terms()


SEPARATOR = b"\n"
"""Separates the values of one response. RFC 9110, 5.5: a field value contains no line feed."""


class Shape:
    """The field lines that responses have in common, with gaps for the values that differ.

    The values that fill the gaps of one response are one bytes object. A list of pairs would take
    five times the memory, and give the garbage collector more objects to visit.
    """

    __slots__ = ("gaps", "is_shared", "lines", "tag")

    def __init__(
        self,
        lines: Fields,
        gaps: tuple[tuple[int, bytes], ...] = (),
        tag: bytes | int | None = None,
    ) -> None:
        self.is_shared = False  # belongs to one response only
        self.lines = lines  # never handed out: `fill` copies it
        self.gaps = gaps  # the index of each gap in the list, and its field name
        self.tag = tag  # the entity tag, or the index of the gap that holds it

    def fill(self, own: bytes) -> Fields:
        """Return a new list of the field lines, with the gaps filled by the values in `own`."""
        fields = self.lines.copy()
        if self.gaps:
            for (place, name), value in zip(self.gaps, own.split(SEPARATOR), strict=True):
                fields[place] = (name, value)
        return fields

    def tag_of(self, own: bytes) -> bytes | None:
        """Return the entity tag of the response whose own values are `own`."""
        tag = self.tag
        return own.split(SEPARATOR)[tag] if isinstance(tag, int) else tag


Repeatable: TypeAlias = tuple[
    float, object, object, bool, bytes | None, dict[str, Any], Fields, dict[str, Any]
]
"""An answer to repeat: its end in epoch seconds, profile, wants, whether it is only for requests
whose cookies are all ignored, condition, start, fields and body.

Until then, a request with this profile, these wants and this condition gets it, in copies of the
messages and the fields.
"""


class HitState:
    """Prepared data for hits on one representation; built at the first hit, kept for a few."""

    __slots__ = ("etag", "fields", "fields_of_304", "kind", "last", "second", "stored", "wants")

    def __init__(self, stored: Fields, etag: bytes | None) -> None:
        self.stored = stored  # the fields of the representation, assembled once
        self.etag = etag
        self.wants: object = None  # the wants of the client that was served with it
        self.kind: Kind | None = None  # of its whole hits, as they are recorded
        self.second = -1  # of the clock, for which the fields are current
        self.fields: Fields = []
        self.fields_of_304: Fields | None = None  # set by the first 304
        # A single value, so that another thread sees either a whole answer or none.
        self.last: Repeatable | None = None


class Representation:
    """One form of a stored response, with the fields and the body as they were sent."""

    __slots__ = ("__weakref__", "body", "coding", "hit_state", "own", "reasons", "shape")

    def __init__(
        self,
        fields: Fields,
        body: bytes,
        coding: str,
        etag: bytes | None,
        reasons: tuple[Reason, ...] = (),
    ) -> None:
        """Take the fields, the body, its coding, and the ETag's value if it is an entity tag.

        `reasons` say why it is not in another form, and hold for all its hits.
        """
        self.shape, self.own = Shape(fields, (), etag), b""
        self.body = body
        self.coding = coding  # "" if the body was not encoded by us
        self.reasons = reasons
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
"""The number of representations that keep a hit state: a megabyte, whatever is stored.

Other representations build one for each hit.
"""


class HitStates:
    """Keeps hit states on the representations that were prepared last."""

    def __init__(self) -> None:
        self._held: deque[ref[Representation]] = deque()

    def start(self, form: Representation) -> HitState:
        """Build and return the hit state of a representation that has none yet."""
        state = form.hit_state = HitState(form.fields, form.etag)
        self._held.append(ref(form))
        if len(self._held) > MAX_HIT_STATES:
            oldest = self._held.popleft()()
            if oldest is not None:
                oldest.hit_state = None
        return state


DROPPED, UNHELD = -1, -2
"""The epochs of entries that a write has invalidated, and that are not in the first level.

No purge has such an epoch, so a hit detects by one comparison that more must be checked.
"""


class Droppable:
    """A value of the first level that an invalidation finds there and marks as dropped."""

    __slots__ = ("epoch", "uri")

    epoch: object
    """The purges up to which none is known to match it, or one of the above."""
    uri: bytes
    """The digest of its URI, or of its key."""


class Entry(Droppable):
    """One stored response: its metadata, its fields, and its representations.

    Times are epoch seconds. The current age of the response is `now - generated_at` (RFC 9111,
    4.2.3: the corrected initial age is subtracted from the time of its arrival); `expires` is
    `generated_at` plus the freshness lifetime; after `stored_until`, the response is of no use even
    if stale responses are allowed. `fields` are the app's, without those that are never stored.
    `negotiates` names the axes on which the response was negotiated; on any other axis, one
    representation serves all variants.
    """

    forms: Representation | tuple[Representation, ...]
    variants: tuple[Variant, ...]

    __slots__ = (
        "app_bytes",
        "credentialed",
        "expires",
        "format",
        "forms",
        "generated_at",
        "key",
        "last_form",
        "mark",
        "negotiates",
        "own",
        "route",
        "shape",
        "status",
        "stored_until",
        "tags",
        "terms",
        "variants",
        "vary_values",
    )

    def __init__(
        self,
        key: Key,
        status: int,
        fields: Fields,
        *,
        generated_at: float,
        expires: float,
        credentialed: frozenset[bytes],
        route: str,
        vary_values: tuple[tuple[bytes, bytes | None], ...],
        negotiates: tuple[bool, bool],
        representations: dict[Variant, Representation],
        app_bytes: int = 0,
        stored_until: float | None = None,
        terms: Terms = PLAIN_TERMS,
        tags: tuple[bytes, ...] = (),
    ) -> None:
        self.key = key
        self.status = status
        self.shape = Shape(fields)
        self.own = b""  # fills the gaps of the shape once that is shared
        self.generated_at = generated_at
        self.expires = expires
        # Equal times are one object.
        self.stored_until = expires if stored_until in (None, expires) else stored_until
        self.epoch = UNHELD
        self.uri = b""  # the digest of its URI, once it is stored
        self.terms = terms
        self.tags = tags  # by which it may be purged
        self.credentialed = credentialed  # that it may answer: {authorization, cookie, *}
        self.vary_values = vary_values  # the varying fields of the request, and their values
        self.negotiates = negotiates  # (format, coding)
        self.format = ""  # of the app's own representation, determined on first use
        self.app_bytes = app_bytes  # length of the body as the app sent it, for the timing of hits
        self.route = route  # the route template, for the timing of hits
        self.hold(representations)
        self.last_form: Representation | None = None  # the representation that was served last
        self.mark: object = None  # identifies the forms that are kept apart from this entry

    @property
    def fields(self) -> Fields:
        """A new list of the app's fields."""
        return self.shape.fill(self.own)

    @property
    def all_forms(self) -> tuple[Representation, ...]:
        """The representations, in the order of `variants`."""
        return self.forms if isinstance(self.forms, tuple) else (self.forms,)

    @property
    def no_cache(self) -> bool:
        """Whether the response must be validated before each use."""
        return self.terms.no_cache

    @property
    def must_revalidate(self) -> bool:
        """Whether the response must not be used stale."""
        return self.terms.must_revalidate

    @property
    def immutable(self) -> bool:
        """Whether the response does not change while it is fresh."""
        return self.terms.immutable

    @property
    def has_validator(self) -> bool:
        """Whether the app sent an ETag or a Last-Modified."""
        return self.terms.has_validator

    @property
    def stale_while_revalidate(self) -> float | None:
        """How many seconds stale the response may be while it is refreshed."""
        return self.terms.stale_while_revalidate

    @property
    def stale_if_error(self) -> float | None:
        """How many seconds stale the response may be when it replaces an error."""
        return self.terms.stale_if_error

    @property
    def representations(self) -> dict[Variant, Representation]:
        """A new mapping of the representations by variant."""
        return dict(zip(self.variants, self.all_forms, strict=False))

    def find_format(self) -> str:
        """Return the name of the app's own format, if the format is negotiable."""
        if not self.format:
            types = [value for name, value in self.fields if name == b"content-type"]
            self.format = format_name(essence(types[0]).decode("latin-1")) if types else JSON
        return self.format

    def find(self, variant: Variant) -> Representation | None:
        """Return the representation kept for a variant, or None."""
        for place, known in enumerate(self.variants):
            if known == variant:
                forms = self.forms  # read after the variants: see `hold`
                return forms[place] if isinstance(forms, tuple) else forms
        return None

    def add(self, variant: Variant, form: Representation) -> None:
        """Keep another representation, replacing one of the same variant."""
        self.hold(self.representations | {variant: form})

    def hold(self, representations: dict[Variant, Representation]) -> None:
        """Keep exactly these representations."""
        forms = tuple(representations.values())
        # In this order: a thread that reads meanwhile finds too little rather than too much.
        self.forms = forms[0] if len(forms) == 1 else forms  # nearly always one: no tuple around it
        self.variants = tuple(representations)


class FormApart(NamedTuple):
    """A representation that did not fit into its entry, which has the same mark."""

    mark: object
    made: Representation


class VaryIndex(NamedTuple):
    """The names of the varying fields, stored under the key of a resource whose responses vary.

    The nonce is part of the keys of the selected entries, so that dropping the index drops them
    all.
    """

    names: tuple[bytes, ...]
    nonce: bytes
    generated_at: float = 0.0  # when it was made, in epoch seconds
    until: float = 0.0  # when it expires in the second level: none of its entries may live longer
