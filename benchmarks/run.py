"""Runs the rows, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from . import callgrind
from .table import Row

ROOT = str(Path(__file__).parents[1])


class Result(NamedTuple):
    """What one measurement of a row gave; `costs` in seconds or instructions."""

    row: Row
    how: str
    value: float
    costs: dict[str, float]

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached, if there is one."""
        return self.row.goal is None or self.value <= self.row.goal


def run(row: Row, how: str) -> Result:
    """Measure a row by `how`: "instructions", "cpu" or "figure"."""
    command = [sys.executable, "-m", "benchmarks.worker", row.name, how]
    path = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    # The order of sets, and what a new name costs, is the same in every process.
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": path}
    if how == "instructions" and not row.name.startswith("uvicorn"):
        command[:0], extra = callgrind.prefix()
        environment |= extra
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    value, costs = json.loads(done.stdout.splitlines()[-1])
    return Result(row, how, value, costs)
