"""Counts instructions by callgrind, and only those of what is measured."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

LIBRARY = "BENCH_CALLGRIND"
DUMPS = "BENCH_DUMPS"


def is_there() -> bool:
    """Whether instructions can be counted on this machine."""
    return bool(shutil.which("valgrind") and shutil.which("cc"))


def build(folder: str) -> None:
    """Build what lets a process speak to its callgrind, for all processes of this one."""
    library = os.path.join(folder, "callgrind.so")
    source = str(Path(__file__).with_name("callgrind.c"))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    os.environ[LIBRARY] = library


def prefix() -> tuple[list[str], dict[str, str]]:
    """What goes before a command to run it under callgrind, and into its environment."""
    dumps = tempfile.mkdtemp(dir=os.path.dirname(os.environ[LIBRARY])) + "/dump"
    # %p: a process that is forked has dumps of its own.
    options = ["-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={dumps}.%p"]
    return ["valgrind", *options], {DUMPS: dumps}


class Callgrind:
    """The callgrind that this process runs under."""

    def __init__(self, library: str, dumps: str) -> None:
        self._calls = ctypes.CDLL(library)
        self._dumps = Path(dumps)
        self._known = 0

    @classmethod
    def find(cls) -> Callgrind | None:
        """The callgrind of this process, if it runs under one."""
        dumps = os.environ.get(DUMPS)
        return cls(os.environ[LIBRARY], dumps) if dumps else None

    def begin(self) -> int:
        """Count from here, from zero."""
        self._calls.begin()
        return 0

    def end(self) -> int:
        """Count no more; the instructions of all threads since the beginning."""
        self._calls.end()
        self._known += 1
        dump = self._dumps.with_name(f"{self._dumps.name}.{os.getpid()}.{self._known}")
        lines = dump.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("totals:")).split()[1])
