"""What holds for the routes of every framework: one API, written in each of them.

`python -m frameworks` runs this file with the oldest versions that are supported, too.
"""

import asyncio
import importlib
from contextlib import nullcontext

import pytest

from asgi_serial import purge, timing_report
from asgi_serial.engine.app_engines import engines_of
from tests.sites.contract import visits_of

from .drive import call, http_scope, living, visit

NAMES = [
    "starlette",
    "fastapi",
    "litestar",
    "quart",
    "django",
    "falcon",
    "blacksheep",
    "sanic",
    "plain",
]
each_framework = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def module(name):
    """The module of a site; Django's patterns are those of the process."""
    module = importlib.import_module(f"tests.sites.{name}_site")
    with getattr(module, "with_these_patterns", nullcontext()):
        yield module


def run(app, coroutine):
    async def main():
        async with living(app):
            return await coroutine

    return asyncio.run(main())


async def statuses(app, visits, **how):
    return [(await visit(app, one.method, one.path, **how)).status for one in visits]


def counted(source):
    """How often each route was asked for, by the report; that of a test's own is left out."""
    counts = {}
    for row in timing_report(source).routes:
        counts[row["route"]] = counts.get(row["route"], 0) + row["count"]
    return counts


def expected(visits):
    counts = {}
    for one in visits:
        counts[one.label] = counts.get(one.label, 0) + 1
    return counts


@each_framework
def test_every_request_is_counted_under_the_template_of_its_route(module):
    _, app = module.make(cache=False)
    visits = visits_of(module.SITE)
    assert run(app, statuses(app, visits)) == [one.status for one in visits]
    assert counted(app) == expected(visits)
    assert timing_report(app).engine["route_resolver_failures"] == 0


@each_framework
def test_the_report_is_found_by_the_app_and_by_its_request(module):
    bare, app = module.make(cache=False)

    async def ask():
        assert (await visit(app, "GET", "/items/7")).status == 200
        return await visit(app, "GET", "/report")

    answer = run(app, ask())
    assert answer.status == 200
    assert b"/items/{id}" in answer.body
    assert counted(bare) == counted(app) == {"/items/{id}": 1, "/report": 1}


@each_framework
def test_a_purge_is_found_by_the_app_and_by_its_request(module):
    bare, app = module.make(cache_ttl="60s")

    async def ask():
        answers = [await visit(app, "GET", "/items/7") for _ in range(2)]
        dropped = await visit(app, "POST", "/drop")
        assert (dropped.status, dropped.body) == (200, b"True")
        answers += [await visit(app, "GET", "/items/7") for _ in range(2)]
        assert await purge(bare, everything=True)
        answers += [await visit(app, "GET", "/items/7")]
        return [one.fields["cache-status"].split("; ")[1] for one in answers]

    miss = "fwd=uri-miss"
    assert run(app, ask()) == [miss, "hit", miss, "hit", miss]


@each_framework
def test_a_hit_keeps_its_route_and_asks_no_router(module, monkeypatch):
    _, app = module.make(cache_ttl="60s")

    async def ask():
        await visit(app, "GET", "/items/7")
        (engine,) = engines_of(app)
        asked = []
        monkeypatch.setattr(engine, "label", asked.append)
        await visit(app, "GET", "/items/7")
        return asked

    assert run(app, ask()) == []
    assert counted(app) == {"/items/{id}": 2}


@each_framework
def test_below_a_root_path_the_template_is_the_same(module):
    _, app = module.make(cache=False)
    visits = [one for one in visits_of(module.SITE) if one.status in (200, 404, 405)]
    if module.SITE.is_whole:
        found = run(app, statuses(app, visits, root_path="/proxy"))
        assert set(found) == {404}
        assert counted(app) == {"(unmatched)": len(visits)}
    else:
        found = run(app, statuses(app, visits, root_path="/proxy"))
        assert found == [one.status for one in visits]
        assert counted(app) == expected(visits)


@each_framework
def test_paths_that_no_route_takes_share_one_bucket(module):
    _, app = module.make(cache=False)

    async def ask():
        for number in range(300):
            await visit(app, "GET", f"/none/{number}")
            await visit(app, "GET", f"/items/{number}")

    run(app, ask())
    assert counted(app) == {"(unmatched)": 300, "/items/{id}": 300}


ODD = {
    "a query that is no text": {"query_string": b"\xff=\xfe"},
    "a host that is no text": {"headers": [(b"host", b"\xff\xfe")]},
    "a host with an empty label": {"headers": [(b"host", b"a..b")]},
    "a long host": {"headers": [(b"host", b"x" * 3000)]},
    "a host with an odd port": {"headers": [(b"host", b"example.org:port")]},
    "no host": {"headers": []},
    "a path that is no text": {"path": "/items/\ufffd", "raw_path": b"/items/%ff"},
    "bytes in the path": {"path": "/boom/\ufffd", "raw_path": b"/boom/\xff"},
    "a surrogate": {"path": "/boom/\udcff", "raw_path": b"/boom/%ff"},
    "a zero": {"path": "/items/\x00", "raw_path": b"/items/%00"},
    "slashes": {"path": "//items//7", "raw_path": b"//items//7"},
    "dots": {"path": "/items/../../etc", "raw_path": b"/items/../../etc"},
    "nothing below the root": {"path": "/proxy", "raw_path": b"/proxy", "root_path": "/proxy"},
    "a path outside the root": {"path": "/x", "raw_path": b"/x", "root_path": "/proxy"},
    "a method of another protocol": {"method": "PROPFIND"},
    "a method of nobody": {"method": "\xff" * 100},
    "a number that is too long": {
        "path": "/items/" + "1" * 10_000,
        "raw_path": b"/items/" + b"1" * 10_000,
    },
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@each_framework
def test_no_request_makes_a_resolver_fail(module, odd):
    _, app = module.make(cache=False)

    async def ask():
        await visit(app, "GET", "/items/7")
        (engine,) = engines_of(app)
        scope = http_scope("/items/7") | odd
        given = dict(scope)
        try:
            await call(app, given)
        except Exception:  # of the framework's own
            pass
        return [engine.label(one) for one in (given, scope)], engine.resolver.failures

    labels, failures = run(app, ask())
    assert failures == 0
    known = {one.label for one in visits_of(module.SITE)}
    assert set(labels) <= known
