"""The peers, as their own documentation sets them up."""

from collections.abc import Callable

from aiocache import SimpleMemoryCache
from msgpack_asgi import MessagePackMiddleware
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


def compressed(app: ASGIApp, **options: object) -> ASGIApp:
    """The app behind starlette-compress."""
    return CompressMiddleware(app, **options)


def timed(app: ASGIApp, metrics: Metrics, *, by_route: bool = False) -> ASGIApp:
    """The app behind timing-asgi; `by_route`: with the names of Starlette's routes."""
    namer = StarletteScopeToName("bench", app) if by_route else None
    return TimingMiddleware(app, metrics, namer)


def peer_stack(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """The app behind what does the work of asgi_serial but for the cache."""
    return timed(compressed(MessagePackMiddleware(app)), metrics)


def peer_cache(app: ASGIApp) -> tuple[ASGIApp, Callable[[], bool]]:
    """The app behind starlette-caches, and whether its cache holds anything."""
    cache = SimpleMemoryCache(ttl=3600)
    return CacheMiddleware(app, cache=cache), lambda: bool(cache._cache)
