"""What users plug in may fail: each failure counts, and the log hears of it now and then."""

import itertools
import logging

from asgi_serial.timing.failures import Failures
from asgi_serial.timing.routes.resolver import build_resolver


def test_every_failure_counts_and_one_of_each_half_minute_is_logged(caplog):
    now = [0.0]
    failures = Failures("The part", "all goes on", clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        for second in (0, 1, 29.9, 30, 31, 60.1):
            now[0] = second
            failures.note(RuntimeError(f"at {second}"))
    assert failures.count == 6
    assert [record.getMessage() for record in caplog.records] == [
        "The part fails (RuntimeError('at 0'); 1 times so far); all goes on.",
        "The part fails (RuntimeError('at 30'); 4 times so far); all goes on.",
        "The part fails (RuntimeError('at 60.1'); 6 times so far); all goes on.",
    ]


def test_a_resolver_that_fails_is_logged_once_with_its_traceback(caplog, monkeypatch):
    hours = itertools.count(step=3600.0)
    monkeypatch.setattr(Failures.__init__, "__defaults__", (lambda: next(hours),))

    def failing(scope):
        raise RuntimeError("no route today")

    resolve = build_resolver(failing)
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        for _ in range(100):
            assert resolve({}) == "(unmatched)"
    assert resolve.failures == 100
    (record,) = caplog.records
    assert "no route today" in record.getMessage()
    assert record.exc_info[1].args == ("no route today",)
