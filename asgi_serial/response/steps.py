"""The steps that the flow of a response returns: messages, effects, and a job for a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Entry
    from asgi_serial.cache.in_flight import CallResult
    from asgi_serial.caching.collector import Collector
    from asgi_serial.types import Message


class Store(NamedTuple):
    """The response is complete: store it, for those who wait for this call as well."""

    entry: Entry
    is_checked: bool  # the cache has just said that it keeps the entry


class StoreOnReturn(NamedTuple):
    """The response seems complete: store it if the app returns without an exception.

    The collector holds the entry in `pending`, and may lose it to other responses until then.
    """

    collector: Collector


class Unstored(NamedTuple):
    """Nothing is stored: tell those who wait for this call its result.

    If the response `is_over`, the result counts for later requests, too.
    """

    result: CallResult
    is_over: bool


Effect: TypeAlias = Store | StoreOnReturn | Unstored


class Step(NamedTuple):
    """The result of a message: carry out the effects, send the messages, run the job.

    The job would block the event loop for too long: it runs in any thread, its result is passed to
    `ResponseFlow.resume`, and the app's further messages wait for the step that this returns.
    """

    messages: list[Message]
    effects: tuple[Effect, ...] = ()
    job: Callable[[], Any] | None = None


HOLD = Step([])
"""The step of a message that is held back; it is shared, so its list stays empty."""
