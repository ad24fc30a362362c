"""`python -m benchmarks [--only ROW ...] [--cpu] [--list]`."""

import argparse
import tempfile

from .report import as_line, as_table
from .rows import ROWS
from .run import Runner, can_count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.add_argument("--cpu", action="store_true", help="CPU time even where valgrind is there")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    if options.list:
        print("\n".join(f"{row.name:20} {row.what}" for row in rows))
        return
    counting = can_count() and not options.cpu
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(folder)
        results = []
        for row in rows:
            how = row.by if counting or row.by != "instructions" else "cpu"
            results.append(runner.run(row, how))
            print(as_line(results[-1]), flush=True)
    print()
    print(as_table(results))


main()
