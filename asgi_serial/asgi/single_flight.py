"""Calls that outlive their client because other requests wait for the result."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from asgi_serial.cache.in_flight import CallResult
from asgi_serial.concurrency.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from asgi_serial.asgi.lookup import Lookup
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Message, Send

logger = logging.getLogger("asgi_serial")

_UNSET: Any = object()


async def run_led(
    engine: Engine,
    lookup: Lookup,
    call: Coroutine[Any, Any, None],
    leave_client: Callable[[], bool],
) -> None:
    """Run `call`, which continues after its client has left if other requests wait for it.

    `leave_client` is called when the client leaves. It detaches the client, and returns whether the
    call continues.
    """
    loop = asyncio.get_running_loop()
    lookup.released = asyncio.Event()
    context = copy_context()
    task = loop.create_task(call, context=context)

    def end(task: asyncio.Task[None]) -> None:
        engine.workers.led.discard(task)
        lookup.finish_call(CallResult.FAILED)  # in case it was cancelled before its first step

    engine.workers.led.add(task)
    task.add_done_callback(end)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.done():
            # The app has cancelled itself, or the caller was cancelled just as the app ended.
            if not task.cancelled():
                task.exception()
            raise
        if leave_client():
            task.add_done_callback(_log_failure)
            cancel_after(engine.settings.cache_lead, task)
            raise
        await cancel_and_wait(task)
        if task.cancelled():
            raise
        task.result()  # the app has turned its cancellation into a result or another exception
    finally:
        if task.done():
            _take_over(context)


async def send_leading(lookup: Lookup, send: Send, message: Message) -> None:
    """Send to the client of a call that others wait for, without letting it delay them."""
    if lookup.call is None:
        await send(message)
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    timer = loop.call_later(lookup.client_seconds, lookup.finish_call, CallResult.SLOW)
    try:
        await send(message)
    finally:
        timer.cancel()
        lookup.client_seconds -= loop.time() - began


def cancel_after(seconds: float, task: asyncio.Task[None]) -> None:
    """Cancel a task without a client after this time."""
    timer = task.get_loop().call_later(seconds, task.cancel)
    task.add_done_callback(lambda _: timer.cancel())


def _take_over(context: Context) -> None:
    """Copy the app's changes to ContextVars to the caller, as if there were no separate task."""
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("The app failed after its client had left.", exc_info=task.exception())


class NullClient:
    """A client that discards everything, and leaves once the response can no longer be stored.

    `has_asked` means that the app has already received the whole request.
    """

    __slots__ = ("_has_asked", "_leaves")

    def __init__(self, leaves: asyncio.Event, *, has_asked: bool = False) -> None:
        self._has_asked = has_asked
        self._leaves = leaves

    async def receive(self) -> Message:
        """Return an empty request, and later a disconnect."""
        if self._has_asked:
            await self._leaves.wait()
            return {"type": "http.disconnect"}
        self._has_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Discard a message."""
