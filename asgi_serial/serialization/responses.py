"""Models as answers to clients: one way, and in a format that the client accepts."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MALFORMED, MsgPackFormat, choose_packer
from asgi_serial.formats.transcoding import build_transcoder, may_hold_nonfinite
from asgi_serial.http.negotiation import choose_format
from asgi_serial.serialization.fidelity import UNWRITABLE

_JSON = JsonFormat.media_types[0]

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
