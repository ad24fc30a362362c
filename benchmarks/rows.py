"""The form of a row of the table."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

from .callgrind import Callgrind
from .meters import Round

How = Literal["instructions", "cpu", "figure"]


class Measured(Protocol):
    """Something that is measured as often as one asks."""

    async def prepare(self, callgrind: Callgrind | None) -> None:
        """Warm up; count by `callgrind` from then on, or measure CPU time where there is none."""

    async def measure(self) -> Round:
        """Measure once."""

    def close(self) -> None:
        """End what was started."""


LONG = ("uvicorn", "timing_routes", "hit_of_peers", "miss_stored_bare")


class Row(NamedTuple):
    """One figure; by instructions where Python's work is compared, by CPU time where C's is."""

    name: str
    what: str
    goal: float | None
    build: Callable[[], Awaitable[Measured | float]]
    by: How = "instructions"

    @property
    def is_quick(self) -> bool:
        """Whether it takes about a second: counted in one process, and no peer takes long."""
        return self.by == "instructions" and not self.name.startswith(LONG)
