"""Runs workers: one process for each row, under callgrind where instructions are counted."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from .rows import Row

HERE = Path(__file__).parent


class Result(NamedTuple):
    """What was measured of one row."""

    row: Row
    how: str
    value: float
    costs: dict[str, float]


def can_count() -> bool:
    """Whether instructions can be counted here."""
    return bool(shutil.which("valgrind") and shutil.which("cc"))


class Runner:
    """Starts the workers; its folder holds what callgrind needs and writes."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.library = self.folder / "callgrind.so"

    def run(self, row: Row, how: str) -> Result:
        """Measure one row."""
        command = [sys.executable, "-m", "benchmarks.worker", row.name, how]
        # The order of sets, and what a new name costs, is the same in every process.
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": self._path()}
        if how == "instructions":
            command[:0], extra = self._under_callgrind()
            environment |= extra
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
        measured = json.loads(done.stdout.splitlines()[-1])
        return Result(row, how, measured["value"], measured["costs"])

    def _under_callgrind(self) -> tuple[list[str], dict[str, str]]:
        if not self.library.exists():
            source = str(HERE / "callgrind.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)
        dumps = tempfile.mkdtemp(dir=self.folder) + "/dump"
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        valgrind.append(f"--callgrind-out-file={dumps}")
        return valgrind, {"BENCH_CALLGRIND": str(self.library), "BENCH_DUMPS": dumps}

    @staticmethod
    def _path() -> str:
        return os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
