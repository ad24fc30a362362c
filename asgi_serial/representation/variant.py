"""The variant of a response that a client gets: its plan, its content, its fields and its tag."""

from __future__ import annotations

import hashlib
from itertools import product
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.encodings import MIN_BYTES, Encoded
from asgi_serial.engine.preferences import ResponsePlan
from asgi_serial.errors import FormatError
from asgi_serial.http.digests import DIGEST_FIELDS, digest_fields
from asgi_serial.http.field_names import BODY_FIELDS, NOT_IN_304
from asgi_serial.http.headers import content_length, without
from asgi_serial.http.validators import (
    app_tag,
    format_entity_tag,
    parse_entity_tag,
    parse_entity_tags,
    variant_tag,
    weak_match,
)
from asgi_serial.reasons import Reason, lasting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.codecs.base import Codec
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import TypeFacts, Wants
    from asgi_serial.engine.variant_tags import TagSuffixes
    from asgi_serial.formats.base import Translation
    from asgi_serial.settings.model import Settings
    from asgi_serial.types import Fields

# RFC 9110, 6.4.1 and 15.3.6: these have no content, except for 206, whose part (15.3.7) would not
# fit the others if its bytes were changed.
UNTRANSFORMED = frozenset((*range(100, 200), 204, 205, 206, 304))

# Further fields that a plan depends on, in addition to the type and the length.
_RARER_FIELDS = (b"vary", b"content-encoding", b"cache-control", b"content-range")
_RARER = frozenset(_RARER_FIELDS)

# Stored forms keep them, so equal ones are one object.
_TOO_SMALL, _WOULD_NOT_SHRINK = (Reason.TOO_SMALL,), (Reason.WOULD_NOT_SHRINK,)

_VARIANT_DROPS = BODY_FIELDS | {b"vary"}
_FORMAT_DROPS = _VARIANT_DROPS | {b"content-type"}


def plan_response(
    engine: Engine,
    wants: Wants,
    status: int,
    fields: Mapping[bytes, bytes],
    has_trailers: bool = False,  # noqa: FBT001, FBT002 - called for every response
) -> ResponsePlan:
    """Return the plan for a response with this head, for these preferences of the client."""
    # Everything that the plan depends on. The length counts only as its comparison with limits.
    length = fields.get(b"content-length")
    kind: tuple[object, ...] = (
        status,
        fields.get(b"content-type"),
        None if length is None else engine.negotiator.reaches[length],
    )
    if has_trailers or not _RARER.isdisjoint(fields):
        kind = (*kind, has_trailers, *map(fields.get, _RARER_FIELDS))
    plan = wants.plans.get(kind)
    if plan is None:
        plan = _make_plan(engine, wants, status, fields, has_trailers)
        wants.plans.keep(kind, plan)
    return plan


def _make_plan(
    engine: Engine,
    wants: Wants,
    status: int,
    fields: Mapping[bytes, bytes],
    has_trailers: bool,  # noqa: FBT001
) -> ResponsePlan:
    settings = engine.settings
    length = content_length(fields)
    types = engine.negotiator.types[fields.get(b"content-type", b"")]
    obstacle = find_obstacle(engine, status, fields, has_trailers=has_trailers)
    formats, coding = wants.formats, wants.compression
    media_type, codec, refused = "", None, False
    reasons = []
    if obstacle is None:
        formats = formats and bool(types.format)
        # RFC 9110, 12.5.3: a client that refuses identity should not get it if a coding is
        # acceptable. For other clients, Vary does not name Accept-Encoding on small bodies: caches
        # would store them once for each of its values, for the sake of clients that hardly exist.
        large = wants.must_encode or length is None or length >= settings.min_size
        coding = coding and types.is_compressible and large
        if formats:
            media_type = wants.media_type_for(types.format)
            refused = wants.refused and status == 200
        if coding and wants.coding:
            codec = engine.negotiator.codecs[wants.coding]
        else:
            reasons.append(why_not_compressed(wants, types, is_large=large))
        own_format = wants.why_own_format(types)
        if own_format is not None and not refused:
            reasons.append(own_format)
    else:
        reasons.append(obstacle)
        # RFC 9110, 15.4.5: a 304 has the Vary that the 200 would have had; 15.3.7: so has a 206.
        partial = status in (206, 304)
        formats = partial and formats and (bool(types.format) or not types.essence)
        coding = partial and coding and (types.is_compressible or not types.essence)
    vary = (
        engine.negotiator.varies[formats, coding][fields.get(b"vary", b"")]
        if formats or coding
        else None
    )
    translation = engine.negotiator.translations[types.format, media_type] if media_type else None
    steps = [one for one in (codec, translation) if one is not None]
    return ResponsePlan(
        negotiates=(formats, coding),
        media_type=media_type,
        translation=translation,
        codec=codec,
        offload_bytes=min([step.offload_bytes for step in steps], default=inf),
        recall_bytes=MIN_BYTES if codec is None else codec.recall_bytes,
        must_encode=codec is not None and wants.must_encode,
        event_stream=types.is_event_stream,
        weak=length is None or length > settings.whole_limit,
        vary=vary,
        added=[] if vary is None else [(b"vary", vary)],
        refused=refused,
        passes=codec is None and not media_type and not refused,
        reasons=tuple(reasons),
        lasting=lasting(reasons),
    )


