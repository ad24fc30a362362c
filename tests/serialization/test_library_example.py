"""The examples run by the commands that their first lines name."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cache.services import redis_server

ROOT = Path(__file__).parents[2]


def run(name, **variables):
    environ = {name: text for name, text in os.environ.items() if not name.startswith("ASGI_")}
    return subprocess.run(
        [sys.executable, f"examples/{name}.py"],
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


CACHED_LINES = [
    "21 id=1 name='Ada' team='core' False",
    "id=1 name='Ada Lovelace' team='core' id=1 name='Ada' team='core'",
    "id=1 name='Ada Lovelace' team='core'",
    "0.19 0.19",
]


def test_cached_functions_load_once_until_something_changes():
    done = run("cached_functions")
    *lines, info = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("l")] == CACHED_LINES
    assert [line for line in lines if line.startswith("l")] == [
        "loading user 1 of acme",
        "loading user 1 of globex",
        "loading user 1 of acme",
        "loading user 1 of acme",
        "looking up DE",
    ]
    assert info.startswith("acme:user:1 CacheInfo(hits=1, misses=23, stale=0, waits=19")
    assert done.stderr == ""


def test_cached_functions_give_the_same_with_a_store():
    with redis_server() as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        for _ in range(2):
            lines = run("cached_functions", ASGI_SERIAL_MODEL_CACHE_URL=url).stdout.splitlines()
            # A store that is slow, as on a busy machine, changes only what has to be loaded.
            assert [line for line in lines[:-1] if not line.startswith("l")] == CACHED_LINES


def test_the_example_runs_and_asks_once():
    done = run("library")
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
