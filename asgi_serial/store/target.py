"""Turn the user's store (a URL, a client, a cache) into an aiocache cache, or leave it a `Store`.

Only this module imports aiocache. It transports bytes, without a serializer, plugins, a default
lifetime or its own time-outs (`Guard` has one).
"""

import copy
import sys
from inspect import iscoroutinefunction
from typing import Any

from aiocache.backends.memory import SimpleMemoryBackend, SimpleMemoryCache  # type: ignore[import-untyped]
from aiocache.base import BaseCache  # type: ignore[import-untyped]
from aiocache.serializers import NullSerializer  # type: ignore[import-untyped]

from asgi_serial.concurrency.loops import Opened
from asgi_serial.errors import ConfigurationError
from asgi_serial.store.base import STORE_METHODS
from asgi_serial.store.drivers import (
    AiocacheDriver,
    Driver,
    MemcachedDriver,
    RedisDriver,
    StoreDriver,
)
from asgi_serial.store.memcached_pool import MemcachedPool
from asgi_serial.store.redis_address import client_at
from asgi_serial.store.redis_clients import max_connections_of, renew_client
from asgi_serial.store.url import StoreAddress

_MEMCACHED_CONNECTIONS = 8
# The default of redis-py 8. Its releases 5 and 6 would open a connection for each call of a burst.
_MOST_CALLS = 100
_REDIS_COMMANDS = ("getrange", "set", "delete", "expire", "incrby", "eval", "pipeline")


def cache_at(address: StoreAddress, max_value_bytes: int) -> Any:
    """Return an aiocache cache for a URL, without connecting.

    Raises: ConfigurationError if a package is missing.
    """
    if address.kind == "memory":
        return SimpleMemoryCache(serializer=NullSerializer(encoding=None))
    if address.kind == "memcached":
        return _memcached_at(address)
    try:
        client = client_at(address, max_value_bytes)
    except ImportError as error:
        raise _missing("redis") from error
    return _redis_cache(client)


def _memcached_at(address: StoreAddress) -> Any:
    try:
        from aiocache.backends.memcached import MemcachedCache  # type: ignore[import-untyped]
    except ImportError as error:
        raise _missing("memcached") from error
    ((host, port),) = address.servers
    return MemcachedCache(
        NullSerializer(encoding=None),
        endpoint=host,
        port=port,
        pool_size=_MEMCACHED_CONNECTIONS,
    )


def _missing(extra: str) -> ConfigurationError:
    return ConfigurationError(
        f"{extra} as a store needs a package that is not installed; "
        f'install it with: pip install "asgi-serial[{extra}]"'
    )


def cache_of(target: object) -> Any:
    """Return the aiocache cache for the user's cache or client. Raises: ConfigurationError."""
    cache = _redis_cache(target) if _speaks_redis(target) else target
    if is_store(cache):
        return cache
    if not isinstance(cache, BaseCache):
        raise ConfigurationError(
            f"the store is of {type(target)!r}; expected a URL, an aiocache cache, an "
            "asynchronous client with the methods of redis.asyncio.Redis, or an object with the "
            f"coroutine methods of asgi_serial.Store: {', '.join(STORE_METHODS)}."
        )
    _check_plain(cache)
    if _is_of(cache, "RedisBackend") and _decodes(cache.client):
        raise ConfigurationError(
            f"the store is of {type(cache.client)!r} and decodes responses; "
            "expected decode_responses=False."
        )
    return cache


def is_store(target: object) -> bool:
    """Whether an object has the methods of `Store`; an aiocache cache has no `get_many`."""
    return not isinstance(target, type) and all(
        iscoroutinefunction(getattr(target, name, None)) for name in STORE_METHODS
    )


def is_shared(cache: Any) -> bool:
    """Whether other processes may use the same store: all but those in this one's memory."""
    return not isinstance(cache, SimpleMemoryBackend)


def _check_plain(cache: Any) -> None:
    serializer = cache.serializer
    is_plain = type(serializer) is NullSerializer and (
        serializer.encoding is None or isinstance(cache, SimpleMemoryBackend)
    )
    if not is_plain:
        raise ConfigurationError(
            f"the cache {cache!r} has the serializer {type(serializer).__name__}"
            f"(encoding={serializer.encoding!r}), which changes the bytes that are stored; "
            "expected serializer=NullSerializer(encoding=None)."
        )
    if cache.plugins:
        raise ConfigurationError(
            f"the cache {cache!r} has the plugins {cache.plugins!r}, which would not be run; "
            "expected none."
        )


def _redis_cache(client: Any) -> Any:
    try:
        from aiocache.backends.redis import RedisCache  # type: ignore[import-untyped]
    except ImportError as error:
        raise _missing("redis") from error
    cache = RedisCache(NullSerializer(encoding=None))
    cache.client = client
    return cache


def _speaks_redis(target: object) -> bool:
    """Whether an object has the methods of redis-py's asynchronous clients.

    Synchronous clients have the same methods, but would block the event loop.
    """
    return iscoroutinefunction(getattr(target, "execute_command", None)) and all(
        callable(getattr(target, name, None)) for name in _REDIS_COMMANDS
    )


def _decodes(client: Any) -> bool:
    return hasattr(client, "get_encoder") and bool(client.get_encoder().decode_responses)


def _is_of(cache: object, name: str) -> bool:
    """Whether a cache inherits from the aiocache class of this name, without importing it."""
    return any(
        cls.__name__ == name and cls.__module__.startswith("aiocache.")
        for cls in type(cache).__mro__
    )


def refusals_of(cache: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions of a client that do not mean that its server is unreachable."""
    if not _is_of(cache, "RedisBackend"):
        return ()
    packages = {cls.__module__.partition(".")[0] for cls in type(cache.client).__mro__}
    modules = [sys.modules.get(f"{package}.exceptions") for package in packages | {"redis"}]
    # MaxConnectionsError: the call was not made, because all connections of the client are in use.
    found = [
        getattr(module, name, None)
        for module in modules
        for name in ("ResponseError", "MaxConnectionsError")
    ]
    return tuple(error for error in found if error is not None)


def takes_batches(cache: Any) -> bool:
    """Whether the driver of a cache makes several writes by one call."""
    return _is_of(cache, "RedisBackend")


def calls_at_once(cache: Any) -> int:
    """Return the number of concurrent calls that the connections of one event loop can carry."""
    if _is_of(cache, "MemcachedBackend"):
        return int(cache.pool_size)
    if not _is_of(cache, "RedisBackend"):
        return _MOST_CALLS
    return min(max_connections_of(cache.client) or _MOST_CALLS, _MOST_CALLS)


def open_driver(template: Any, max_value_bytes: int) -> Opened[Driver]:
    """Return a driver for a copy of the template with its own connections, and how to close them.

    If the template cannot be copied, the driver uses the template itself, and nothing is closed.
    """
    if _is_of(template, "MemcachedBackend"):
        cache = copy.copy(template)
        cache.client = copy.copy(template.client)
        cache.client._pool = MemcachedPool(
            template.endpoint,
            template.port,
            size=template.pool_size,
            max_value_bytes=max_value_bytes,
        )
        return MemcachedDriver(cache), cache.client.close
    if is_store(template):
        return StoreDriver(template), None
    if not _is_of(template, "RedisBackend"):
        return AiocacheDriver(template), None
    renewed = renew_client(template.client)
    if renewed is None:
        return RedisDriver(template, max_value_bytes, refusals_of(template)), None
    cache = copy.copy(template)
    cache.client = renewed.client
    return RedisDriver(cache, max_value_bytes, refusals_of(cache), renewed.reconnect), renewed.close
