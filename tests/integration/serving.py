"""Apps in server processes of their own, and clients that see what goes over the wire."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import httpx
import msgpack

from tests.cache.services import free_port

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROOT = Path(__file__).parents[2]
_START_SECONDS = 120.0
# That a client waits for an answer: only for one that does not come at all.
ANSWER_SECONDS = 120.0


class Answer(NamedTuple):
    """A response as it came: the body is still encoded."""

    status: int
    fields: httpx.Headers
    body: bytes

    @property
    def content(self) -> bytes:
        """The body, decoded by its Content-Encoding."""
        return DECODERS[self.fields.get("content-encoding", "")]().decompress(self.body)

    @property
    def value(self) -> Any:
        """The document in the body, by its Content-Type."""
        if "json" in self.fields["content-type"]:
            return json.loads(self.content)
        return msgpack.unpackb(self.content)

    @property
    def cache(self) -> str:
        """What the cache says of itself, such as `hit` or `fwd=uri-miss`."""
        return self.fields["cache-status"].split("; ")[1]


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def decompress(self, data: bytes) -> bytes:
        return self._decoder.process(data)


class _Identity:
    def decompress(self, data: bytes) -> bytes:
        return data


DECODERS: Mapping[str, Any] = {
    "": _Identity,
    "br": _Brotli,
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": zstd.ZstdDecompressor,
}


class Server:
    """A server process on loopback, and a client of it."""

    name = ""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        self.client = httpx.Client(base_url=self.url, timeout=ANSWER_SECONDS, trust_env=False)
        self.client.headers.clear()

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                self.connect().close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.process.args} does not listen:\n{self.log()}")

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text()

    def connect(self) -> socket.socket:
        """A connection for bytes of the test's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)

    def ask(self, method: str, path: str, content: Any = None, **fields: str) -> Answer:
        """The response to a request with these fields, `_` standing for `-`, and no others."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        with self.client.stream(method, path, content=content, headers=headers) as response:
            body = b"".join(response.iter_raw())
        return Answer(response.status_code, response.headers, body)

    def get(self, path: str, **fields: str) -> Answer:
        """The response to a GET."""
        return self.ask("GET", path, **fields)

    def exchange(self, data: bytes) -> bytes:
        """All that is answered to these bytes until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def peak_bytes(self) -> int:
        """The most memory that the process has had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def stop(self, seconds: float = 120) -> int:
        """End it by SIGTERM, as a supervisor does; its return code."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(
    arguments: list[str], port: int, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A Python process with these arguments, which serves at `port`."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port), **(environ or {})}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environ, stdout=out, stderr=out
            )
        server = Server(process, port, log)
        try:
            server.wait()
            yield server
        finally:
            server.client.close()
            process.kill()
            process.wait()


@contextmanager
def uvicorn_of(
    app: str, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """An app over uvicorn."""
    port = free_port()
    arguments = ["-m", "uvicorn", app, "--port", str(port), "--no-access-log", *options]
    with serving(arguments, port, environ) as server:
        yield server
