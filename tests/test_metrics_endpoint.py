"""The metrics under `metrics_path`: for whom, in which format, and that parsers read them."""

import gzip
import os
import subprocess
from dataclasses import replace

import pytest
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as openmetrics

from asgi_serial import Reason, SerialMiddleware
from asgi_serial.timing import instruments
from asgi_serial.timing.base import OUTCOMES, PHASES
from asgi_serial.timing.instruments import DEFAULT_BUCKETS, STATE, Instrument
from asgi_serial.timing.prometheus_families import build_families
from asgi_serial.timing.prometheus_text import format_plain
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.workers.packing import State
from tests.cache.services import free_port
from tests.engine.driver import Request, Whole, awaited, serial_of, until
from tests.engine.driver import ask as send
from tests.timing.recording import record

METRICS = Request(path="/metrics", fields=(("host", "localhost"),))
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# As the versions of Prometheus send it.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def app_of(**options):
    body = b'{"title": "Volume"}' * 100
    app = Whole(body, content_type="application/json", cache_control="max-age=60")
    return serial_of(app, metrics_path="/metrics", **options)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS_2, f"{OPENMETRICS}; charset=utf-8"),
        (PROMETHEUS_3, f"{OPENMETRICS}; escaping=allow-utf-8; charset=utf-8"),
        ("application/openmetrics-text", f"{OPENMETRICS}; charset=utf-8"),
        ("application/openmetrics-text;version=0.0.1", PLAIN),
        ("text/plain;version=0.0.4", PLAIN),
        ("application/openmetrics-text;q=0.1, text/plain", PLAIN),
        ("*/*", PLAIN),
        (BROWSER, PLAIN),
        ("application/json", PLAIN),
        (None, PLAIN),
    ],
)
@awaited
async def test_a_collector_gets_the_format_that_it_prefers(accept, content_type):
    app = app_of()
    await send(app, Request(path="/items"))
    answer = await send(app, METRICS.having(**({"accept": accept} if accept else {})))
    assert (answer.status, answer.one("content-type")) == (200, content_type)
    parser = openmetrics if "openmetrics" in content_type else plain
    found = {one.name: one for one in parser.text_string_to_metric_families(answer.body.decode())}
    durations = found["http_server_request_duration_seconds"]
    assert [one.value for one in durations.samples if one.name.endswith("_count")] == [1]
    assert answer.one("cache-control") == "no-store"
    assert answer.one("vary") == "accept, accept-encoding, authorization, cookie"


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [("gzip", "gzip"), ("zstd, br, gzip;q=0.1", "gzip"), ("br", None), ("gzip;q=0", None)],
)
@awaited
async def test_it_is_compressed_for_who_accepts_gzip(accept_encoding, coding):
    app = app_of(compression=False)
    identity = await send(app, METRICS)
    answer = await send(app, METRICS.having(accept_encoding=accept_encoding))
    assert answer.one("content-encoding") == coding
    body = gzip.decompress(answer.body) if coding else answer.body
    assert body == identity.body
    assert answer.one("content-length") == str(len(answer.body))


