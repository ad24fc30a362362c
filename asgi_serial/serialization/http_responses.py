"""HTTP responses with models, in a format that the client accepts."""

import json
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Unpack

from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import Transcoder
from asgi_serial.formats.json_format import MAX_DEPTH
from asgi_serial.formats.registry import FORMATS, JSON_TYPE, find_format
from asgi_serial.http.negotiation import choose_format
from asgi_serial.serialization.encoding import UNWRITABLE, build_packer, unwritable
from asgi_serial.serialization.models import serializer_of
from asgi_serial.serialization.options import WriteOptions, check_options

_JSON = JSON_TYPE
_EXTENSION = "asgi_serial.model"

# A client's document may have any number of faults, with names of any length.
_MOST_FAULTS = 100
# Pydantic lists either all faults or none, at about 500 bytes each.
_MOST_READ = 1_000
_LONGEST_STEP = 100


def encode_model(
    model: Any,
    media_type: str,
    **options: Unpack[WriteOptions],
) -> bytes:
    r"""Encode a model, a dataclass or plain data directly in the format of a media type.

    The result is Pydantic's, even if it cannot be read back, such as a masked secret, or a field
    under a name that is not read. Every format holds the same values as JSON. The options are
    Pydantic's: `include`, `exclude`, `by_alias` and so on.

    Raises: FormatError for other media types, and for values that cannot be encoded; TypeError for
        an unknown option.

    >>> from pydantic import BaseModel
    >>> class Item(BaseModel):
    ...     id: int
    >>> encode_model(Item(id=1), "application/msgpack")
    b'\x81\xa2id\x01'
    """
    essence = media_type.partition(";")[0].strip(" \t").lower()
    chosen = check_options(options) if options else {}
    cls: Any = type(model)
    serializer = serializer_of(cls)
    if essence == _JSON:
        try:
            return serializer.to_json(model, **chosen)
        except UNWRITABLE as error:
            raise unwritable(cls.__qualname__, essence, error) from error
    transcoder = _transcoder_of(essence)
    if transcoder is None:
        known = ", ".join((_JSON, *(name for one in FORMATS for name in one.media_types)))
        raise FormatError(f"{media_type!r} is not a media type of a format: {known}")
    to_plain = partial(serializer.to_python, mode="json")
    name = cls.__qualname__
    pack = build_packer(transcoder, to_plain, serializer.to_json, name=name, format=essence)
    return pack(model, **chosen)


@lru_cache(100)
def _transcoder_of(media_type: str) -> Transcoder | None:
    found = find_format(media_type)
    return found.build(MAX_DEPTH) if found else None


def respond(model: Any, request: Request, *, status_code: int = 200) -> Response:
    """Return a response with a model in JSON or another format, as the client prefers.

    A client that accepts none of them gets JSON. Middleware may still compress the response.
    """
    # RFC 9110, 5.3: field lines with the same name are combined with commas.
    accept = ", ".join(request.headers.getlist("accept")).encode("latin-1")
    choice = choose_format(accept or None, _JSON, tuple(one.media_types for one in FORMATS))
    content = encode_model(model, choice.media_type)
    return Response(content, status_code, media_type=choice.media_type, headers={"vary": "Accept"})


def validation_problem(error: ValidationError, *, status_code: int = 422) -> Response:
    """Return problem details (RFC 9457) that list the faults of a document without its content.

    The `errors()` and the text of a ValidationError contain the client's input, which may be secret
    or impossible to encode as JSON. At most the first 100 faults are listed, and none if there are
    more than 1,000.
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
    """Return the place of a fault as a JSON Pointer in a URI fragment.

    Source: RFC 9457, 3 (the `pointer` of its example); RFC 6901, 3 and 6.
    """
    shown = (str(step)[:_LONGEST_STEP] for step in location)
    steps = (step.replace("~", "~0").replace("/", "~1") for step in shown)
    return "#" + "".join(f"/{step}" for step in steps)


class SerialResponse(Response):
    """A response with a model or plain data that is encoded once, in the negotiated format.

    `content` is an instance of a Pydantic model or dataclass, or anything that Pydantic can encode
    as JSON, such as a list of models. Behind `SerialMiddleware` it is encoded directly in the
    negotiated format. Without the middleware, or for a client that names no format, it is JSON.
    `by_alias` is Pydantic's option; None leaves it to the model.

    It works wherever a Starlette response does: in Starlette, in FastAPI (also as `response_class`,
    with `response_model`), and in Litestar, if the handler is annotated with this class.

    Raises FormatError, when it is sent, for content that cannot be encoded as JSON.
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
        """Set the headers, without Content-Length, which depends on the format."""
        super().init_headers(headers)
        del self.headers["content-length"]

    @property
    def body(self) -> bytes:
        """The content as JSON, or the bytes that were assigned."""
        return self._encode(_JSON) if self._body is None else self._body

    @body.setter
    def body(self, value: bytes) -> None:
        self._body = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response (ASGI 3.0)."""
        offered = (scope.get("extensions") or {}).get(_EXTENSION)
        content_type, body = self.headers["content-type"], self._body
        if body is None and offered is not None and content_type == _JSON:
            content_type, body = offered["encode"](self._encode, self.status_code, self.raw_headers)
        elif body is None:
            body = self._encode(_JSON)
        prefix = "websocket." if scope["type"] == "websocket" else ""
        # Copied, since one object may answer several requests in different formats.
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
        return encode_model(self._content, media_type, by_alias=self._by_alias)
