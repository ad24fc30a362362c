"""A real Prometheus on loopback, which scrapes what a test serves."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.cache.services import free_port

T = TypeVar("T")

# Only for what never comes: a busy machine may take its time.
PATIENCE_SECONDS = 120.0


class Prometheus:
    """A Prometheus process and its API."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self._log = log
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, trust_env=False
        )

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The values of an instant query, by their labels but for those of the target."""
        found = self.ask("query", query=expression)["result"]
        return {
            tuple(
                sorted(
                    (name, value)
                    for name, value in one["metric"].items()
                    if name not in ("__name__", "instance", "job")
                )
            ): float(one["value"][1])
            for one in found
        }

    def wait_for(self, look: Callable[[], T]) -> T:
        """What `look` returns, once that is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx.TransportError):
                found = look()
                if found:
                    return found
            time.sleep(0.05)
        raise AssertionError(f"what is waited for does not come:\n{self._log.read_text()}")

    def close(self) -> None:
        self._client.close()
        self.process.kill()
        self.process.wait()


@contextmanager
def scraping(folder: Path, target: int, **options: Any) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a port of loopback each second.

    `options` are those of a scrape_config.
    """
    job = {
        "job_name": "app",
        "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        **options,
    }
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
    port = free_port()
    log = folder / "prometheus.log"
    arguments = [
        *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=1h"),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, cwd=folder)
    prometheus = Prometheus(process, port, log)
    try:
        prometheus.wait_for(lambda: prometheus._client.get("/-/ready").status_code == 200)
        yield prometheus
    finally:
        prometheus.close()