def reasons_of_own(plan: ResponsePlan) -> tuple[Reason, ...]:
    """Return why a response with this plan is sent to some clients as the app makes it."""
    by_coding = plan.negotiates[1]
    return (Reason.CLIENT_TAKES_NONE,) if by_coding else plan.lasting


def find_obstacle(
    engine: Engine, status: int, fields: Mapping[bytes, bytes], *, has_trailers: bool
) -> Reason | None:
    """Return the reason why the bytes of this response must not be changed; None if they may be."""
    if status in UNTRANSFORMED or b"content-range" in fields:
        return Reason.STATUS_NOT_TRANSFORMABLE
    if b"content-encoding" in fields:
        return Reason.ALREADY_ENCODED
    # RFC 9111, 5.2.2.6: no-transform means that an intermediary must not transform the content.
    if (
        b"cache-control" in fields
        and engine.fields.cache_controls[fields[b"cache-control"]].no_transform
    ):
        return Reason.NO_TRANSFORM
    return Reason.HAS_TRAILERS if has_trailers else None


def why_not_compressed(wants: Wants, types: TypeFacts, *, is_large: bool) -> Reason:
    """Return the reason why a response that may be encoded is not."""
    if not wants.compression:
        return Reason.TURNED_OFF
    if not types.is_compressible:
        return Reason.TYPE_NOT_COMPRESSIBLE
    if not is_large:
        return Reason.TOO_SMALL
    assert wants.uncoded is not None  # it chooses no coding
    return wants.uncoded


class Base(NamedTuple):
    """A response of the app, from which representations are made."""

    pairs: Fields
    fields: Mapping[bytes, bytes]
    vary: bytes | None  # the whole new value of Vary; None leaves it unchanged
    etag: bytes | None  # the app's own, or one made from its bytes
    weak: bool  # the bytes of an encoded variant depend on how the app divides its body
    suffixes: TagSuffixes
    is_read: bool = True  # the tag belongs to this content, not to the result of a write

    def tagged(self, etag: bytes) -> Base:
        """Return a copy with an entity tag that the app did not send."""
        pairs = [*self.pairs, (b"etag", etag)]
        return self._replace(pairs=pairs, fields={**self.fields, b"etag": etag}, etag=etag)


def encode_whole(
    body: bytes,
    media_type: str,
    translation: Translation | None,
    codec: Codec | None,
    must_encode: bool,  # noqa: FBT001 - on the way of every body
    settings: Settings,
) -> Encoded:
    """Return a body in a format and a coding, with the reasons for each step that was not done.

    Without a `translation`, the body is in the format of `media_type` already; without a `codec`,
    it is not compressed. `must_encode` encodes it even if it is small or does not shrink. Any
    thread may call this.
    """
    content = body
    reasons: tuple[Reason, ...] = ()
    if translation is not None:
        translated = _translate(translation, body, settings.format_max_size)
        if isinstance(translated, Reason):
            media_type, reasons = "", (translated,)
        else:
            content = translated
    size = len(content)
    if codec is None:
        return Encoded(media_type, "", content, size, reasons)
    if size < (1 if must_encode else settings.min_size):
        return Encoded(media_type, "", content, size, reasons + _TOO_SMALL)
    compressed = codec.compress(content)
    if must_encode or len(compressed) < size:
        return Encoded(media_type, codec.name, compressed, size, reasons)
    return Encoded(media_type, "", content, size, reasons + _WOULD_NOT_SHRINK)


def _translate(translation: Translation, body: bytes, max_bytes: int) -> bytes | Reason:
    if len(body) > max_bytes:
        return Reason.BODY_NOT_WHOLE
    try:
        return translation.translate(body)
    except FormatError:
        return Reason.VALUE_NOT_CARRIED


def content_tag(content: bytes) -> bytes:
    """Return a strong entity tag for `content`: equal tags mean equal bytes (RFC 9110, 8.8.3)."""
    return b'"' + hashlib.blake2b(content, digest_size=16).hexdigest().encode() + b'"'


