"""Add media types to the contents of an OpenAPI document; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from asgi_serial.formats.registry import FORMATS, JSON, JSON_TYPE, format_name
from asgi_serial.http.mediatypes import essence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Schema = TypeVar("_Schema")

# OpenAPI 3.1, 4.8.9: the fields of a path item that hold operations.
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Offer(NamedTuple):
    """The directions in which the formats of an operation are translated."""

    gives: bool
    takes: bool


def extend_content(content: Mapping[str, _Schema]) -> dict[str, _Schema]:
    """Return the media types of a content, and then those that it is translated to.

    JSON is translated to every other format, and each of those to JSON. The first format is taken
    for the app's own. A format is added by its registered name, unless it is there by any name.

    >>> list(extend_content({"application/vnd.msgpack": {}, "text/html": {}}))
    ['application/vnd.msgpack', 'text/html', 'application/json']
    """
    extended = dict(content)
    declared: dict[str, _Schema] = {}
    for media_type, schema in content.items():
        declared.setdefault(_format_of(media_type), schema)
    declared.pop("", None)
    own = next(iter(declared), "")
    if own == JSON:
        added = {one.name: one.media_types[0] for one in FORMATS}
    else:
        added = {JSON: JSON_TYPE} if own else {}
    for name, media_type in added.items():
        if name not in declared:
            extended[media_type] = declared[own]
    return extended


def _format_of(media_type: Any) -> str:
    """Return the name of a format; `media_type` may be a member of an enum."""
    name = str(getattr(media_type, "value", media_type))
    return format_name(essence(name.encode("latin-1", "replace")).decode("latin-1"))


def extend_document(
    document: Mapping[str, Any], find_offer: Callable[[str, str], Offer]
) -> dict[str, Any]:
    """Return an OpenAPI document with the formats that each operation gives and takes.

    `find_offer` takes a method and a path. The given document is not changed; the parts that stay
    as they are belong to both.
    """
    paths = {
        path: {
            name: _extend_operation(part, find_offer(name.upper(), path))
            if name in _METHODS and isinstance(part, dict)
            else part
            for name, part in item.items()
        }
        if isinstance(item, dict)
        else item
        for path, item in (document.get("paths") or {}).items()
    }
    return {**document, "paths": paths} if paths else dict(document)


def _extend_operation(operation: dict[str, Any], offer: Offer) -> dict[str, Any]:
    extended = dict(operation)
    responses, body = operation.get("responses"), operation.get("requestBody")
    if offer.gives and isinstance(responses, dict):
        extended["responses"] = {name: _extend_part(part) for name, part in responses.items()}
    if offer.takes and body is not None:
        extended["requestBody"] = _extend_part(body)
    return extended


def _extend_part(part: Any) -> Any:
    """Return a response or a request body; a reference to one stays as it is."""
    content = part.get("content") if isinstance(part, dict) else None
    return {**part, "content": extend_content(content)} if isinstance(content, dict) else part
