"""What a request costs: in CPU time, or in instructions as callgrind counts them."""

import gc
import statistics
from collections.abc import Callable
from time import process_time

from .callgrind import Callgrind
from .traffic import Subject

Costs = dict[str, float]
"""By name of the subject, what one request costs: seconds of CPU time, or instructions."""

WARM_UP = 100  # requests; CPython has specialised its bytecode by then
COUNTED = 200  # requests under callgrind; twice as many give the same to 0.5 %
ROUNDS = 40
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


async def measure_cpu(comparison: Comparison) -> tuple[float, Costs]:
    """The median of the figure over many rounds, and of the seconds that each subject takes.

    In each round every subject has its turn, so that a change of the machine's speed meets all.
    """
    await comparison.warm_up()
    requests = {name: await _calibrate(each) for name, each in comparison.subjects.items()}
    taken = []
    for _ in range(ROUNDS):
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


async def measure_instructions(comparison: Comparison, callgrind: Callgrind) -> tuple[float, Costs]:
    """The figure, and the instructions of one request to each subject."""
    await comparison.warm_up()
    costs = {}
    for name, subject in comparison.subjects.items():
        read = subject.read(COUNTED)
        # The next collection is as far off for each of them.
        gc.collect()
        callgrind.begin()
        await subject.serve(read)
        costs[name] = callgrind.end() / COUNTED
    return comparison.value(costs), costs
