"""Awaitables that are run as far as they go without waiting."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

T = TypeVar("T")


class Started(Generic[T]):
    """An awaitable that was run up to where it first waits; `await` goes on from there.

    Where `is_done`, it did not wait, and `value` is its result. It has to be awaited, if at all, by
    the task that has made it, before anything else is.
    """

    __slots__ = ("_steps", "_waits_for", "is_done", "value")

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._steps = awaitable.__await__()
        try:
            self._waits_for = next(self._steps)
        except StopIteration as end:
            self.is_done = True
            self.value: T = end.value
        else:
            self.is_done = False

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        step: Callable[[], Any]
        # As `yield from` does (PEP 380), which cannot begin with what was given already.
        while True:
            try:
                step = partial(self._steps.send, (yield waits_for))
            except GeneratorExit:
                self._steps.close()
                raise
            except BaseException as error:
                step = partial(self._steps.throw, error)
            try:
                waits_for = step()
            except StopIteration as end:
                result: T = end.value
                return result
