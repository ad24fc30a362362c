"""Read a request body before the app is called."""

from __future__ import annotations

import asyncio
from collections import deque
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
    from asgi_serial.cache.entry import Key
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
    codings: tuple[str, ...] = ()  # that were decoded
    format: str = ""  # from which it was translated
    key: Key | None = None  # with the body in it, if that takes part
    bypass: Reason | None = None  # why it does not, so that the cache is bypassed


class Upload:
    """A body that is read before the app is called, and passed to it as `messages`."""

    __slots__ = ("body", "messages", "share")

    def __init__(self, share: BodyShare) -> None:
        self.share = share  # its share of the memory for all bodies
        self.messages: deque[Message] = deque()
        self.body: bytes | None = None  # as the app gets it, if it was decoded


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
        return ReadRequest(bypass=Reason.METHOD_NOT_CACHED)
    is_translated = bool(plan.body_format)
    if is_translated and not plan.reads_json and not plan.content_codings:
        length = content_length(plan.fields)
        is_translated = length is None or length <= engine.settings.format_max_size
    try:
        if plan.content_codings or is_translated:
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
    is_too_long = False
    # A body that is not translated may pass to the app unchanged, unless the app reads only JSON.
    may_pass = not plan.content_codings and not plan.reads_json
    limit = min(engine.settings.format_max_size, engine.settings.max_encoded) if may_pass else 0

    def feed(message: Message) -> bool:
        nonlocal is_too_long
        if message["type"] != "http.request":
            others.append(message)  # a disconnect, which the app must see
            return False
        piece = message.get("body", b"")
        is_too_long = may_pass and reader.encoded_bytes + len(piece) > limit
        if is_too_long:
            others.append({**message, "body": reader.received() + piece})
        else:
            reader.feed(piece)
        if not share.take(len(piece)):
            raise _NoRoom
        more: bool = message.get("more_body", False)
        return more and not is_too_long

    try:
        await _receive_all(engine, receive, share, feed)
        if is_too_long:
            return ReadRequest(others, bypass=Reason.REQUEST_TOO_LARGE_TO_KEY)
        if others:
            return ReadRequest(others, codings=plan.content_codings, format=plan.body_format)
        if reader.is_slow():
            body = await run_in_thread(reader.finish, engine.workers.decoders)
        else:
            body = reader.finish()
    except (CodecError, FormatError) as error:
        return explain_refusal(engine, error)
    if not share.resize(len(body)):
        raise _NoRoom
    codings, format = plan.content_codings, plan.body_format if reader.is_translated else ""
    messages = ({"type": "http.request", "body": body, "more_body": False},)
    changed = body if codings or format else None
    if not plan.keys_on_body:
        return ReadRequest(messages, changed, codings, format)
    return ReadRequest(messages, changed, codings, format, *_key_on(engine, plan, body))


async def _read_for_key(
    engine: Engine, plan: RequestPlan, receive: Receive, share: BodyShare
) -> ReadRequest:
    """Read the body up to the size that can be part of the key; the app gets all of it anyway."""
    messages: list[Message] = []
    left, more = engine.settings.cache_max_key_body, True
    bypass: Reason | None = None

    def feed(message: Message) -> bool:
        nonlocal left, more, bypass
        messages.append(message)
        if message["type"] != "http.request":
            return False
        size = len(message.get("body", b""))
        left -= size
        if left < 0:
            bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
        elif not share.take(size + MESSAGE_BYTES):
            bypass = Reason.NO_ROOM_FOR_BODY
        more = message.get("more_body", False)
        return more and bypass is None

    await _receive_all(engine, receive, share, feed)
    key = None
    if not more and bypass is None:
        body = b"".join([message.get("body", b"") for message in messages])
        key, bypass = _key_on(engine, plan, body)
    return ReadRequest(messages, key=key, bypass=bypass)


def _key_on(engine: Engine, plan: RequestPlan, body: bytes) -> tuple[Key | None, Reason | None]:
    """Return the key with this body in it, or why there is none."""
    if len(body) > engine.settings.cache_max_key_body:
        return None, Reason.REQUEST_TOO_LARGE_TO_KEY
    return request_key(engine, plan, body_part(plan, body)), None
