"""Measures one row in a process of its own: `worker ROW cpu|instructions`; prints JSON."""

import asyncio
import json
import sys

from .callgrind import Callgrind
from .cases.serving import Served
from .meters import Costs, measure_cpu, measure_instructions
from .table import ROWS, Row


async def measure(row: Row, how: str) -> tuple[float, Costs]:
    """The value of a row, and the costs that it is made of."""
    built = await row.build()
    if isinstance(built, int | float):
        return built, {}
    if isinstance(built, Served):
        return built.measure(counting=how == "instructions")
    callgrind = Callgrind.find()
    if callgrind is None:
        return await measure_cpu(built)
    return await measure_instructions(built, callgrind)


if __name__ == "__main__":
    (chosen,) = (row for row in ROWS if row.name == sys.argv[1])
    print(json.dumps(asyncio.run(measure(chosen, sys.argv[2]))))
