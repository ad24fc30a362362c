"""The pages for those who come from another library name all of its options, and ours."""

import inspect
import re

import cashews
import pytest
from brotli_asgi import BrotliMiddleware
from cashews.contrib import fastapi as cashews_fastapi
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_cache import FastAPICache
from fastapi_cache.decorator import cache as fastapi_cache
from litestar import get
from litestar.config.compression import CompressionConfig
from litestar.config.response_cache import ResponseCacheConfig
from prometheus_fastapi_instrumentator import Instrumentator, metrics
from starlette_compress import CompressMiddleware

from asgi_serial import RoutePolicy, Settings
from tests.engine.driver import awaited
from tests.pages import blocks_of, read_page, run_program

from .asking import ask, part_of_cache, serving

Cache = cashews.Cache
# The parameters that are options: not the app, nor what other options stand for.
OPTIONS = {
    "gzip-middleware": [GZipMiddleware],
    "starlette-compress": [CompressMiddleware],
    "brotli-asgi": [BrotliMiddleware],
    "fastapi-cache": [FastAPICache.init, fastapi_cache],
    "cashews": [Cache.__call__, Cache.early, Cache.soft, Cache.failover, Cache.hit],
    "litestar-response-cache": [ResponseCacheConfig, CompressionConfig],
    "prometheus-fastapi-instrumentator": [
        Instrumentator,
        Instrumentator.instrument,
        Instrumentator.expose,
    ],
}
NO_OPTIONS = {"self", "app", "backend", "kwargs"}
# Written in another way on the page, or the same for all decorators of cashews.
ELSEWHERE = {"cashews": {"exceptions", "prefix"}, "prometheus-fastapi-instrumentator": {"kwargs"}}


def named_in(page):
    """The words that stand in code in the tables of a page."""
    rows = [line for line in read_page(page).splitlines() if line.startswith("|")]
    code = " ".join(re.findall(r"`([^`]+)`", "\n".join(rows)))
    return set(re.findall(r"\w+", code))


@pytest.mark.parametrize(
    ("page", "option"),
    [
        (page, option)
        for page, sources in OPTIONS.items()
        for source in sources
        for option in inspect.signature(source).parameters
        if option not in NO_OPTIONS | ELSEWHERE.get(page, set())
    ],
)
def test_the_page_names_the_option(page, option):
    assert option in named_in(page)


def test_the_page_of_litestar_names_the_options_of_a_handler():
    options = [name for name in inspect.signature(get.__init__).parameters if "cache" in name]
    assert set(options) == {"cache", "cache_control", "cache_key_builder"}
    assert set(options) <= named_in("litestar-response-cache")


def test_the_page_of_cashews_names_all_of_its_decorators_and_middlewares():
    decorators = [
        name
        for name, each in vars(cashews.wrapper.decorators.DecoratorsWrapper).items()
        if not name.startswith("_") and inspect.isfunction(each)
    ]
    middlewares = [name for name in cashews_fastapi.__all__ if name.endswith("Middleware")]
    assert {*decorators, *middlewares} - {"set_default_fail_exceptions"} <= named_in("cashews")


def test_the_page_of_the_instrumentator_names_its_default_metrics():
    written = set(re.findall(r"`(http_\w+)", inspect.getdoc(metrics.default)))
    assert len(written) == 5
    assert written <= named_in("prometheus-fastapi-instrumentator")


@pytest.mark.parametrize(
    ("page", "count"), [("gzip-middleware", 2), ("starlette-compress", 4), ("brotli-asgi", 2)]
)
def test_the_defaults_of_the_page_are_those_of_the_library(page, count):
    (source,) = OPTIONS[page]
    written = re.findall(r"^\| `(\w+)`[^|]* \| (\d+) \| ", read_page(page), re.M)
    assert len(written) == count
    parameters = inspect.signature(source).parameters
    assert [(name, str(parameters[name].default)) for name, _ in written] == written


