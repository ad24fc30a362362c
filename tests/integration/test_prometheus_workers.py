"""Whichever of several workers answers a scrape, Prometheus gets the totals of all of them."""

import re
from collections.abc import Iterator

import pytest

from .prometheus import Prometheus, scraping
from .serving import Server, uvicorn_of

TOKEN = "a-token-of-the-scraper"
WORKERS = 3
COUNT = "http_server_request_duration_seconds_count"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environ = {"ASGI_SERIAL_METRICS_PATH": "/metrics", "ASGI_SERIAL_REPORT_TOKEN": TOKEN}
    options = ("--workers", str(WORKERS))
    with uvicorn_of("tests.integration.metered:app", *options, environ=environ) as server:
        yield server
        server.stop()


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    options = {"authorization": {"credentials": TOKEN}, "enable_http2": False}
    with scraping(folder, server.port, **options) as prometheus:
        yield prometheus


def ask(server: Server, times: int) -> None:
    for _ in range(times):
        # Each over a connection of its own, so that any of the workers may get it.
        assert server.get("/books", connection="close").status == 200


def test_the_totals_are_those_of_all_workers(server: Server, prometheus: Prometheus) -> None:
    total = f'sum({COUNT}{{http_route="/books"}})'
    ask(server, 100)
    prometheus.wait_for(lambda: prometheus.query(total).get(()) == 100)
    ask(server, 50)
    prometheus.wait_for(lambda: prometheus.query(total).get(()) == 150)
    # Prometheus keeps its connection, and so stays with one worker; each of these may get another.
    for _ in range(20):
        answer = server.get("/metrics", authorization=f"Bearer {TOKEN}", connection="close")
        assert re.findall(rf"^{COUNT}\{{.*\}} (\d+)$", answer.body.decode(), re.MULTILINE) == [
            "150"
        ]
    # A counter that falls has another worker's figures.
    assert set(prometheus.query(f"resets({COUNT}[10m])").values()) == {0.0}


def test_each_process_has_its_own_figures(server: Server, prometheus: Prometheus) -> None:
    count = "count(asgi_serial_memory_limit_bytes)"
    prometheus.wait_for(lambda: prometheus.query(count).get(()) == WORKERS)
    # Each worker that was asked has called the app itself and stored the response.
    stored = prometheus.query("sum(asgi_serial_cache_stored_total)")[()]
    assert 1 <= stored <= WORKERS
