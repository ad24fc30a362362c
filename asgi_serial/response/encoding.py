"""A whole body on its way into the form that its client wants: translated, then compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.encodings import MIN_BYTES, Encoded
from asgi_serial.errors import FormatError
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.formats.base import Translation


class WholeEncoding:
    """What the plan of a response makes of its body, once that is there as a whole.

    `recall` may have it already. Else `encode` translates and compresses it, in a thread where it
    `is_slow`, and `choose` gives what is sent. `note` is told what was not done.
    """

    __slots__ = (
        "_coding",
        "_digest",
        "_engine",
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
        self._coding = plan.codec.name if plan.codec is not None else ""
        self._engine = engine
        self._plan = plan
        self._note = note
        self._digest = b""  # by which the outcome is to be remembered

    def may_be_known(self, route: Callable[[], str]) -> bool:
        """Whether it is worth a digest to see if the same body was encoded before."""
        encodings, codec = self._engine.encodings, self._plan.codec
        if encodings is None:
            return False
        # Most bodies are small, and are spared finding their route.
        size, min_bytes = len(self.body), MIN_BYTES if codec is None else codec.recall_bytes
        return size >= min_bytes and encodings.wants(route(), size, min_bytes=min_bytes)

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

    def is_slow(self, *, is_made: bool) -> bool:
        """Whether `encode` takes too long for the event loop."""
        size, codec, translation = len(self.body), self._plan.codec, self._plan.translation
        if codec is not None and size >= codec.offload_bytes:
            return True
        return translation is not None and not is_made and size >= translation.offload_bytes

    def encode(self, *, is_made: bool) -> bytes | None:
        """Translate the body, unless it `is_made` in its format, and return it compressed.

        None where it is not compressed. Any thread may do it.
        """
        translation = self._plan.translation
        if translation is not None and not is_made:
            self._translate(translation)
        codec = self._plan.codec
        if codec is None:
            return None
        if len(self.content) < (1 if self._plan.must_encode else self._engine.settings.min_size):
            self._note(Reason.TOO_SMALL)
            return None
        return codec.compress(self.content)

    def _translate(self, translation: Translation) -> None:
        if len(self.body) > self._engine.settings.format_max_size:
            self._note(Reason.BODY_NOT_WHOLE)
            self.media_type = ""
            return
        try:
            self.content = translation.translate(self.body)
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
