"""`python -m benchmarks`: all figures, or those that are named."""

import argparse
import tempfile

from . import callgrind
from .report import as_line, as_table
from .run import Result, run
from .table import ROWS, Row


def measure(row: Row, *, counting: bool, both: bool) -> tuple[Result, Result | None]:
    """The result of a row by its own measure, and by CPU time where that is to be shown too."""
    if row.by != "instructions":
        return run(row, row.by), None
    if not counting:
        return run(row, "cpu"), None
    return run(row, "instructions"), run(row, "cpu") if both else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.add_argument("--cpu", action="store_true", help="count no instructions")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{row.name:18} {row.what}" for row in ROWS))
        return
    counting = callgrind.is_there() and not options.cpu
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if counting:
            callgrind.build(folder)
        for row in ROWS:
            if not options.only or row.name in options.only:
                results.append(measure(row, counting=counting, both=not options.only))
                print(as_line(results[-1][0]), flush=True)
    print(f"\n{as_table(results)}")


if __name__ == "__main__":
    main()
