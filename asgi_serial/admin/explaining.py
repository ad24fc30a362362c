"""Decide whose responses are explained in Asgi-Serial-Why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.why import WHY
from asgi_serial.engine.head import keep_iterators
from asgi_serial.http.access import has_bearer_token, has_token, is_from_this_machine

if TYPE_CHECKING:
    from asgi_serial.settings.model import Settings
    from asgi_serial.types import Scope

_CARRIERS = frozenset({WHY, b"authorization"})


def may_explain(settings: Settings) -> bool:
    """Whether any request could have its response explained."""
    return settings.debug or settings.report_token is not None


def may_be_explained(settings: Settings, scope: Scope) -> bool:
    """Whether `is_explained` has to be asked: the request has a field that may carry the token."""
    pairs = scope["headers"]
    if settings.debug or type(pairs) is not list:
        return True
    try:
        # A loop takes a third of the time of any(), and most requests have neither field.
        for pair in pairs:
            if pair[0] in _CARRIERS:
                return True
    except TypeError:  # a name that is no bytes
        return True
    return False


def _is_field(pair: object) -> bool:
    return type(pair) is tuple and type(pair[0]) is type(pair[1]) is bytes


def is_explained(settings: Settings, scope: Scope) -> bool:
    """Whether the response to this request is explained to its client.

    The request must carry the token of the report, in Asgi-Serial-Why or in Authorization. With
    `debug`, it may come from this machine instead.

    In Asgi-Serial-Why it decides nothing else, so that the response is that of any other client;
    see `withhold_token`. Authorization keeps its meaning: the request counts as one with
    credentials.
    """
    pairs = scope["headers"]
    if type(pairs) is not list or not all(_is_field(pair) for pair in pairs):
        pairs = [(bytes(name), bytes(value)) for name, value in keep_iterators(scope)]
    if settings.debug and is_from_this_machine(scope.get("client"), pairs):
        return True
    if settings.report_token is None:
        return False
    token = settings.report_token.get_secret_value().encode()
    return any(
        has_token(value, token) if name == WHY else has_bearer_token(value, token)
        for name, value in pairs
        if name in _CARRIERS
    )


def withhold_token(settings: Settings, scope: Scope) -> None:
    """Remove Asgi-Serial-Why from a request that is explained, if it may hold the token.

    The app could show it in a response that is stored for others, or in a log.
    """
    if settings.report_token is not None:
        pairs = scope["headers"]
        scope["headers"] = [pair for pair in pairs if bytes(pair[0]) != WHY]
