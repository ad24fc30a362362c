"""The scope extension by which an app's response is encoded once, in the negotiated format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.errors import FormatError
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import read_response_fields
from asgi_serial.representation.encoded_model import EncodedModel
from asgi_serial.representation.variant import plan_response
from asgi_serial.request.handler_policy import adopt_policy
from asgi_serial.request.plan import find_wants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.representation.encoded_model import Encode
    from asgi_serial.request.app_call import AppCall
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Field

EXTENSION = "asgi_serial.model"
"""The name in the scope's `extensions`, present if the client prefers another format to JSON.

`scope["extensions"]["asgi_serial.model"]["encode"](encode, status, fields)` returns the media type
and the body of a response that the app is about to start with this status and these fields.
"""


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


def offer_models(engine: Engine, plan: RequestPlan, call: AppCall) -> dict[str, Any]:
    """Return the extension for the app's scope; the model that it encodes is left in `call`."""

    def encode(
        encode: Encode, status: int = 200, fields: Iterable[Field] = ()
    ) -> tuple[str, bytes]:
        _, read = read_response_fields(fields)
        read[b"content-type"] = JSON_TYPE.encode()
        wants = find_wants(engine, adopt_policy(engine, plan, call))
        media_type = plan_response(engine, wants, status, read).media_type
        if not media_type:
            return JSON_TYPE, encode(JSON_TYPE)
        try:
            content = encode(media_type)
        except FormatError:
            return JSON_TYPE, encode(JSON_TYPE)
        call.encoded_model = EncodedModel(encode, media_type, content)
        return media_type, content

    return {"encode": encode}
