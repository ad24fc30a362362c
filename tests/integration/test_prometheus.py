"""A real Prometheus scrapes an app over uvicorn, and finds what its clients have done."""

import re
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.contrib.dashboard import QUERIES

from .prometheus import Prometheus, scraping
from .serving import Server, uvicorn_of

TOKEN = "a-token-of-the-scraper"
DURATION = "http_server_request_duration_seconds"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# What a client may put into a label if the routes are its paths: a quote, a backslash, a line feed,
# a carriage return, a character of three bytes, a byte that is no UTF-8, and a zero.
NASTY = "/%22%5C%0A%0D%E2%82%AC%FF%00"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environ = {"ASGI_SERIAL_METRICS_PATH": "/metrics", "ASGI_SERIAL_REPORT_TOKEN": TOKEN}
    with uvicorn_of("tests.integration.metered:app", environ=environ) as server:
        for path in ("/books", "/books", "/books", "/fails", "/unstored", NASTY):
            server.get(path)
        server.get("/encoded", accept_encoding="gzip")
        yield server


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with scraping(folder, server.port, authorization={"credentials": TOKEN}) as prometheus:
        prometheus.wait_for(lambda: prometheus.query("up == 1"))
        yield prometheus


def exposed(server: Server) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The samples that the server shows to who asks as Prometheus does, by name and labels."""
    answer = server.get("/metrics", accept=OPENMETRICS, authorization=f"Bearer {TOKEN}")
    assert answer.status == 200
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_requests_are_found_by_route_and_status(server: Server, prometheus: Prometheus) -> None:
    counts = prometheus.query(f"sum by (http_route, error_type) ({DURATION}_count)")
    assert counts[(("http_route", "/books"),)] == 3
    assert counts[(("error_type", "failed"), ("http_route", "/fails"))] == 1
    assert sum(counts.values()) == 7


def test_every_sample_arrives_as_it_was_exposed(server: Server, prometheus: Prometheus) -> None:
    for name, samples in exposed(server).items():
        assert prometheus.query(name) == samples, name


def test_what_a_client_puts_into_a_label_arrives_as_such(prometheus: Prometheus) -> None:
    (labels,) = prometheus.query(f'{DURATION}_count{{http_route!~"/[a-z]+"}}')
    assert dict(labels)["http_route"] == '/"\\\n\r€\ufffd\x00'


def test_it_knows_types_units_and_descriptions(server: Server, prometheus: Prometheus) -> None:
    told = {one["metric"]: one for one in prometheus.ask("targets/metadata")}
    assert (told[DURATION]["type"], told[DURATION]["unit"]) == ("histogram", "seconds")
    assert told["asgi_serial_memory_size_bytes"]["unit"] == "bytes"
    assert told["asgi_serial_build"]["type"] == "info"
    assert all(one["help"] for one in told.values())


def test_percentiles_can_be_computed(prometheus: Prometheus) -> None:
    expression = f"histogram_quantile(0.95, sum by (le) ({DURATION}_bucket))"
    ((labels, value),) = prometheus.query(expression).items()
    assert labels == ()
    assert 0 < value <= 10


@pytest.mark.parametrize("query", QUERIES)
def test_the_dashboard_finds_what_it_asks_for(
    server: Server, prometheus: Prometheus, query: str
) -> None:
    for name, value in {
        "$__rate_interval": "1m",
        "$job": ".*",
        "$instance": ".*",
        "$route": ".*",
    }.items():
        query = query.replace(name, value)
    prometheus.query(query)  # it is valid
    if set(re.findall(r"(?:asgi_serial|http_server)_\w+", query)) <= set(exposed(server)):
        prometheus.wait_for(lambda: prometheus.query(query))  # a rate takes two scrapes


def test_a_scraper_without_the_token_gets_nothing(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with scraping(tmp_path_factory.mktemp("stranger"), server.port) as stranger:
        stranger.wait_for(lambda: stranger.query("up"))
        assert set(stranger.query("up").values()) == {0.0}
        (target,) = stranger.ask("targets")["activeTargets"]
        assert "401" in target["lastError"]
        assert stranger.query(f"{DURATION}_count") == {}
