"""Pages that a reader follows in a terminal: each file is saved, each command run."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.cache.services import free_port
from tests.integration.serving import Server, serving

# Commands that set up the reader's machine. They are not run: the tests have done so.
SETUP = re.compile(r"python3 -m venv |pip install ")
SERVE = re.compile(r"(?P<environ>(?:[A-Z_]+=\S+ )*)uvicorn (?P<arguments>.+)")
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A command, which may go on after a backslash, with the lines that it prints.
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)

NUMBER = re.compile(r"\d+")


class Terminal:
    """Runs what a page says, in a directory, with a server that listens elsewhere."""

    def __init__(self, folder: Path, redis_port: int) -> None:
        self.folder = folder
        self.redis_port = redis_port
        # One port for all servers, since the cache keeps hosts apart.
        self.port = free_port()
        self.stack = ExitStack()
        self.server: Server | None = None
        self.is_served = False

    def here(self, text: str) -> str:
        """A command with the ports that are those of this test."""
        text = text.replace("localhost:8000", f"127.0.0.1:{self.port}")
        return text.replace("localhost:6379", f"127.0.0.1:{self.redis_port}")

    def serve(self, environ: str, arguments: str) -> None:
        """Stop the server, if there is one, and start it anew."""
        if self.server is not None:
            self.server.stop()
            self.stack.close()
        variables = dict(one.split("=", 1) for one in self.here(environ).split())
        path = {"PYTHONPATH": str(self.folder)}
        server = serving(
            ["-m", "uvicorn", *arguments.split(), "--port", str(self.port)],
            self.port,
            path | variables,
        )
        self.server = self.stack.enter_context(server)
        self.is_served = True

    def run(self, command: str) -> str:
        """What a command prints."""
        if SETUP.match(command):
            return ""
        if served := SERVE.fullmatch(command):
            self.serve(served["environ"], served["arguments"])
            return ""
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-c", self.here(command)],
            cwd=self.folder,
            env=os.environ | {"PATH": programs, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            timeout=300,
            check=False,
        )
        return (ran.stdout + ran.stderr).decode().replace("\r\n", "\n")

    def follow(self, page: str) -> "list[tuple[str, str, str]]":
        """Each command of a page, with what the page says that it prints, and what it does."""
        found = []
        for language, block in BLOCK.findall(page):
            if language == "python":
                (self.folder / "main.py").write_text(block)
                self.is_served = False
                continue
            for command, printed in COMMAND.findall(block):
                if command.startswith("curl ") and not self.is_served:
                    self.serve("", "main:app")  # as a page may take for granted
                found.append((command, printed, self.run(command)))
        return found


def resembles(printed: str, real: str) -> bool:
    """Whether a command prints what the page says, numbers roughly: `...` stands for any lines.

    The number of bytes depends on the releases of codecs, and `ttl` on the time that it takes.
    """
    pattern = re.escape(NUMBER.sub("0", printed.strip())).replace(r"\.\.\.", "(?s:.+)")
    if re.fullmatch(pattern, NUMBER.sub("0", real.strip())) is None:
        return False
    pairs = (
        [] if "..." in printed else zip(NUMBER.findall(printed), NUMBER.findall(real), strict=True)
    )
    return all(1 / 8 < (int(said) + 1) / (int(found) + 1) < 8 for said, found in pairs)
