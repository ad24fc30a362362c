"""The peers, as their own documentation sets them up."""

from collections.abc import Callable

import anysqlite
from aiocache import SimpleMemoryCache
from brotli_asgi import BrotliMiddleware
from hishel import AsyncSqliteStorage
from hishel.asgi import ASGICacheMiddleware
from msgpack_asgi import MessagePackMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette_caches.middleware import CacheMiddleware
from starlette_compress import CompressMiddleware
from timing_asgi import TimingClient, TimingMiddleware
from timing_asgi.integrations import StarletteScopeToName

from asgi_serial.types import ASGIApp


class Metrics(TimingClient):
    """Takes the metrics of timing-asgi, and counts them."""

    emitted = 0

    def timing(self, metric_name: str, timing: float, tags: list[str]) -> None:
        self.emitted += 1


def compressed(app: ASGIApp, **options: int) -> ASGIApp:
    """The app behind starlette-compress."""
    return CompressMiddleware(app, **options)


def by_gzip_middleware(app: ASGIApp, level: int) -> ASGIApp:
    """The app behind Starlette's own compression."""
    return GZipMiddleware(app, compresslevel=level)


def by_brotli_asgi(app: ASGIApp, quality: int) -> ASGIApp:
    """The app behind brotli-asgi."""
    return BrotliMiddleware(app, quality=quality)


def packed(app: ASGIApp) -> ASGIApp:
    """The app behind msgpack-asgi."""
    return MessagePackMiddleware(app)


def timed(app: ASGIApp, metrics: Metrics, *, by_route: bool = False) -> ASGIApp:
    """The app behind timing-asgi; `by_route`: with the names of Starlette's routes."""
    namer = StarletteScopeToName("bench", app) if by_route else None
    return TimingMiddleware(app, metrics, namer)


def stacked(app: ASGIApp, metrics: Metrics, **options: int) -> ASGIApp:
    """The app behind what does the work of asgi_serial but for the cache."""
    return timed(compressed(packed(app), **options), metrics)


def in_starlette_caches(app: ASGIApp) -> tuple[ASGIApp, Callable[[], bool]]:
    """The app behind starlette-caches, and whether its cache holds anything."""
    cache = SimpleMemoryCache(ttl=3600)
    return CacheMiddleware(app, cache=cache), lambda: bool(cache._cache)


async def in_hishel(app: ASGIApp) -> ASGIApp:
    """The app behind hishel, with its database in memory."""
    connection = await anysqlite.connect(":memory:", check_same_thread=False)
    return ASGICacheMiddleware(app, AsyncSqliteStorage(connection=connection))
