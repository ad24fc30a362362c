"""Parse and authorize purge requests over HTTP."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.admin.access import Refusal, read_head, refuse_access
from asgi_serial.cache.purges import Purge, find_fault
from asgi_serial.request.partition import digest_partition
from asgi_serial.settings.values import parse_partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Scope

MAX_BODY_BYTES = 64_000
MAX_PURGES = 1000

_KINDS = {"tags": "tag", "uris": "uri", "prefixes": "prefix"}
_EXPECTED = (
    'expected a JSON object such as {"tags": ["news"], "uris": ["/a?page=1"], '
    '"prefixes": ["https://a.example/b/"]} or {"everything": true}.'
)
_URI = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[^][:/?#@\s]+)(?::([0-9]{0,5}))?((?:[/?#].*)?)",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)

Place: TypeAlias = tuple[str, str | None]
"""A path, possibly with a query, and a host; None for any host."""


class _Fault(Exception):
    """A purge request is malformed; the message is for its client."""


def read_purge(body: bytes, now: float) -> list[Purge] | Refusal:
    """Return the purges in a request body, or the refusal to answer with.

    The body is a JSON object with the members `tags`, `uris`, `prefixes` (lists of strings) and
    `everything` (true), which names 1 to 1000 purges. A URI or prefix is a path, on any host, or
    starts with a scheme and a host. `now` is in epoch seconds.
    """
    if len(body) > MAX_BODY_BYTES:
        return _refusal(f"The body has {len(body)} bytes; expected at most {MAX_BODY_BYTES}.")
    try:
        # RFC 8259, 8.1: JSON between systems MUST be encoded in UTF-8. No number is valid here;
        # parse_int=float avoids int(), which takes quadratic time for long numbers.
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_read_object, parse_int=float)
        purges = list(_read_document(document, now))
    except _Fault as fault:
        return _fault(str(fault))
    except (ValueError, RecursionError) as error:
        return _fault(f"The body is not JSON ({error}); {_EXPECTED}")
    if len(purges) > MAX_PURGES:
        return _refusal(f"The body has {len(purges)} purges; expected at most {MAX_PURGES}.")
    return purges or _fault(f"The body names nothing to purge; {_EXPECTED}")


def build_purges(asked: Mapping[str, object], now: float) -> list[Purge]:
    """Return the purges in a document with the members that `read_purge` describes.

    Raises: ValueError, whose message explains the fault.
    """
    try:
        return list(_read_document(dict(asked), now))
    except _Fault as fault:
        raise ValueError(str(fault)) from None


async def purge_stored(engine: Engine, purges: Iterable[Purge]) -> bool:
    """Purge stored responses; return whether all other processes were told.

    A URI is purged under the query that is in its key, without the parameters that are ignored.
    """
    return await engine.responses.purge([_as_stored(engine, purge) for purge in purges])


def _as_stored(engine: Engine, purge: Purge) -> Purge:
    if purge.kind != "uri":
        return purge
    path, mark, query = purge.value.partition("?")
    shown = engine.fields.shown_query(query.encode("utf-8", "surrogatepass"))
    return purge._replace(value=path + mark + shown.decode("utf-8", "surrogatepass"))


def purge_of_user(engine: Engine, user: str | Mapping[str, str]) -> Purge:
    """Return the purge of a user's partition.

    `user` is the name that the partition function returns, or the user's fields and cookies (see
    `RoutePolicy.cache_partition`).
    """
    if not isinstance(user, str):
        # Normalised as `cache_partition` is: field names in lower case.
        names = [parse_partition([name]) for name in user]
        pairs = [
            (name, value.encode("latin-1"))
            for (name,), value in zip(names, user.values(), strict=True)
        ]
        return Purge("partition", digest_partition(engine, pairs).decode(), None, engine.clock())
    return Purge("partition", digest_partition(engine, user).decode(), None, engine.clock())


def refuse_purge(engine: Engine, scope: Scope) -> Refusal | None:
    """Return the refusal of a request that may not purge, judging by its head; None if it may."""
    token = engine.settings.purge_token
    assert token is not None  # Settings.load refuses a purge_path without a purge_token
    head = read_head(scope)
    refusal = refuse_access(head, token, setting="purge_token", realm="purging")
    if refusal is None and head.method != "POST":
        return Refusal(405, "Use POST to purge.", _ALLOW)
    return refusal


_ALLOW = ((b"allow", b"POST"),)


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Fault(f"The body repeats a name; {_EXPECTED}")
    return members


def _read_document(document: object, now: float) -> Iterator[Purge]:
    if not isinstance(document, dict):
        raise _Fault(f"The body is not a JSON object; {_EXPECTED}")
    for name, value in document.items():
        if name == "everything":
            if not isinstance(value, bool):
                raise _Fault(f"everything is {value!r:.50}; expected true.")
            if value:
                yield Purge("all", "", None, now)
        elif name in _KINDS:
            for item in _read_strings(name, value):
                yield _read_item(_KINDS[name], item, now)
        else:
            raise _Fault(f"The body has an unknown member {name!r:.50}; {_EXPECTED}")


def _read_strings(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Fault(f"{name} is {value!r:.50}; expected a list of strings.")
    return value


def _read_item(kind: str, item: str, now: float) -> Purge:
    value, host = (item, None) if kind == "tag" else _read_place(item)
    purge = Purge(kind, value, host, now)
    fault = find_fault(purge)
    if fault is not None:
        raise _Fault(f"The {kind} {item!r:.50} {fault}")
    return purge


def _read_place(item: str) -> Place:
    """Return the path and host of a URI; a path stands for any host, even if it starts with `//`.

    Source: RFC 3986, 3 and 6.2.3: a URI with a host and an empty path means the path `/`.
    """
    if item.startswith("/"):
        return item, None
    uri = _URI.fullmatch(item)
    if uri is None:
        raise _Fault(f"{item!r:.50} is neither a path nor a URI of http or https.")
    host, port, rest = uri.groups()
    if port and int(port) not in (80, 443):
        host = f"{host}:{int(port)}"
    return rest if rest.startswith("/") else f"/{rest}", host.lower()


def _fault(detail: str) -> Refusal:
    return Refusal(400, detail)


def _refusal(detail: str) -> Refusal:
    return Refusal(413, detail)
