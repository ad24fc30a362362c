"""Models as answers to clients: one way, and in a format that the client accepts."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgpack  # type: ignore[import-untyped]
from pydantic import ValidationError
from pydantic_core import to_json, to_jsonable_python
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MALFORMED, MsgPackFormat, choose_packer
from asgi_serial.formats.transcoding import build_transcoder, may_hold_nonfinite
from asgi_serial.http.negotiation import choose_format
from asgi_serial.serialization.round_trip import UNWRITABLE

_JSON = JsonFormat.media_types[0]
_EXTENSION = "asgi_serial.model"

# A client's document may have any number of faults, and names of any length.
_MOST_FAULTS = 100
# The first ones are had with all others only, at 500 bytes each.
_MOST_READ = 1_000
_LONGEST_STEP = 100


def encode_model(model: Any, media_type: str, *, by_alias: bool | None = None) -> bytes:
    r"""A model in the format that a media type names, with no other format in between.

    It is what Pydantic writes for it, also what can not be read back, such as a secret, or a
    field under a name that it is not read by; in MessagePack it is the document that JSON would
    be, value by value. `by_alias` is Pydantic's; None leaves it to the model. The instance may be
    of one of Pydantic's dataclasses as well.

    Raises: FormatError for a media type that names neither, or for an instance without such form.

    >>> from pydantic import BaseModel
    >>> class Item(BaseModel):
    ...     id: int
    >>> encode_model(Item(id=1), "application/msgpack")
    b'\x81\xa2id\x01'
    """
    essence = media_type.partition(";")[0].strip(" \t").lower()
    options: dict[str, Any] = {} if by_alias is None else {"by_alias": by_alias}
    serializer = type(model).__pydantic_serializer__
    try:
        if essence in JsonFormat.media_types:
            data: bytes = serializer.to_json(model, **options)
        elif essence in MsgPackFormat.media_types:
            data = _packer()(serializer.to_python(model, mode="json", **options))
            # JSON has null for it, and both forms should be one document.
            if may_hold_nonfinite(data):
                data = build_transcoder().from_json(serializer.to_json(model, **options))
        else:
            raise FormatError(f"{media_type!r} names no format that models are sent in")
    except (*UNWRITABLE, *MALFORMED) as error:
        if isinstance(error, FormatError):
            raise
        name = type(model).__qualname__
        raise FormatError(f"{name} can not be written as {essence}: {error}") from error
    return data


@cache
def _packer() -> Callable[[Any], bytes]:
    return choose_packer("auto")


def respond(model: Any, request: Request, *, status_code: int = 200) -> Response:
    """A response with a model in the format that the client prefers, JSON or MessagePack.

    Where the client accepts neither it gets JSON. A middleware outside may still compress it.
    """
    # Several lines of a list are one list (RFC 9110, 5.3).
    accept = ", ".join(request.headers.getlist("accept")).encode("latin-1")
    choice = choose_format(accept or None, _JSON, (MsgPackFormat.media_types,))
    content = encode_model(model, choice.media_type)
    return Response(content, status_code, media_type=choice.media_type, headers={"vary": "Accept"})


def validation_problem(error: ValidationError, *, status_code: int = 422) -> Response:
    """A refusal in problem details (RFC 9457) that says what is wrong where, and repeats no input.

    `errors()` of a ValidationError holds what the client sent, which may be secret, or bytes that
    JSON has no form for, and its text shows a part of it. Of many faults the first 100 are listed,
    of more than 1,000 none.
    """
    faults: list[Any] = []
    if error.error_count() <= _MOST_READ:
        faults += error.errors(include_url=False, include_context=False, include_input=False)
    document = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": status_code,
        "detail": f"Faults in the document: {error.error_count()}.",
        "errors": [
            {"pointer": _pointer(fault["loc"]), "detail": fault["msg"], "kind": fault["type"]}
            for fault in faults[:_MOST_FAULTS]
        ],
    }
    return Response(
        json.dumps(document),
        status_code,
        media_type="application/problem+json",
        headers={"cache-control": "no-store"},
    )


def _pointer(location: tuple[int | str, ...]) -> str:
    """The place of a fault as a JSON Pointer in a URI fragment.

    Source: RFC 9457, 3.1 (its example of an extension member); RFC 6901, 3.
    """
    shown = (str(step)[:_LONGEST_STEP] for step in location)
    steps = (step.replace("~", "~0").replace("/", "~1") for step in shown)
    return "#" + "".join(f"/{step}" for step in steps)


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
