"""The scope extension by which an app's response is encoded once, in the negotiated format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.errors import FormatError
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import read_response_fields, without
from asgi_serial.representation.response_plan import plan_response
from asgi_serial.request.handler_policy import adopt_policy
from asgi_serial.request.plan import find_wants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Field, Fields

    Encode = Callable[[str], bytes]
    """Returns the document in the format of a media type. Raises: FormatError."""

EXTENSION = "asgi_serial.model"
"""The name in the scope's `extensions`, present if the client prefers another format to JSON.

`scope["extensions"]["asgi_serial.model"]["encode"](encode, status, fields)` returns the media type
and the body of a response that the app is about to start with this status and these fields.
"""

_DESCRIBES_BODY = frozenset({b"content-length", b"content-type"})


class Handed(NamedTuple):
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


def plan_as_made(engine: Engine, plan: ResponsePlan, fields: Mapping[bytes, bytes]) -> ResponsePlan:
    """Return the plan for a response that is already in the negotiated format, and passes."""
    vary = engine.negotiator.varies[True, plan.negotiates[1]][fields.get(b"vary", b"")]
    return plan._replace(
        media_type="",
        translation=None,
        codec=None,
        must_encode=False,
        vary=vary,
        added=[(b"vary", vary)],
        refused=False,
        passes=True,
    )


def offer_models(engine: Engine, plan: RequestPlan) -> dict[str, Any]:
    """Return the extension for the app's scope."""

    def encode(
        encode: Encode, status: int = 200, fields: Iterable[Field] = ()
    ) -> tuple[str, bytes]:
        _, read = read_response_fields(fields)
        read[b"content-type"] = JSON_TYPE.encode()
        adopt_policy(engine, plan)
        wants = find_wants(engine, plan)
        media_type = plan_response(engine, wants, status, read).media_type
        if not media_type:
            return JSON_TYPE, encode(JSON_TYPE)
        try:
            content = encode(media_type)
        except FormatError:
            return JSON_TYPE, encode(JSON_TYPE)
        plan.handed = Handed(encode, media_type, content)
        return media_type, content

    return {"encode": encode}