def test_the_linter_of_prometheus_has_nothing_to_say_of_any_metric():
    recorder = SeriesRecorder()
    for outcome in OUTCOMES:
        record(
            recorder,
            outcome=outcome,
            cache="hit",
            encodings="hit",
            reasons=(Reason.TOO_SMALL,),
            app_bytes=3,
            encoded_bytes=2,
            sent_bytes=1,
            phases=(1,) * len(PHASES),
        )
    states = {1: {"started_ms": 1, **{name: 1 for name, _, _ in STATE}}}
    families = build_families(recorder.snapshot(), states, {"version": "1"}, bounds=DEFAULT_BUCKETS)
    values = vars(instruments).values()
    named = {one.prometheus_name for one in values if isinstance(one, Instrument)}
    assert {family.name for family in families} == named | {"asgi_serial_build"}
    linted = subprocess.run(
        ["promtool", "check", "metrics"], input=format_plain(families), capture_output=True
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(replace(METRICS, method="HEAD"), 200, id="its head"),
        pytest.param(replace(METRICS, method="POST"), 405, id="another method"),
        pytest.param(
            replace(METRICS, path="/sub/metrics", scope={"root_path": "/sub"}), 200, id="mounted"
        ),
        pytest.param(Request(path="/metrics"), 403, id="to another host than this machine"),
        pytest.param(METRICS.having(x_forwarded_for="10.0.0.1"), 403, id="past a proxy"),
        pytest.param(
            replace(METRICS, scope={"client": ("10.0.0.1", 1)}), 403, id="from another machine"
        ),
    ],
)
@awaited
async def test_who_asks_for_the_metrics_and_how(request_, status):
    answer = await send(app_of(), request_)
    assert answer.status == status
    assert bool(answer.body) is (request_.method != "HEAD")
    assert (b"asgi_serial_memory_size_bytes" in answer.body) is (
        status == 200 and request_.method == "GET"
    )


@awaited
async def test_other_paths_are_the_apps_own():
    answer = await send(app_of(), Request(path="/metrics/"))
    assert answer.media_type == "application/json"


@awaited
async def test_without_the_path_there_are_no_metrics():
    app = serial_of(Whole(b"of the app", content_type="text/plain"))
    assert (await send(app, METRICS)).body == b"of the app"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer other", 401), ("Bearer s3cret", 200)],
    ids=str,
)
@awaited
async def test_the_token_of_the_report_protects_the_metrics(authorization, status):
    fields = {"authorization": authorization} if authorization else {}
    answer = await send(app_of(report_token="s3cret"), METRICS.having(**fields))
    assert answer.status == status
    assert (answer.one("www-authenticate") is None) is (status == 200)


@awaited
async def test_the_metrics_do_not_count_themselves():
    app = app_of()
    for _ in range(3):
        answer = await send(app, METRICS)
    assert b"http_server_request_duration_seconds" not in answer.body


@awaited
async def test_without_timing_the_state_is_given_all_the_same():
    answer = await send(app_of(timing=False), METRICS)
    assert b'\nasgi_serial_memory_size_bytes{process_pid="%d"} 0\n' % os.getpid() in answer.body


@awaited
async def test_a_store_that_is_down_shows_in_its_failures_and_breakers():
    app = SerialMiddleware(
        Whole(b"a" * 1000, content_type="text/plain", cache_control="max-age=60"),
        cache_url=f"redis://127.0.0.1:{free_port()}",
        metrics_path="/metrics",
    )
    for number in range(5):
        assert (await send(app, Request(path=f"/{number}"))).status == 200
    await until(lambda: app.engine.responses.store.open_breakers)
    text = (await send(app, METRICS)).body.decode()
    found = {
        tuple([one.name, *one.labels.values()][:-1]): one.value  # without the process
        for family in plain.text_string_to_metric_families(text)
        for one in family.samples
        if one.name.startswith("asgi_serial_store_")
    }
    assert found["asgi_serial_store_breakers_open",] == 1
    assert found["asgi_serial_store_failures_total", "error"] >= 3
    assert found["asgi_serial_store_calls_total", "get"] >= 1
    assert found["asgi_serial_store_hits_total",] == 0
    await app.engine.responses.store.close()


class Crew:
    """Other workers, of which one publishes no figures, as after its engine has gone."""

    def states(self, own):
        return {1: own, 2: State({}, []), 3: State({"in_flight": 5}, [])}


@awaited
async def test_a_worker_without_figures_is_left_out():
    app = app_of()
    app.engine.crew = Crew()
    answer = await send(app, METRICS)
    assert answer.status == 200
    assert b'process_pid="1"' in answer.body
    assert b'process_pid="2"' not in answer.body
    assert b'process_pid="3"' not in answer.body
