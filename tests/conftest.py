"""Settings for all tests: how many examples are searched, and in which order tests run."""

import gc
import logging
import os
import random
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from asgi_serial.settings.policy import HANDLER_OPTIONS, HANDLER_SWITCHES

# A busy machine takes longer for an example now and then, which says nothing of the code; what
# a cost may be is asserted where it matters.
settings.register_profile(
    "fresh", deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow]
)
# The same examples each time: a change that breaks nothing cannot fail on an example it is the
# first to meet. `--hypothesis-seed` and the profile `long` search elsewhere.
settings.register_profile("steady", settings.get_profile("fresh"), derandomize=True)
settings.register_profile("long", settings.get_profile("fresh"), max_examples=1_000)

# The apps of BlackSheep in one process share a router otherwise, with the routes of those before.
os.environ["APP_DEFAULT_ROUTER"] = "0"

# Programs that tests run, some of which are wrong on purpose: no doctest is looked for in them.
collect_ignore = ["apps", "typed", "integration/instrumented.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Draw the same examples each time, unless the command line asks for others."""
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("steady" if _seed_of(config) is None else "fresh")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files, and the tests within each, by `--hypothesis-seed`."""
    if (seed := _seed_of(config)) is None:
        return
    files: dict[object, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    chance = random.Random(seed)
    shuffled = list(files.values())
    chance.shuffle(shuffled)
    for tests in shuffled:
        chance.shuffle(tests)
    items[:] = [item for tests in shuffled for item in tests]


def pytest_collection_finish() -> None:
    """Leave the tests themselves, some million objects, out of each garbage collection."""
    gc.collect()
    gc.freeze()


def _seed_of(config: pytest.Config) -> str | None:
    return config.getoption("--hypothesis-seed")


@pytest.fixture(autouse=True)
def _random_numbers_are_the_same_each_time(request: pytest.FixtureRequest) -> None:
    random.seed(f"{_seed_of(request.config)} {request.node.nodeid}")


@pytest.fixture(autouse=True)
def _no_handler_of_another_test_has_spoken() -> None:
    """A process remembers that any handler of it turns on what is off for all."""
    HANDLER_OPTIONS.clear()
    HANDLER_SWITCHES.clear()


@pytest.fixture(autouse=True)
def _no_log_is_louder_for_another_test() -> None:
    """pytest keeps what is logged, which tests of memory would take for ours.

    Frameworks set the levels of loggers when they are imported, or an app is made.
    """
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("asgi_serial").setLevel(logging.NOTSET)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a log with lone surrogates, which a path may hold, in characters that can be sent."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report
