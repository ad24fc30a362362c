"""Apps that compress, cache and handle formats in other places as well."""

import litestar
from aiocache import SimpleMemoryCache
from aiocache.serializers import JsonSerializer
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import SerialMiddleware
from tests.apps.strange import bare


@litestar.get("/", cache=60)
async def cached() -> dict[str, int]:
    return {str(number): number for number in range(1000)}


litestar_app = litestar.Litestar(
    [cached],
    middleware=[DefineMiddleware(SerialMiddleware, report_path="/-/timing", metrics_path="/")],
    compression_config=CompressionConfig(backend="gzip", minimum_size=10),
    openapi_config=None,
)
litestar_wrapped = SerialMiddleware(
    litestar.Litestar([cached], openapi_config=None), report_path="/-/timing"
)


async def page(request):
    return PlainTextResponse("page " * 1000)


inner = Starlette(routes=[Route("/page", page)])
inner.add_middleware(GZipMiddleware)
inner.add_middleware(SerialMiddleware)
outer = Starlette(routes=[Mount("/inner", inner), Route("/{path:path}", page)])
outer.add_middleware(SerialMiddleware, report_path="/-/report")


async def stuck(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})


stuck = SerialMiddleware(stuck)
off = SerialMiddleware(bare, enabled=False)
users = SerialMiddleware(
    bare, cache_url="memory://", routes={"/me": {"cache_partition": "cookie:sid"}}
)


def __getattr__(name):
    if name != "refused":
        raise AttributeError(name)
    store = SimpleMemoryCache(serializer=JsonSerializer())
    return SerialMiddleware(bare, store=store)
