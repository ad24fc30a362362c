"""What a request costs: in CPU time, or in instructions as callgrind counts them."""

import ctypes
import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from time import process_time

from .traffic import Subject

Costs = dict[str, float]
"""By name of the subject, what one request costs."""

Meter = Callable[["Comparison"], "object"]

WARM_UP = 100  # requests; CPython has specialised its bytecode by then
SLICE_SECONDS = 0.004


class Comparison:
    """Subjects that are measured in turns, and the figure that their costs give."""

    def __init__(self, value: Callable[[Costs], float], **subjects: Subject) -> None:
        self.value = value
        self.subjects = subjects

    async def warm_up(self) -> None:
        """Hold each subject to its work, and let it settle."""
        for subject in self.subjects.values():
            await subject.prove()
            await subject.run(WARM_UP)
            await subject.prove()
        gc.collect()
        gc.freeze()


async def measure_cpu(comparison: Comparison, rounds: int = 40) -> tuple[float, Costs]:
    """The median of the figure over many rounds, and of the seconds that each subject takes.

    In each round every subject has its turn, so that a change of the machine's speed meets all.
    """
    await comparison.warm_up()
    requests = {name: await _calibrate(each) for name, each in comparison.subjects.items()}
    taken = []
    for _ in range(rounds):
        costs = {}
        for name, subject in comparison.subjects.items():
            read = subject.read(requests[name])
            began = process_time()
            await subject.serve(read)
            costs[name] = (process_time() - began) / requests[name]
        taken.append(costs)
    medians = {name: statistics.median(costs[name] for costs in taken) for name in requests}
    return statistics.median(map(comparison.value, taken)), medians


async def _calibrate(subject: Subject) -> int:
    read = subject.read(10)
    began = process_time()
    await subject.serve(read)
    return max(1, round(SLICE_SECONDS * 10 / (process_time() - began)))


class Callgrind:
    """The valgrind that this process runs under; `library` holds its requests (callgrind.c)."""

    def __init__(self, library: str, dumps: str) -> None:
        self._calls = ctypes.CDLL(library)
        self._dumps = Path(dumps)

    async def count(self, subject: Subject, requests: int) -> float:
        """Instructions of one request, on all threads."""
        known = set(self._files())
        read = subject.read(requests)
        self._calls.start()
        await subject.serve(read)
        self._calls.stop()
        (dump,) = set(self._files()) - known
        lines = dump.read_text().splitlines()
        totals = next(line for line in lines if line.startswith("totals:"))
        return int(totals.split()[1]) / requests

    async def measure(self, comparison: Comparison, requests: int) -> tuple[float, Costs]:
        """The figure by instructions, and the instructions of each subject."""
        await comparison.warm_up()
        costs = {
            name: await self.count(subject, requests)
            for name, subject in comparison.subjects.items()
        }
        return comparison.value(costs), costs

    def _files(self) -> list[Path]:
        return list(self._dumps.parent.glob(self._dumps.name + ".*"))
