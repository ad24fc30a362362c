"""Read a request body before the app is called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.concurrency.loops import running_loop
from asgi_serial.concurrency.started import Started
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.errors import CodecError, FormatError
from asgi_serial.http.headers import content_length
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import no_room_for_body, too_slow_body
from asgi_serial.request.body import RequestBody, body_part, explain_refusal, why_refused
from asgi_serial.request.plan import request_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asgi_serial.bounds.bodies import BodyShare
    from asgi_serial.engine.engine import Engine
    from asgi_serial.representation.problem import Problem
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Message, Receive


MESSAGE_BYTES = 300
"""The memory of a message in addition to its body; a client may send thousands of them."""


class ReadRequest(NamedTuple):
    """The result of reading a request body."""

    messages: Sequence[Message] = ()  # for the app to receive
    body: bytes | None = None  # the body for the app, if it differs from the one that arrived


class _NoRoom(Exception):
    """Other bodies take all the memory for request bodies."""


class _TooSlow(Exception):
    """The body did not arrive within `body_timeout`."""


async def read_request(
    engine: Engine, plan: RequestPlan, receive: Receive, share: BodyShare
) -> ReadRequest | Problem:
    """Read a body that is decoded, translated or part of the key; or return its problem.

    `share` accounts for the memory of the body; its owner releases it.
    """
    if engine.is_unrouted(plan.scope):
        # No route takes the request, so the app refuses it by its head, and the body may pass.
        plan.content_codings, plan.body_format = (), ""
        if plan.keys_on_body:
            plan.bypass = Reason.METHOD_NOT_CACHED
        return ReadRequest()
    if plan.body_format and not plan.reads_json and not plan.content_codings:
        length = content_length(plan.fields)
        if length is not None and length > engine.settings.format_max_size:
            plan.body_format = ""
    try:
        if plan.content_codings or plan.body_format:
            return await _read_decoded(engine, plan, receive, share)
        if plan.keys_on_body:
            return await _read_for_key(engine, plan, receive, share)
        return ReadRequest()
    except _NoRoom:
        return no_room_for_body(plan.scope)
    except _TooSlow:
        return too_slow_body(plan.scope, engine.settings.body_timeout)


async def _receive_all(
    engine: Engine, receive: Receive, share: BodyShare, feed: Callable[[Message], bool]
) -> None:
    """Pass messages to `feed` until it returns False, or until time or memory run out."""
    loop, more = running_loop(), True
    if loop is None:
        while more:
            more = feed(await receive())
        return
    share.loop = loop
    # Most bodies have arrived together with their head, and need no time limit.
    first = Started(receive())
    if first.is_done and not feed(first.value):
        return
    try:
        async with asyncio.timeout(engine.settings.body_timeout) as limit:
            share.begin(lambda: limit.reschedule(loop.time()))
            if not first.is_done:
                more = feed(await first)
            while more:
                more = feed(await receive())
    except TimeoutError:
        if not limit.expired():
            raise
        raise (_NoRoom if share.gave_way else _TooSlow) from None
    finally:
        share.end()


async def _read_decoded(
    engine: Engine, plan: RequestPlan, receive: Receive, share: BodyShare
) -> ReadRequest | Problem:
    # The body is refused before the app is called: an exception from `receive` would become a 500
    # of the app's.
    problem = why_refused(engine, plan)
    if problem is not None:
        return problem
    reader = RequestBody(engine, plan)
    others: list[Message] = []
    # A body that is not translated may pass to the app unchanged, unless the app reads only JSON.
    may_pass = not plan.content_codings and not plan.reads_json
    limit = min(engine.settings.format_max_size, engine.settings.max_encoded) if may_pass else 0

    def feed(message: Message) -> bool:
        if message["type"] != "http.request":
            others.append(message)  # a disconnect, which the app must see
            return False
        piece = message.get("body", b"")
        is_too_long = may_pass and reader.encoded_bytes + len(piece) > limit
        if is_too_long:
            others.append({**message, "body": reader.received() + piece})
            plan.body_format = ""
            if plan.keys_on_body:
                plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
        else:
            reader.feed(piece)
        if not share.take(len(piece)):
            raise _NoRoom
        more: bool = message.get("more_body", False)
        return more and not is_too_long

    try:
        await _receive_all(engine, receive, share, feed)
        if others:
            return ReadRequest(others)
        if reader.is_slow():
            body = await run_in_thread(reader.finish, engine.workers.decoders)
        else:
            body = reader.finish()
    except (CodecError, FormatError) as error:
        return explain_refusal(engine, error)
    if not share.resize(len(body)):
        raise _NoRoom
    if not reader.is_translated:
        plan.body_format = ""
    if plan.keys_on_body:
        _key_on(engine, plan, body)
    messages = ({"type": "http.request", "body": body, "more_body": False},)
    return ReadRequest(messages, body if plan.content_codings or plan.body_format else None)


async def _read_for_key(
    engine: Engine, plan: RequestPlan, receive: Receive, share: BodyShare
) -> ReadRequest:
    """Read the body up to the size that can be part of the key; the app gets all of it anyway."""
    messages: list[Message] = []
    left, more = engine.settings.cache_max_key_body, True

    def feed(message: Message) -> bool:
        nonlocal left, more
        messages.append(message)
        if message["type"] != "http.request":
            return False
        size = len(message.get("body", b""))
        left -= size
        if left < 0:
            plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
        elif not share.take(size + MESSAGE_BYTES):
            plan.bypass = Reason.NO_ROOM_FOR_BODY
        more = message.get("more_body", False)
        return more and plan.bypass is None

    await _receive_all(engine, receive, share, feed)
    if not more and plan.bypass is None:
        _key_on(engine, plan, b"".join([message.get("body", b"") for message in messages]))
    return ReadRequest(messages)


def _key_on(engine: Engine, plan: RequestPlan, body: bytes) -> None:
    if len(body) > engine.settings.cache_max_key_body:
        plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    else:
        plan.key = request_key(engine, plan, body_part(plan, body))
