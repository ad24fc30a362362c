"""How exchanges end over real servers, whose sockets are cut."""

import json
from collections.abc import Iterator

import pytest

from asgi_serial.timing.base import PHASES
from tests.cache.services import free_port

from .serving import Server, serving
from .sites import wait_until

APP = "tests.integration.leaving:app"
UVICORN = ("-m", "uvicorn", APP, "--no-access-log")
SERVERS = {
    "uvicorn, httptools": (*UVICORN, "--http", "httptools", "--port", "{port}"),
    "uvicorn, h11": (*UVICORN, "--http", "h11", "--port", "{port}"),
    # In one process, which no worker outlives.
    "hypercorn": ("-m", "hypercorn", APP, "--workers", "0", "--bind", "127.0.0.1:{port}"),
}
SETTINGS = {
    "timing alone": dict.fromkeys(("FORMATS", "COMPRESSION", "DECODING", "CACHE"), "off"),
    "all on": {"CACHE_TTL": "60"},
}


@pytest.fixture(params=SETTINGS)
def environ(request) -> dict[str, str]:
    return {f"ASGI_SERIAL_{name}": value for name, value in SETTINGS[request.param].items()}


@pytest.fixture(params=SERVERS)
def server(request, environ) -> Iterator[Server]:
    port = free_port()
    arguments = [part.format(port=port) for part in SERVERS[request.param]]
    with serving(arguments, port, environ) as server:
        yield server


def ends_of(server: Server, requests: int) -> dict[str, tuple[int, str]]:
    """How these many requests ended, once nothing but this one is in flight."""
    rows = {}

    def is_over() -> bool:
        report = json.loads(server.get("/report").body)
        rows.clear()
        rows.update({row["route"]: row for row in report["rows"] if row["route"] != "/report"})
        counted = sum(row["count"] for row in rows.values())
        return report["in_flight"] == 1 and counted == requests

    wait_until(is_over)
    for row in rows.values():
        together = sum(row["phases_ms"].values())
        assert list(row["phases_ms"]) == [*PHASES]
        assert together - row["phases_ms"]["background"] == pytest.approx(row["time_ms"], rel=0.01)
    return {route: (row["status"], row["outcome"]) for route, row in rows.items()}


def test_each_end_is_told_from_the_others(server):
    with server.connect() as waiting:
        waiting.sendall(b"GET /before HTTP/1.1\r\nhost: a\r\n\r\n")
        wait_until(lambda: json.loads(server.get("/report").body)["in_flight"] == 2)
    with server.connect() as reading:
        reading.sendall(b"GET /listening HTTP/1.1\r\nhost: a\r\n\r\n")
        assert reading.recv(1)
    with server.connect() as failing:
        failing.sendall(b"GET /failing HTTP/1.1\r\nhost: a\r\n\r\n")
        assert failing.recv(1)
    server.get("/whole")
    server.get("/deaf")
    assert ends_of(server, 5) == {
        "/before": (499, "disconnected"),
        "/listening": (200, "disconnected"),
        "/failing": (200, "failed"),
        "/whole": (200, "completed"),
        "/deaf": (200, "completed"),
    }


def test_the_wait_for_a_slow_upload_is_not_the_apps(server):
    with server.connect() as slow:
        slow.sendall(b"POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n")
        wait_until(lambda: json.loads(server.get("/report").body)["in_flight"] == 2)
        slow.sendall(b"1234")
        assert slow.recv(1)
    assert ends_of(server, 1) == {"/upload": (200, "completed")}
    (row,) = [
        row for row in json.loads(server.get("/report").body)["rows"] if row["route"] == "/upload"
    ]
    assert row["phases_ms"]["request-body"] > row["phases_ms"]["app-first-byte"]
