"""Print results, tables and progress, for people or for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN_AFTER_SECONDS = 1.0
"""Progress is shown of what takes longer than this."""
_REPEATED_SECONDS = 5.0

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}


class Console:
    """Where a command prints: results to `out`, and all else to `err`.

    With `is_json`, nothing but one JSON document goes to `out`; what the app itself prints goes to
    `err`.
    """

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, *, is_json: bool = False
    ) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.is_json = is_json
        # https://no-color.org: any value but an empty one.
        self._is_coloured = self.out.isatty() and not os.environ.get("NO_COLOR")

    def print(self, text: str = "") -> None:
        """Print a line for people; nothing, if the result is JSON."""
        if not self.is_json:
            print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Print a line beside the result."""
        print(text, file=self.err, flush=True)

    def print_json(self, value: object) -> None:
        """Print the result as JSON, if that is what was asked for."""
        if self.is_json:
            print(json.dumps(value, indent=2, default=str), file=self.out, flush=True)

    def paint(self, text: str, colour: str) -> str:
        """Return the text in a colour, on a terminal."""
        return f"\033[{_COLOURS[colour]}m{text}\033[0m" if self._is_coloured else text

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()
    ) -> None:
        """Print a table; the columns `right` are aligned to the right, as numbers are."""
        texts = [[str(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
        for place, row in enumerate([list(heads), *texts]):
            cells = [
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            line = "  ".join(cells).rstrip()
            self.print(self.paint(line, "dim") if place == 0 else line)

    @contextmanager
    def quiet_app(self) -> Iterator[None]:
        """Send what an app prints to `err`, if `out` takes JSON."""
        if not self.is_json:
            yield
            return
        with redirect_stdout(self.err):
            yield

    @contextmanager
    def progress(self, title: str, total: int = 0) -> Iterator[Progress]:
        """Show the progress of a task of `total` steps, once it has taken longer than a second."""
        progress = Progress(self.err, title, total)
        try:
            yield progress
        finally:
            progress.stop()


class Progress:
    """The progress of one task: a bar of rich or a line on a terminal, else a line now and then."""

    def __init__(self, err: TextIO, title: str, total: int) -> None:
        self._err = err
        self._title = title
        self._total = total
        self._done = 0
        self._label = ""
        self._width = 0
        self._stopped = Event()
        self._began = monotonic()
        self._thread = Thread(target=self._show, daemon=True)
        self._thread.start()

    def step(self, label: str) -> None:
        """Begin the next step."""
        self._label = label
        self._done += 1

    def stop(self) -> None:
        """Remove what is shown."""
        self._stopped.set()
        self._thread.join()

    def _show(self) -> None:
        if self._stopped.wait(SHOWN_AFTER_SECONDS):
            return
        if not self._err.isatty():
            self._show_lines()
        elif find_spec("rich") is not None:
            self._show_bar()
        else:
            self._show_line()

    def _text(self) -> str:
        counted = f" {self._done}/{self._total}" if self._total else ""
        return f"{self._title}{counted} {self._label}".rstrip()

    def _show_lines(self) -> None:
        while True:
            print(f"{self._text()} ...", file=self._err, flush=True)
            if self._stopped.wait(_REPEATED_SECONDS):
                return

    def _show_line(self) -> None:
        while True:
            text = f"{self._text()} ({monotonic() - self._began:.0f} s)"
            self._width = max(self._width, len(text))
            print(f"\r{text.ljust(self._width)}", end="", file=self._err, flush=True)
            if self._stopped.wait(0.5):
                print(f"\r{' ' * self._width}\r", end="", file=self._err, flush=True)
                return

    def _show_bar(self) -> None:
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}")]
        if self._total:
            columns.append(BarColumn())
        terminal = Terminal(file=self._err)
        columns.append(TimeElapsedColumn())
        # It draws in this process, whose CPU time `bench` measures: so no oftener than needed.
        with Bar(*columns, console=terminal, transient=True, refresh_per_second=2) as bar:
            task = bar.add_task(self._text(), total=self._total or None)
            while not self._stopped.wait(0.5):
                bar.update(task, description=self._text(), completed=max(0, self._done - 1))
