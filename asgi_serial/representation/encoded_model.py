"""A response that the app hands over as a model, to be encoded in the format that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import without

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asgi_serial.types import Fields

    Encode = Callable[[str], bytes]
    """Returns the document in the format of a media type. Raises: FormatError."""

_DESCRIBES_BODY = frozenset({b"content-length", b"content-type"})


class EncodedModel(NamedTuple):
    """A document that can still be encoded in every format, and its form for this client."""

    encode: Encode
    media_type: str
    content: bytes  # the document in this media type

    def is_sent(self, fields: Mapping[bytes, bytes]) -> bool:
        """Whether a response with these fields may be the one that was encoded here."""
        return fields.get(b"content-type") == self.media_type.encode()

    def json_fields(self, pairs: Fields, length: int) -> Fields:
        """Return the fields that the same response would have in JSON."""
        return [
            *without(pairs, _DESCRIBES_BODY),
            (b"content-type", JSON_TYPE.encode()),
            (b"content-length", b"%d" % length),
        ]
