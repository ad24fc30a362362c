"""Derive another variant of a stored response without calling the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Representation
from asgi_serial.errors import CodecError
from asgi_serial.http.field_names import RESPONSE_FIELDS
from asgi_serial.http.headers import content_length, read_fields
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import Base, encode_whole, represent

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Variant
    from asgi_serial.engine.engine import Engine


# Decoding and encoding this many bytes takes about 1 ms, which is acceptable for a rare step.
DERIVE_OFFLOAD_BYTES = 16_000


def size_to_derive(entry: Entry) -> int:
    """Return the number of bytes to process: the larger of the stored and the decoded body."""
    source = _find_source(entry)
    return 0 if source is None else max(len(source.body), entry.app_bytes)


def derive(
    engine: Engine, entry: Entry, variant: Variant, *, must_encode: bool = False
) -> Representation | None:
    """Return the representation of `entry` for `variant`; None if only the app can make it.

    `must_encode` encodes the body even if it is small or does not shrink. A large body takes long
    to decode and encode; the call may run in any thread.
    """
    media_type, coding = variant
    source = _find_source(entry)
    if source is None:
        return None
    negotiator = engine.negotiator
    translation = negotiator.translations[entry.find_format(), media_type] if media_type else None
    codec = negotiator.codecs[coding] if coding else None
    try:
        body = _decoded(engine, source)
    except CodecError:
        return None
    made = encode_whole(body, media_type, translation, codec, must_encode, engine.settings)
    reasons = made.reasons
    if codec is None:
        reasons += (Reason.CLIENT_TAKES_NONE,) if entry.negotiates[1] else source.reasons
    fields = read_fields(entry.fields, RESPONSE_FIELDS)
    length = content_length(fields)
    by_format, by_coding = entry.negotiates
    base = Base(
        entry.fields,
        fields,
        negotiator.varies[by_format, by_coding][fields.get(b"vary", b"")]
        if by_format or by_coding
        else None,
        fields.get(b"etag"),
        length is None or length > engine.settings.whole_limit,
        negotiator.tag_suffixes,
    )
    sent, etag = represent(base, made.media_type, made.coding, made.content)
    return Representation(sent, made.content, made.coding, etag, reasons)


def _find_source(entry: Entry) -> Representation | None:
    """Return a representation in the app's own format; None if there is none.

    A variant in another format is of no use: it may hold content that could not be translated.
    """
    for (media_type, _), form in zip(entry.variants, entry.all_forms, strict=False):
        if not media_type:
            return form
    return None


def _decoded(engine: Engine, form: Representation) -> bytes:
    if not form.coding:
        return form.body
    codec = engine.negotiator.codecs.get(form.coding)
    if codec is None:
        raise CodecError(f"the coding {form.coding!r} is not supported by this release")
    decoder = codec.decoder()
    content = decoder.feed(form.body, limit=engine.settings.max_decoded)
    decoder.finish()
    return content
