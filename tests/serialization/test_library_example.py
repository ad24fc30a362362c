"""The example runs by the command that its first lines name."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_runs_and_asks_once():
    environ = {name: text for name, text in os.environ.items() if not name.startswith("ASGI_")}
    done = subprocess.run(
        [sys.executable, "examples/library.py"],
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["asked for A-1", "the same: True"]
    assert lines[2] == r"b'\x82\xa6pieces\x01\xa6amount\xa40.95' is 1 for 0.95"
    assert lines[3].startswith("Invalid JSON: EOF while parsing an object")
    operations = [re.sub(r" in .*", "", line).split() for line in lines[4:]]
    assert operations == [
        ["compression.zstd", "1"],
        ["decompression", "1"],
        ["deserialize.json", "1"],
        ["serialize.json", "1"],
        ["validation", "1"],
    ]
    assert done.stderr == ""
