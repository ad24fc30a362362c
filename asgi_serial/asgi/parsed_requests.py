"""Requests that a framework has parsed before the app gets them with something hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from asgi_serial.types import Scope

PARSED = "_ls_connection_state"
"""The key in a scope's `state` under which Litestar keeps what its parts have parsed."""

_PARSED = ("accept", "cookies", "content_type", "headers", "parsed_query", "url")


class Parsed(NamedTuple):
    """The attributes that a framework had parsed of a request."""

    state: Any
    values: dict[str, Any]


def forget_parsed(scope: Scope) -> Parsed:
    """Have the framework parse the request again, as the app is given it.

    Litestar remembers what any of its middlewares has read, such as the cookies, and shows that to
    the handler. Return what was forgotten, for `recall_parsed`. Only a scope whose `state` has
    `PARSED` has anything to forget.
    """
    state = scope["state"][PARSED]
    unparsed = type(state)()
    values = {name: getattr(state, name) for name in _PARSED if hasattr(unparsed, name)}
    for name in values:
        setattr(state, name, getattr(unparsed, name))
    return Parsed(state, values)


def recall_parsed(parsed: Parsed) -> None:
    """Put back what was parsed of the request as it was given."""
    for name, value in parsed.values.items():
        setattr(parsed.state, name, value)
