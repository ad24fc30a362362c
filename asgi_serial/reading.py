"""The body of a request, read before the app is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.engine.plan import body_part, request_key
from asgi_serial.engine.problem import Problem
from asgi_serial.engine.request import RequestBody, explain_refusal, why_refused
from asgi_serial.errors import CodecError, FormatError
from asgi_serial.reasons import Reason
from asgi_serial.seeking import run_off_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.types import Message, Receive


class ReadRequest(NamedTuple):
    """What was read of a request."""

    messages: Sequence[Message]  # as the app is to receive them
    body: bytes | None = None  # as the app is to have it, where it is not what came


async def read_request(
    engine: Engine, plan: RequestPlan, receive: Receive
) -> ReadRequest | Problem:
    """Read a body that is to be decoded, translated or keyed on; or say what is wrong with it."""
    if plan.content_codings or plan.msgpack_body:
        return await _read_decoded(engine, plan, receive)
    return ReadRequest(await _read_for_key(engine, plan, receive))


async def _read_decoded(
    engine: Engine, plan: RequestPlan, receive: Receive
) -> ReadRequest | Problem:
    # An exception inside the app's own `receive` would be a 500 of the app's.
    problem = why_refused(engine, plan)
    if problem is not None:
        return problem
    reader = RequestBody(engine, plan)
    try:
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return ReadRequest((message,))  # the client has left, and the app is to see it
            reader.feed(message.get("body", b""))
            more = message.get("more_body", False)
        if reader.is_slow():
            body = await run_off_loop(reader.finish, engine.decoders)
        else:
            body = reader.finish()
    except (CodecError, FormatError) as error:
        return explain_refusal(engine, error)
    if plan.keys_on_body:
        _key_on(engine, plan, body)
    return ReadRequest(({"type": "http.request", "body": body, "more_body": False},), body)


async def _read_for_key(engine: Engine, plan: RequestPlan, receive: Receive) -> list[Message]:
    """The messages as far as they may take part in the key; the app gets them all the same."""
    messages: list[Message] = []
    parts: list[bytes] = []
    left = engine.settings.cache_max_key_body
    more = True
    while more:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            return messages
        parts.append(message.get("body", b""))
        left -= len(parts[-1])
        if left < 0:
            plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
            return messages
        more = message.get("more_body", False)
    _key_on(engine, plan, b"".join(parts))
    return messages


def _key_on(engine: Engine, plan: RequestPlan, body: bytes) -> None:
    if len(body) > engine.settings.cache_max_key_body:
        plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    else:
        plan.key = request_key(engine, plan, body_part(plan, body))