@pytest.mark.parametrize("page", OPTIONS)
def test_the_settings_of_the_page_are_ours(page):
    used = set(
        re.findall(
            r"\b((?:cache|timing|metrics|gzip|brotli|zstd|report)_\w+)=",
            "\n".join(blocks_of(read_page(page))[1:]),
        )
    )
    assert used <= {*Settings.model_fields, *RoutePolicy._fields}


BODY = b"[" + b"1234567890," * 300 + b"0]"
COMPRESSING = ("gzip-middleware", "starlette-compress", "brotli-asgi")
ROUTE = """
from starlette.responses import Response

async def numbers(request: object) -> Response:
    return Response(BODY, media_type="application/json")

app.add_route("/numbers", numbers)
app.add_route("/export", numbers)
"""


@pytest.mark.parametrize("page", COMPRESSING)
@awaited
async def test_both_apps_compress_in_a_coding_that_both_know(page):
    said = []
    for block in blocks_of(read_page(page)):
        module = await run_program(f"BODY = {BODY!r}\n{block}{ROUTE}")
        async with serving(module.app) as client:
            answers = [
                await ask(client, "GET", path, accept_encoding="gzip, br;q=0.9")
                for path in ("/numbers", "/export")
            ]
        assert [one.content for one in answers] == [BODY, BODY]
        said.append([one.headers.get("content-encoding") for one in answers])
    # brotli-asgi reads no weights, and its page leaves out the path.
    expected = {"brotli-asgi": [["br", None], ["gzip", None]]}
    assert said == expected.get(page, [["gzip", "gzip"]] * 2)


@pytest.mark.parametrize("page", ["fastapi-cache", "cashews", "litestar-response-cache"])
@awaited
async def test_both_apps_answer_alike_and_ours_is_a_hit(page):
    path = "/prices/EUR" if page == "cashews" else "/prices"
    answers = []
    for block in blocks_of(read_page(page))[:2]:
        FastAPICache.reset()
        async with serving((await run_program(block)).app) as client:
            answers.append([await ask(client, "GET", path) for _ in "12"])
    before, after = answers
    assert [one.json() for one in before] == [one.json() for one in after] == [{"EUR": 1.08}] * 2
    assert [part_of_cache(one) for one in after] == ["stored", "hit"]


@pytest.mark.parametrize("page", ["fastapi-cache", "cashews"])
@awaited
async def test_what_dropped_the_old_result_drops_the_response(page):
    path = "/prices/EUR" if page == "cashews" else "/prices"
    module = await run_program(blocks_of(read_page(page))[1])
    async with serving(module.app) as client:
        await ask(client, "GET", path)
        await module.prices_have_changed()
        assert part_of_cache(await ask(client, "GET", path)) == "stored"


@pytest.mark.parametrize("page", ["fastapi-cache", "cashews"])
@awaited
async def test_a_cached_function_is_called_again_after_a_purge(page):
    program = blocks_of(read_page(page))[-1]
    module = await run_program(
        program.replace("return 1.08", "calls.append(currency); return 1.08")
    )
    module.calls = calls = []
    assert [await module.load_rate("EUR") for _ in "12"] == [1.08, 1.08]
    assert calls == ["EUR"]
    await module.rates_have_changed()
    assert await module.load_rate("EUR") == 1.08
    await module.load_rate.invalidate("EUR")
    assert await module.load_rate("EUR") == 1.08
    assert calls == ["EUR"] * 3


@awaited
async def test_the_metrics_of_the_page_are_those_that_are_served():
    served = []
    for block in blocks_of(read_page("prometheus-fastapi-instrumentator")):
        module = await run_program(f"{block}\napp.add_api_route('/prices', lambda: 1)\n")
        async with serving(module.app) as client:
            await ask(client, "GET", "/prices")
            served.append((await ask(client, "GET", "/metrics", host="localhost")).text)
    before, after = served
    assert 'http_requests_total{handler="/prices",method="GET",status="2xx"} 1.0' in before
    ours = re.findall(r"http_server_\w+", read_page("prometheus-fastapi-instrumentator"))
    assert len(set(ours)) == 4
    assert all(name in after for name in ours)
