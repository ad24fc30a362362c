"""Two server processes over one store."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import redis

from tests.cache.services import Service, memcached_server, redis_server

from .serving import Answer, Server, uvicorn_of

# Of a store that is well: it is to answer, however busy the machine is.
PATIENT_SECONDS = 20.0

SERVICES = {"redis": redis_server, "memcached": memcached_server}
_numbers = itertools.count()


class Site(NamedTuple):
    """Two processes of one app over one store."""

    scheme: str
    store: Service
    first: Server
    second: Server

    def drops(self) -> int:
        """A number that grows with each response that the store is told to forget.

        How many values there are says little: a purge is one more, and a lease that has ended
        is counted by Memcached for as long as it likes.
        """
        if self.scheme == "redis":
            with self.redis() as client:
                return -len(entries_in(client))
        return self._memcached_says(b"delete_hits")

    def _memcached_says(self, name: bytes) -> int:
        with socket.create_connection(
            ("127.0.0.1", self.store.port), timeout=PATIENT_SECONDS
        ) as connection:
            connection.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += connection.recv(4096)
        return int(answer.partition(b"STAT %s " % name)[2].split()[0])

    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.store.port)

    def fill(self, path: str, **fields: str) -> Answer:
        """A response of the first process, which the store has by then."""
        answer = self.first.get(path, **fields)
        assert "stored" in answer.fields["cache-status"]
        assert self.first.get("/flush").status == 200
        return answer


def entries_in(client: redis.Redis) -> list[bytes]:
    """The keys of what is stored of responses; not those of the log of purges.

    Without that, everything would be taken for purged.
    """
    found = []
    for key in client.scan_iter():
        value = client.get(key) if client.type(key) == b"string" else b""
        if value is not None and not (value.isdigit() or b"purge" in value[:10]):
            found.append(key)
    return found


def empty(client: redis.Redis) -> None:
    """Delete what is stored of responses."""
    for key in entries_in(client):
        client.delete(key)


@contextmanager
def site_over(
    scheme: str, store: Service, timeout_seconds: float = PATIENT_SECONDS
) -> Iterator[Site]:
    url = f"{scheme}://127.0.0.1:{store.port}"
    with app_over(url, timeout_seconds) as first, app_over(url, timeout_seconds) as second:
        yield Site(scheme, store, first, second)
        for server in (first, second):
            server.stop()
            assert "Finished server process" in server.log()
            assert "Traceback" not in server.log()


@contextmanager
def app_over(url: str, timeout_seconds: float = PATIENT_SECONDS) -> Iterator[Server]:
    environ = {
        "ASGI_SERIAL_CACHE_URL": url,
        "ASGI_SERIAL_CACHE_STORE_TIMEOUT": f"{timeout_seconds}s",
        "ASGI_SERIAL_REPORT_PATH": "/report",
    }
    # Both processes are one site, whose requests come for one host.
    with uvicorn_of("tests.integration.probe:app", environ=environ) as server:
        server.client.headers["host"] = "site.test"
        yield server


def new(path: str) -> str:
    """A path below this one that no test has asked for."""
    return f"{path}/{next(_numbers)}"


def calls_of(server: Server, path: str) -> int:
    return server.get("/calls").value.get(path, 0)


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
