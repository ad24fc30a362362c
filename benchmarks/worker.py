"""Measures one row in a process of its own: `worker ROW cpu|instructions`; prints JSON."""

import asyncio
import json
import os
import sys

from .meters import Callgrind, Comparison, measure_cpu
from .rows import ROWS, Row


async def measure(row: Row, how: str) -> dict[str, object]:
    """The value of a row, and the costs that it is made of."""
    built = await row.build()
    if not isinstance(built, Comparison):
        return {"value": built, "costs": {}}
    if how == "cpu":
        value, costs = await measure_cpu(built)
    else:
        callgrind = Callgrind(os.environ["BENCH_CALLGRIND"], os.environ["BENCH_DUMPS"])
        value, costs = await callgrind.measure(built, row.requests)
    return {"value": value, "costs": costs}


if __name__ == "__main__":
    (chosen,) = (row for row in ROWS if row.name == sys.argv[1])
    print(json.dumps(asyncio.run(measure(chosen, sys.argv[2]))))
