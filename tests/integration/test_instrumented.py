"""Beside OpenTelemetry's own instrumentation of FastAPI nothing is counted twice."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .serving import ROOT

OURS = "asgi_serial"
THEIRS = "opentelemetry.instrumentation.fastapi"


def run(who: str, conventions: str) -> Any:
    """What the app of `instrumented.py` has exported under these conventions."""
    environ = {**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": conventions}
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.instrumented", who],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("conventions", "duration"),
    [("", "http.server.duration"), ("http", "http.server.request.duration")],
    ids=["the old conventions", "the stable conventions"],
)
def test_requests_are_counted_by_one_and_spans_are_untouched(
    conventions: str, duration: str
) -> None:
    both, alone = run("ours", conventions), run("none", conventions)
    theirs, ours = both["metrics"][THEIRS], both["metrics"][OURS]
    assert theirs == alone["metrics"][THEIRS]
    assert theirs[duration] == 3
    assert {name for name in ours if not name.startswith("asgi_serial.")} == set()
    assert ours["asgi_serial.time_to_first_byte"] == 3
    assert set(alone["metrics"]) == {THEIRS}
    assert both["spans"] == alone["spans"] != []
