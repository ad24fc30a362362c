"""Translate and compress a whole body, as the plan of its response says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.encodings import MIN_BYTES, Encoded
from asgi_serial.errors import FormatError
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.formats.base import Translation
    from asgi_serial.settings.model import Settings

# Stored forms keep them, so equal ones are one object.
_TOO_SMALL, _WOULD_NOT_SHRINK = (Reason.TOO_SMALL,), (Reason.WOULD_NOT_SHRINK,)


def encode_whole(plan: ResponsePlan, body: bytes, settings: Settings, *, is_made: bool) -> Encoded:
    """Return the encoded body, with the reasons for each planned step that was not done.

    `is_made` says that the app has made the body in the planned format. Any thread may call it.
    """
    media_type, content, translation, codec = plan.media_type, body, plan.translation, plan.codec
    reasons: tuple[Reason, ...] = ()
    if translation is not None and not is_made:
        translated = _translate(translation, body, settings.format_max_size)
        if isinstance(translated, Reason):
            media_type, reasons = "", (translated,)
        else:
            content = translated
    size = len(content)
    if codec is None:
        return Encoded(media_type, "", content, size, reasons)
    if size < (1 if plan.must_encode else settings.min_size):
        return Encoded(media_type, "", content, size, reasons + _TOO_SMALL)
    compressed = codec.compress(content)
    if plan.must_encode or len(compressed) < size:
        return Encoded(media_type, codec.name, compressed, size, reasons)
    return Encoded(media_type, "", content, size, reasons + _WOULD_NOT_SHRINK)


def _translate(translation: Translation, body: bytes, max_bytes: int) -> bytes | Reason:
    if len(body) > max_bytes:
        return Reason.BODY_NOT_WHOLE
    try:
        return translation.translate(body)
    except FormatError:
        return Reason.VALUE_NOT_CARRIED


def is_slow(plan: ResponsePlan, size: int, *, is_made: bool) -> bool:
    """Whether `encode_whole` takes too long for the event loop with a body of this size."""
    codec, translation = plan.codec, plan.translation
    if codec is not None and size >= codec.offload_bytes:
        return True
    return translation is not None and not is_made and size >= translation.offload_bytes


def recall_bytes(plan: ResponsePlan) -> int:
    """Return the size from which finding a body that was encoded before saves time."""
    return MIN_BYTES if plan.codec is None else plan.codec.recall_bytes


def outcome_name(plan: ResponsePlan) -> str:
    """Return the name under which the encoded body is remembered.

    A body that must be encoded has another: its encoded form may be longer than the body.
    """
    if plan.codec is None:
        return ""
    return f"{plan.codec.name} only" if plan.must_encode else plan.codec.name
