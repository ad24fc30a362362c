"""Where the bytecode of a request goes: `python -m benchmarks.lines ROW [SUBJECT]`.

Instructions of C code (a look-up, a copy, a codec) do not show; an opcode is some 30 of them.
"""

import asyncio
import linecache
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from .meters import Comparison
from .table import ROWS
from .traffic import Subject

REQUESTS = 20
SHOWN = 60

Lines = Counter[tuple[str, int]]


async def count_opcodes(subject: Subject) -> Lines:
    """How many opcodes each line has run, over all the requests."""
    read = subject.read(REQUESTS)
    lines: Lines = Counter()

    def trace(frame: FrameType, event: str, argument: object) -> object:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            lines[frame.f_code.co_filename, frame.f_lineno or 0] += 1
        return trace

    sys.settrace(trace)
    await subject.serve(read)
    sys.settrace(None)
    return lines


async def show(name: str, subject_name: str) -> None:
    """Print the lines that run most, and how many opcodes each runs a request."""
    (row,) = (row for row in ROWS if row.name == name)
    comparison = await row.build()
    if not isinstance(comparison, Comparison):
        raise SystemExit(f"{name} compares nothing.")
    await comparison.warm_up()
    lines = await count_opcodes(comparison.subjects[subject_name])
    print(f"{sum(lines.values()) / REQUESTS:8.1f} opcodes a request")
    for (path, number), opcodes in lines.most_common(SHOWN):
        place = f"{Path(path).parent.name}/{Path(path).name}:{number}"
        print(f"{opcodes / REQUESTS:8.1f} {place:34} {linecache.getline(path, number).strip()}")


if __name__ == "__main__":
    asyncio.run(show(*[*sys.argv[1:], "ours"][:2]))
