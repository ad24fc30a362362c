"""A pytest plugin: the apps that a framework's own tests call stand behind the middleware.

`python -m frameworks` loads it into the framework's own test run. Without SUITE_AROUND in the
environment nothing is put around the apps, and only the outcomes are written.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
from typing import TYPE_CHECKING, Any

from asgi_serial import SerialMiddleware

if TYPE_CHECKING:
    import pytest

OUTCOMES: dict[str, str] = {}
COUNTS = {"requests": 0}
WORSE = {"passed": 0, "skipped": 1, "xfailed": 2, "failed": 3, "error": 4}
AROUND: dict[int, Around] = {}
MAX_APPS = 32


class Around:
    """An app behind the middleware, which has what tests look for on the app itself."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._ours = SerialMiddleware(app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count a request, and serve it."""
        COUNTS["requests"] += scope["type"] == "http"
        await self._ours(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


def wrap(app: Any) -> Any:
    """Return `app` behind the middleware; an app that is asked again keeps its engine.

    Apps are told apart by identity: Starlette's Router and Route have no hash.
    """
    around = AROUND.get(id(app))
    if around is None:
        around = AROUND[id(app)] = Around(app)  # it keeps the app, and so its identity, alive
        if len(AROUND) > MAX_APPS:
            del AROUND[next(iter(AROUND))]
    return around


class Client:
    """A test client whose app stands behind the middleware for those who call it by this."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.app = wrap(client.app)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def replace_argument(owner: Any, name: str, argument: str, make: Any) -> None:
    """Have a function get `make(value)` for the value of an argument, however that is given."""
    function = getattr(owner, name)
    signature = inspect.signature(function)

    def wrapped(*args: Any, **options: Any) -> Any:
        bound = signature.bind(*args, **options)
        bound.arguments[argument] = make(bound.arguments[argument])
        return function(*bound.args, **bound.kwargs)

    setattr(owner, name, wrapped)


def install() -> None:
    """Put the middleware around the apps of every test client that is there."""
    for module, kind, name, argument, make in (
        ("httpx", "ASGITransport", "__init__", "app", wrap),
        ("httpx2", "ASGITransport", "__init__", "app", wrap),
        ("starlette.testclient", "_TestClientTransport", "__init__", "app", wrap),
        ("falcon.testing.client", None, "_simulate_request_asgi", "app", wrap),
        ("litestar.testing.transport", "TestClientTransport", "__init__", "client", Client),
    ):
        try:
            owner = importlib.import_module(module)
        except ImportError:
            continue
        replace_argument(owner if kind is None else getattr(owner, kind), name, argument, make)


def pytest_configure(config: pytest.Config) -> None:
    """Install what the environment asks for."""
    if os.environ.get("SUITE_AROUND"):
        install()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the worst outcome of a test's set-up, call and tear-down."""
    outcome: str = report.outcome
    if outcome == "failed" and report.when != "call":
        outcome = "error"
    elif outcome == "skipped" and hasattr(report, "wasxfail"):
        outcome = "xfailed"
    before = OUTCOMES.get(report.nodeid, "passed")
    OUTCOMES[report.nodeid] = max(before, outcome, key=WORSE.__getitem__)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what has come of each test."""
    with open(os.environ["SUITE_OUTCOMES"], "w", encoding="utf-8") as file:
        json.dump({"outcomes": OUTCOMES, **COUNTS}, file)
