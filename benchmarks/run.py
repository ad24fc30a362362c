"""Runs the rows in processes of their own: one after the other, or in turns with another's."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import callgrind
from .meters import Round
from .packages import ROOT
from .rows import How, Row

ROUND, NEXT = b"r", b"n"
"""What a worker is told; see worker.py."""

ROUNDS: dict[How, int] = {"instructions": 1, "cpu": 40, "figure": 1}


class Result(NamedTuple):
    """The measurement of a row; `costs` in seconds or instructions."""

    row: Row
    how: How
    value: float | None  # None: it failed, and the worker has printed why
    costs: dict[str, float]

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached, if there is one."""
        return self.value is not None and (self.row.goal is None or self.value <= self.row.goal)


class Change(NamedTuple):
    """A row with one package and with another; None where the row cannot be run with it."""

    row: Row
    how: How
    before: float | None
    after: float | None
    ratio: float | None


class Worker:
    """A process that measures rows with the asgi_serial that lies in the folder `package`."""

    def __init__(self, rows: Sequence[Row], how: How, package: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", *[row.name for row in rows]]
        path = os.pathsep.join(filter(None, (package, ROOT, os.environ.get("PYTHONPATH"))))
        environment = os.environ | {
            # The order of sets, and the price of a new name, are the same in every process.
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": path,
            # Otherwise the package in the current directory would come first.
            "PYTHONSAFEPATH": "1",
        }
        if how == "instructions":
            command[:0], extra = callgrind.prefix()
            environment |= extra
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._has_failed = False

    def begin(self) -> None:
        """Begin to measure the present row once more."""
        if not self._has_failed:
            self._say(ROUND)

    def end(self) -> Round | None:
        """Wait for what was begun; None where the row has failed."""
        if self._has_failed:
            return None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("A worker has ended before its time.")
        measured: Round | None = json.loads(line)
        self._has_failed = measured is None
        return measured

    def go_on(self) -> None:
        """Turn to the next row."""
        if not self._has_failed:
            self._say(NEXT)
        self._has_failed = False

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word)
        self._process.stdin.flush()


def run(rows: Sequence[Row], how: How) -> Iterator[Result]:
    """Measure rows, all by `how`."""
    for row, (rounds,) in _in_turns(rows, how, [ROOT]):
        if rounds is None:
            yield Result(row, how, None, {})
            continue
        names = rounds[0][1]
        costs = {name: statistics.median(each[name] for _, each in rounds) for name in names}
        yield Result(row, how, statistics.median(value for value, _ in rounds), costs)


def compare(rows: Sequence[Row], how: How, before: str, after: str) -> Iterator[Change]:
    """Measure rows with two packages, which take turns in every round."""
    for row, rounds in _in_turns(rows, how, [before, after]):
        values = [None if each is None else [value for value, _ in each] for each in rounds]
        ratio = None
        if values[0] is not None and values[1] is not None:
            ratio = statistics.median(map(ratio_of, *values))
        medians = [None if each is None else statistics.median(each) for each in values]
        yield Change(row, how, medians[0], medians[1], ratio)


def ratio_of(before: float, after: float) -> float:
    """Return after / before; 1 where nothing has changed, though it be nothing."""
    if before == after:
        return 1.0
    return after / before if before else float("inf")


def _in_turns(
    rows: Sequence[Row], how: How, packages: list[str]
) -> Iterator[tuple[Row, list[list[Round] | None]]]:
    """By row, the rounds of each package; None for one with which the row has failed."""
    workers = [Worker(rows, how, package) for package in packages] if rows else []
    try:
        for row in rows:
            taken = [_round(workers, how) for _ in range(ROUNDS[how])]
            for worker in workers:
                worker.go_on()
            by_worker = zip(*taken, strict=True)
            yield row, [None if None in each else list(each) for each in by_worker]
    finally:
        for worker in workers:
            worker.close()


def _round(workers: list[Worker], how: How) -> list[Round | None]:
    if how == "instructions":  # they are the same whatever else runs
        for worker in workers:
            worker.begin()
        return [worker.end() for worker in workers]
    measured = []
    for worker in workers:
        worker.begin()
        measured.append(worker.end())
    return measured
