"""The cost of a request: in CPU time, or in instructions as callgrind counts them."""

import gc
from collections.abc import Callable
from time import process_time

from .callgrind import Callgrind
from .traffic import Subject

Costs = dict[str, float]
"""By name of the subject, the cost of one request: seconds of CPU time, or instructions."""

Round = tuple[float, Costs]
"""One measurement: the figure, and the costs that it is made of."""

WARM_UP = 100  # requests; CPython has specialised its bytecode by then
COUNTED = 200  # requests under callgrind; twice as many give the same to 0.5 %
SLICE_SECONDS = 0.004


class Comparison:
    """Subjects that are measured in turns, and the figure that their costs give."""

    def __init__(self, value: Callable[[Costs], float], **subjects: Subject) -> None:
        self.value = value
        self.subjects = subjects
        self._callgrind: Callgrind | None = None
        self._requests: dict[str, int] = {}

    async def warm_up(self) -> None:
        """Hold each subject to its work, and let it settle."""
        for subject in self.subjects.values():
            await subject.prove()
            await subject.run(WARM_UP)
            await subject.prove()
        gc.collect()
        gc.freeze()

    async def prepare(self, callgrind: Callgrind | None) -> None:
        """Warm up; count by `callgrind` from then on, or measure CPU time where there is none."""
        await self.warm_up()
        self._callgrind = callgrind
        for name, subject in self.subjects.items():
            self._requests[name] = COUNTED if callgrind else await _calibrate(subject)

    async def measure(self) -> Round:
        """Let every subject have its turn, so that a change of the machine's speed meets all."""
        costs = {}
        for name, subject in self.subjects.items():
            read = subject.read(self._requests[name])
            if self._callgrind is None:
                began = process_time()
                await subject.serve(read)
                taken = process_time() - began
            else:
                gc.collect()  # the next collection is as far off for each of them
                self._callgrind.begin()
                await subject.serve(read)
                taken = self._callgrind.end()
            costs[name] = taken / self._requests[name]
        return self.value(costs), costs

    def close(self) -> None:
        """Nothing is open."""


async def _calibrate(subject: Subject) -> int:
    read = subject.read(10)
    began = process_time()
    await subject.serve(read)
    return max(1, round(SLICE_SECONDS * 10 / (process_time() - began)))