def represent(
    base: Base, media_type: str, coding: str, content: bytes | None
) -> tuple[Fields, bytes | None]:
    """Return the fields of a variant, as a new list, and its entity tag.

    `content` is the whole body of the variant; None if it is streamed, or absent as for HEAD.
    """
    if media_type or coding:
        return _variant_fields(base, media_type, coding, content)
    return _own_fields(base)


def _own_fields(base: Base) -> tuple[Fields, bytes | None]:
    made, etag = base.pairs, base.etag
    if etag is not None:
        etag = app_tag(etag, base.suffixes.known)
        if etag != base.fields.get(b"etag"):
            made = _with_tag(made, etag)
    if etag is not None and parse_entity_tag(etag) is None:
        etag = None  # a malformed tag is sent unchanged, but matches nothing (RFC 9110, 8.8.3)
    if base.vary is None:
        return list(made), etag
    if b"vary" in base.fields:
        made = without(made, {b"vary"})
    return [*made, (b"vary", base.vary)], etag


def with_own_tag(pairs: Fields, etag: bytes, suffixes: TagSuffixes) -> Fields:
    """Return the fields of a response that passes, with its tag protected by `app_tag`."""
    shown = app_tag(etag, suffixes.known)
    return pairs if shown == etag else _with_tag(pairs, shown)


def _with_tag(pairs: Fields, etag: bytes) -> Fields:
    return [*without(pairs, {b"etag"}), (b"etag", etag)]


def _variant_fields(
    base: Base, media_type: str, coding: str, content: bytes | None
) -> tuple[Fields, bytes | None]:
    assert base.vary is not None  # it names the fields that select the variant
    drops = _FORMAT_DROPS if media_type else _VARIANT_DROPS
    made = [pair for pair in base.pairs if pair[0] not in drops]
    if media_type:
        made.append((b"content-type", media_type.encode()))
    if coding:
        made.append((b"content-encoding", coding.encode()))
    if content is not None:
        made.append((b"content-length", b"%d" % len(content)))
        if not DIGEST_FIELDS.isdisjoint(base.fields):
            made += digest_fields(base.fields, content)
    etag = base.etag
    if etag is not None and parse_entity_tag(etag) is None:
        etag = None  # a malformed tag has no form for a variant
    if etag is not None:
        # RFC 9110, 8.8.3.3: representations that differ in their content coding need different
        # strong tags.
        etag = app_tag(etag, base.suffixes.known)
        if base.is_read:
            etag = variant_tag(etag, base.suffixes[media_type, coding], weak=base.weak)
        made.append((b"etag", etag))
    made.append((b"vary", base.vary))
    return made, etag


def undecided_fields(base: Base, *, by_format: bool) -> Fields:
    """Return the fields that all variants of a response share, as a new list.

    `by_format` says that the format is undecided as well, so that Content-Type is left out.
    """
    assert base.vary is not None  # it names the fields that select the variant
    made = without(base.pairs, _FORMAT_DROPS if by_format else _VARIANT_DROPS)
    made.append((b"vary", base.vary))
    return made


def not_modified_fields(made: Fields) -> Fields:
    """Return the fields of a 304 that replaces a 200 with the fields `made`."""
    return without(made, NOT_IN_304)


def shown_tag(
    base: Base, etag: bytes, media_types: tuple[str, ...], coding: str, if_none_match: bytes
) -> bytes:
    """Return the entity tag for a 304 of the app, whose client sent tags of variants.

    The app knows only its own tag, `etag`. The 304 names the representation that the client has,
    if a 200 to this request could carry it.
    """
    own = app_tag(etag, base.suffixes.known)
    held = parse_entity_tags(if_none_match) or ()
    for media_type, coded in product(media_types, dict.fromkeys((coding, ""))):
        suffix = base.suffixes[media_type, coded]
        tag = parse_entity_tag(variant_tag(own, suffix))
        for one in held:
            if tag is not None and weak_match(one, tag):
                # RFC 9110, 15.4.5: a 304 has the ETag that a 200 would have had. If-None-Match is
                # compared weakly (13.1.2), so the client's tag may differ by `W/`. For a variant of
                # a strong tag, only the client's tag tells whether it was streamed, and so is weak.
                is_weak = tag.weak or (bool(suffix) and one.weak)
                return format_entity_tag(tag._replace(weak=is_weak))
    return own


def with_shown_tag(base: Base, etag: bytes, wants: Wants, if_none_match: bytes) -> Base:
    """Return the base of the app's 304, with the entity tag that the client gets."""
    tag = shown_tag(base, etag, wants.media_types, wants.coding, if_none_match)
    if tag == etag:
        return base
    # The tag is a variant's already. Without `etag` it is not treated as one of the app's.
    pairs = [(name, tag if name == b"etag" else value) for name, value in base.pairs]
    return base._replace(pairs=pairs, etag=None)
