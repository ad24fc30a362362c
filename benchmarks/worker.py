"""Measures rows, each in a process of its own that is forked here: `worker ROW...`.

For every byte `ROUND` on its input it measures the present row once, and prints the result as
JSON, or null where the row has failed; any other byte ends the row.
"""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import AsyncGenerator

from .callgrind import Callgrind
from .meters import Round
from .rows import Row
from .run import ROUND
from .table import ROWS


async def rounds(row: Row) -> AsyncGenerator[Round, None]:
    """Measure a row as often as it is asked for."""
    if row.by == "figure":
        while True:
            yield await row.build(), {}  # type: ignore[misc]
    measured = await row.build()
    assert not isinstance(measured, int | float)
    try:
        await measured.prepare(Callgrind.find())
        while True:
            yield await measured.measure()
    finally:
        measured.close()


async def serve(row: Row) -> None:
    """Measure a row until its end is told."""
    measuring = rounds(row)
    # A buffer would take in what is meant for the next row's process.
    while os.read(sys.stdin.fileno(), 1) == ROUND:
        print(json.dumps(await anext(measuring)), flush=True)
    await measuring.aclose()


def serve_forked(row: Row) -> None:
    """Measure a row in a process that has imported what this one has, and nothing else done."""
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1]:
            print("null", flush=True)
        return
    status = 1
    try:
        asyncio.run(serve(row))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    named = {row.name: row for row in ROWS}
    for name in sys.argv[1:]:
        serve_forked(named[name])
