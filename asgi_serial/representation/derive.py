"""Derive another variant of a stored response without calling the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Representation
from asgi_serial.errors import CodecError, FormatError
from asgi_serial.http.field_names import RESPONSE_FIELDS
from asgi_serial.http.headers import content_length, read_fields
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant_fields import Base, represent

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
    reasons: list[Reason] = []
    source = _find_source(entry)
    if source is None:
        return None
    try:
        content = _decoded(engine, source)
        if media_type and len(content) > engine.settings.format_max_size:
            media_type = ""
            reasons.append(Reason.BODY_NOT_WHOLE)
        if media_type:
            content = engine.negotiator.translations[entry.find_format(), media_type].translate(
                content
            )
    except FormatError:
        media_type = ""
        reasons.append(Reason.VALUE_NOT_CARRIED)
    except CodecError:
        return None
    if not coding:
        reasons += [Reason.CLIENT_TAKES_NONE] if entry.negotiates[1] else source.reasons
    elif len(content) < (1 if must_encode else engine.settings.min_size):
        coding = ""
        reasons.append(Reason.TOO_SMALL)
    else:
        encoded = engine.negotiator.codecs[coding].compress(content)
        if must_encode or len(encoded) < len(content):
            content = encoded
        else:
            coding = ""
            reasons.append(Reason.WOULD_NOT_SHRINK)
    fields = read_fields(entry.fields, RESPONSE_FIELDS)
    length = content_length(fields)
    by_format, by_coding = entry.negotiates
    base = Base(
        entry.fields,
        fields,
        engine.negotiator.varies[by_format, by_coding][fields.get(b"vary", b"")]
        if by_format or by_coding
        else None,
        fields.get(b"etag"),
        length is None or length > engine.settings.whole_limit,
        engine.negotiator.tag_suffixes,
    )
    made, etag = represent(base, media_type, coding, content)
    return Representation(made, content, coding, etag, tuple(reasons))


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
