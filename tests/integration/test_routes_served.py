"""Templates of every framework over a real server, and what importing one brings with it."""

import importlib
import subprocess
import sys
from collections import Counter

import pytest

from tests.sites.contract import visits_of
from tests.timing.test_routes_contract import NAMES

from .serving import ROOT, uvicorn_of
from .sites import wait_until

ALL = {"blacksheep", "django", "falcon", "fastapi", "litestar", "quart", "sanic"}


@pytest.mark.parametrize("name", NAMES)
def test_a_server_counts_requests_under_the_templates_of_their_routes(name):
    site = importlib.import_module(f"tests.sites.{name}_site").SITE
    visits = [one for one in visits_of(site) if len(one.path) < 1000]
    with uvicorn_of(f"tests.sites.{name}_site:app") as server:
        for one in visits:
            # A server closes the connection after an exception.
            answer = server.ask(one.method, one.path, connection="close")
            assert answer.status == one.status, one
        expected = Counter((one.label, one.status) for one in visits)

        def are_counted():
            rows = server.get("/_report", accept="application/json").value["routes"]
            counted = Counter[tuple[str, int]]()
            for row in rows:
                counted[row["route"], row["status"]] += row["count"]
            assert counted <= expected
            return counted == expected

        # A request is counted when the app has ended, a moment after the client has its response.
        wait_until(are_counted)


@pytest.mark.parametrize("name", NAMES)
def test_no_framework_is_imported_but_the_one_that_is_used(name):
    program = f"import sys, tests.sites.{name}_site; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = ALL & set(ran.stdout.split())
    assert imported <= {name}
