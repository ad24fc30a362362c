"""The states of a response, and the steps that its flow returns."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asgi_serial.cache.entry import Entry
    from asgi_serial.cache.in_flight import CallResult
    from asgi_serial.caching.collector import Collector
    from asgi_serial.types import Message


class State(Enum):
    """The states of a response; `TRANSITIONS` lists those that may follow each."""

    START = "no message has come"
    HELD = "the start is held until the first body message shows what the body is"
    WHOLE = "the body is gathered, to be encoded in one go"
    STREAM = "each piece of the body is encoded as it comes"
    BUSY = "the whole body is being encoded in a thread"
    PASS = "messages pass as they are"
    DONE = "the last body message has passed"
    REPLACED = "another response was sent in its place"


# In CPython 3.11, looking up a member on its enum costs a descriptor call.
START, HELD, WHOLE, STREAM = State.START, State.HELD, State.WHOLE, State.STREAM
BUSY, PASS, DONE, REPLACED = State.BUSY, State.PASS, State.DONE, State.REPLACED


TRANSITIONS: Mapping[State, frozenset[State]] = {
    START: frozenset({PASS, HELD, STREAM, REPLACED}),
    HELD: frozenset({PASS, WHOLE, STREAM, BUSY, DONE}),
    WHOLE: frozenset({PASS, STREAM, BUSY, DONE}),
    STREAM: frozenset({DONE}),
    BUSY: frozenset({DONE}),
    PASS: frozenset({DONE}),
    DONE: frozenset(),
    REPLACED: frozenset(),
}
"""The states that may follow each state.

docs/explanation/architecture.md lists the messages in between.
"""


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
"""The step of a message that is held back."""
