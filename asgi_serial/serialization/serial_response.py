"""A response that is encoded once, straight into the format that its client wants."""

from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
from pydantic_core import to_json, to_jsonable_python
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MALFORMED
from asgi_serial.serialization.fidelity import UNWRITABLE
from asgi_serial.serialization.responses import encode_model

_JSON = JsonFormat.media_types[0]
_EXTENSION = "asgi_serial.model"


class SerialResponse(Response):
    """A response with a model, or with plain data, in the format that its client wants.

    `content` is an instance of a Pydantic model or dataclass, or anything that Pydantic has a
    JSON form for, such as a list of models. Behind
    `SerialMiddleware` it is written in the negotiated format at once, with no other in between;
    without it, or for a client that names none, it is JSON. `by_alias` is Pydantic's; None leaves
    it to the model. It works wherever a Starlette response does: Starlette, FastAPI (also as
    `response_class`, with `response_model` kept), and Litestar, where the handler's annotation has
    to be this class.

    Raises, when it is sent: FormatError for what has no form in JSON.
    """

    media_type = _JSON

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        *,
        by_alias: bool | None = None,
    ) -> None:
        self._content = content
        self._by_alias = by_alias
        super().__init__(None, status_code, headers, media_type, background)
        self._body: bytes | None = None

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Take the headers; the length is known when the format is."""
        super().init_headers(headers)
        del self.headers["content-length"]

    @property
    def body(self) -> bytes:
        """The response as JSON, unless other bytes were put in its place."""
        return self._encode(_JSON) if self._body is None else self._body

    @body.setter
    def body(self, value: bytes) -> None:
        self._body = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI 3.0)."""
        offered = (scope.get("extensions") or {}).get(_EXTENSION)
        content_type, body = self.headers["content-type"], self._body
        if body is None and offered is not None and content_type == _JSON:
            content_type, body = offered["encode"](self._encode, self.status_code, self.raw_headers)
        elif body is None:
            body = self._encode(_JSON)
        prefix = "websocket." if scope["type"] == "websocket" else ""
        # One object may answer many requests, each in its own format.
        headers = MutableHeaders(raw=[*self.raw_headers])
        headers["content-type"] = content_type
        if self.status_code >= 200 and self.status_code not in (204, 304):
            headers["content-length"] = str(len(body))
        await send(
            {
                "type": f"{prefix}http.response.start",
                "status": self.status_code,
                "headers": headers.raw,
            }
        )
        await send({"type": f"{prefix}http.response.body", "body": body})
        if self.background is not None:
            await self.background()

    def _encode(self, media_type: str) -> bytes:
        content, by_alias = self._content, self._by_alias
        if hasattr(type(content), "__pydantic_serializer__"):
            return encode_model(content, media_type, by_alias=by_alias)
        options: Any = {"by_alias": bool(by_alias), "inf_nan_mode": "null"}
        try:
            if media_type == _JSON:
                return to_json(content, **options)
            return bytes(msgpack.packb(to_jsonable_python(content, **options)))
        except (*UNWRITABLE, *MALFORMED) as error:
            raise FormatError(f"the content can not be written as {media_type}: {error}") from error
