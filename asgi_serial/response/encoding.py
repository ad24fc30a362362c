"""A whole body on its way into the form that its client wants: translated, then compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.encodings import Encoded
from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.transcoding import JSON_OFFLOAD_BYTES, MSGPACK_OFFLOAD_BYTES
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan


class WholeEncoding:
    """What the plan of a response makes of its body, once that is there as a whole.

    `recall` may have it already. Else `encode` translates and compresses it, in a thread where it
    `is_slow`, and `choose` gives what is sent. `note` is told what was not done.
    """

    __slots__ = (
        "_coding",
        "_digest",
        "_engine",
        "_is_to_json",
        "_note",
        "_plan",
        "body",
        "content",
        "media_type",
    )

    def __init__(
        self, engine: Engine, plan: ResponsePlan, body: bytes, note: Callable[[Reason], None]
    ) -> None:
        self.body = self.content = body  # as the app made it, and as it is now
        self.media_type = plan.media_type
        self._is_to_json = plan.media_type in JsonFormat.media_types
        self._coding = plan.codec.name if plan.codec is not None else ""
        self._engine = engine
        self._plan = plan
        self._note = note
        self._digest = b""  # by which the outcome is to be remembered

    def may_be_known(self, route: Callable[[], str]) -> bool:
        """Whether it is worth a digest to see if the same body was encoded before."""
        encodings = self._engine.encodings
        return encodings is not None and encodings.wants(route(), self._coding, len(self.body))

    @property
    def _outcome(self) -> str:
        """The name under which the outcome is remembered, which is another where it must differ."""
        return f"{self._coding} only" if self._plan.must_encode else self._coding

    def recall(self, route: str, digest: bytes) -> Encoded | None:
        """What the same body became before; else what becomes of it now is remembered."""
        encodings = self._engine.encodings
        assert encodings is not None  # it was asked whether this may be known
        self._digest = digest
        return encodings.find(route, digest, self._plan.media_type, self._outcome)

    @property
    def _offload_bytes(self) -> int:
        """The size of a body whose translation is left to a thread."""
        return MSGPACK_OFFLOAD_BYTES if self._is_to_json else JSON_OFFLOAD_BYTES

    def is_slow(self, *, is_made: bool) -> bool:
        """Whether `encode` takes too long for the event loop."""
        size, codec = len(self.body), self._plan.codec
        is_long = codec is not None and size >= codec.offload_bytes
        return is_long or (bool(self.media_type) and not is_made and size >= self._offload_bytes)

    def encode(self, *, is_made: bool) -> bytes | None:
        """Translate the body, unless it `is_made` in its format, and return it compressed.

        None where it is not compressed. Any thread may do it.
        """
        if self.media_type and not is_made:
            self._translate()
        codec = self._plan.codec
        if codec is None:
            return None
        if len(self.content) < (1 if self._plan.must_encode else self._engine.settings.min_size):
            self._note(Reason.TOO_SMALL)
            return None
        return codec.compress(self.content)

    def _translate(self) -> None:
        if len(self.body) > self._engine.settings.format_max_size:
            self._note(Reason.BODY_NOT_WHOLE)
            self.media_type = ""
            return
        try:
            transcoder = self._engine.negotiator.transcoder
            self.content = transcoder.translate(self.body, to_json=self._is_to_json)
        except FormatError:
            self._note(Reason.VALUE_NOT_CARRIED)
            self.media_type = ""

    def choose(self, compressed: bytes | None = None) -> Encoded:
        """Return what is sent: the compressed content, if it is there and smaller, or has to be."""
        media_type, coding, content = self.media_type, "", self.content
        if compressed is not None:
            if self._plan.must_encode or len(compressed) < len(content):
                coding, content = self._coding, compressed
            else:
                self._note(Reason.NOT_SMALLER)
        encoded = Encoded(media_type, coding, content, len(self.content))
        if self._digest and self._engine.encodings is not None:
            plan = self._plan
            self._engine.encodings.keep(self._digest, plan.media_type, self._outcome, encoded)
        return encoded
