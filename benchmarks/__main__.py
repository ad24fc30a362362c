"""`python -m benchmarks`: all figures, or those that are named, or two versions side by side."""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack

from . import callgrind
from .packages import ROOT, package_of
from .report import as_change, as_line, as_table
from .rows import How, Row
from .run import Result, compare, run
from .table import ROWS

HOWS: tuple[How, ...] = ("instructions", "cpu", "figure")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.add_argument(
        "--against",
        metavar="PATH_OR_COMMIT",
        help="measure the rows with the package of another checkout, and with this one",
    )
    parser.add_argument(
        "--instructions", action="store_true", help="only rows that are counted, and quick"
    )
    parser.add_argument("--cpu", action="store_true", help="count no instructions")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    if options.list:
        print("\n".join(f"{row.name:30} {row.what}" for row in rows))
        return
    counting = callgrind.is_there() and not options.cpu
    if options.instructions:
        if not counting:
            parser.error("instructions are counted by valgrind, with a C compiler.")
        rows = [row for row in rows if row.is_quick]
    with tempfile.TemporaryDirectory() as folder:
        if counting:
            callgrind.build(folder)
        if options.against:
            show_changes(rows, options.against, counting=counting)
        else:
            show_results(rows, counting=counting, both=not options.only)


def show_changes(rows: Sequence[Row], before: str, *, counting: bool) -> None:
    """Print each row with the package of `before`, and with this checkout's."""
    with ExitStack() as stack:
        packages = [stack.enter_context(package_of(source)) for source in (before, ROOT)]
        print(as_change(None))
        for how in HOWS:
            for change in compare(_measured(rows, how, counting=counting), how, *packages):
                print(as_change(change), flush=True)


def show_results(rows: Sequence[Row], *, counting: bool, both: bool) -> None:
    """Print each row as it is measured, and then all as a table; `both`: by CPU time, too."""
    results: dict[tuple[How, str], Result] = {}
    for how in HOWS:
        chosen = _measured(rows, how, counting=counting)
        if how == "cpu" and counting and both:
            chosen = [row for row in rows if row.by != "figure"]
        for result in run(chosen, how):
            results[how, result.row.name] = result
            print(as_line(result), flush=True)
    table = []
    for row in rows:
        found = [results[how, row.name] for how in HOWS if (how, row.name) in results]
        table.append((found[0], found[1] if len(found) > 1 else None))
    print(f"\n{as_table(table)}")


def _measured(rows: Sequence[Row], how: How, *, counting: bool) -> list[Row]:
    """The rows that are measured by `how`; by CPU time where instructions cannot be counted."""
    hows = {how} if counting or how != "cpu" else {"instructions", "cpu"}
    return [row for row in rows if row.by in hows and (counting or how != "instructions")]


if __name__ == "__main__":
    main()
