"""Commands run as their users run them."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cache.services import free_port
from tests.integration.serving import Server

ROOT = Path(__file__).parents[2]
# Long enough for a busy machine; only a command that hangs takes this long.
_SECONDS = 300


class Run(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The JSON that it has printed."""
        return json.loads(self.out)


def clean_environment(**variables):
    """The environment without settings, and without colours."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("ASGI_SERIAL_")}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run(*arguments, cwd=ROOT, timeout=_SECONDS, **variables):
    """Run a command, with these variables beside the environment."""
    ended = subprocess.run(
        [sys.executable, "-m", "asgi_serial", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Run(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def serving(tmp_path, *arguments, **variables):
    """Run `serve` until the block ends; give the server, whose process is the command's."""
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "asgi_serial", "serve", *arguments, "--port", str(port)],
            cwd=ROOT,
            env=clean_environment(**variables),
            stdout=file,
            stderr=file,
        )
    server = Server(process, port, log)
    try:
        server.wait()
        yield server
    finally:
        process.terminate()
        process.wait()
        server.client.close()
