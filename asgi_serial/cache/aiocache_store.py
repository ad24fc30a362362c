"""Any aiocache cache as a plain byte store: the one place that knows aiocache.

aiocache carries bytes here and nothing else: no serializer, no plugins, no default lifetime, and
none of its time-outs (`Guard` has its own).
"""

import copy
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import ceil, isfinite
from typing import Any

from aiocache.backends.memory import SimpleMemoryBackend, SimpleMemoryCache  # type: ignore[import-untyped]
from aiocache.base import BaseCache  # type: ignore[import-untyped]
from aiocache.serializers import NullSerializer  # type: ignore[import-untyped]

from asgi_serial.cache.guard import Guard, Retry, never_again
from asgi_serial.cache.loops import Opened, PerLoop
from asgi_serial.cache.memcached_pool import MemcachedPool
from asgi_serial.cache.store import Store
from asgi_serial.cache.store_url import StoreAddress, parse_store_url, shown_store_url
from asgi_serial.errors import ConfigurationError

# A longer lifetime is a date to Memcached, and long past.
_LONGEST_TTL_SECONDS = 30 * 24 * 3600
# One Redis answers some 100,000 commands a second: more connections only wait side by side.
_REDIS_CONNECTIONS = 32
_MEMCACHED_CONNECTIONS = 8


def open_store(
    target: object,
    *,
    timeout: float = 0.25,
    max_value_bytes: int = 1 << 20,
    namespace: str = "asgi_serial",
    clock: Callable[[], float] = time.monotonic,
    retry: Callable[[], Retry] = never_again,
) -> Store:
    """Give the store at a URL, or the one that an aiocache cache or a redis client stands for.

    Nothing is connected yet. Of a cache or a client only the settings are taken, and connections
    of the store's own are made from them for each event loop; one of a class that can not be
    made anew (a Redis Cluster, a cache of the user's own) is used as it is, in whichever loop
    calls, and is never closed here. `memory://` keeps what it is given without a bound. `retry`
    is asked after each call that failed.

    Raises: ConfigurationError.
    """
    if not (isfinite(timeout) and timeout > 0):
        raise ConfigurationError(f"timeout is {timeout!r}; expected seconds, more than 0.")
    if max_value_bytes < 1:
        raise ConfigurationError(f"max_value_bytes is {max_value_bytes!r}; expected at least 1.")
    # With the digest of a key, 32 characters, this stays within 64.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,31}", namespace):
        raise ConfigurationError(
            f"namespace is {namespace!r}; expected 1 to 31 letters, digits, '_', '.' or '-'."
        )
    if isinstance(target, str):
        cache, name = _cache_at(parse_store_url(target)), shown_store_url(target)
    else:
        cache, name = _cache_of(target), type(target).__name__
    return AiocacheStore(
        cache,
        name,
        timeout=timeout,
        max_value_bytes=max_value_bytes,
        namespace=namespace,
        clock=clock,
        retry=retry,
    )


class AiocacheStore:
    """A `Store` (its guarantees are there) over one aiocache cache; see `open_store`."""

    def __init__(
        self,
        cache: Any,
        name: str,
        *,
        timeout: float,
        max_value_bytes: int,
        namespace: str,
        clock: Callable[[], float],
        retry: Callable[[], Retry] = never_again,
    ) -> None:
        self._max_value_bytes = max_value_bytes
        self._prefix = f"{namespace}:"
        self._guard = Guard(
            name, timeout=timeout, refusals=_refusals_of(cache), clock=clock, retry=retry
        )
        self._clients = PerLoop(lambda: _renew(cache, max_value_bytes), close_seconds=timeout)
        self._is_redis = _is_named(cache, "RedisBackend")

    async def get(self, key: str) -> bytes | None:
        """Return the value; one over `max_value_bytes`, or of another type, is a miss.

        Redis sends no more than that and Memcached's answer is not read further; any other cache
        hands over the whole value, which is then dropped.
        """
        counters = self._guard.counters
        counters["gets"] += 1
        value = await self._guard.attempt(lambda: self._read(self._prefix + key))
        if not value:
            return None
        if not isinstance(value, bytes):
            counters["not_bytes"] += 1
            return None
        if len(value) > self._max_value_bytes:
            counters["oversized"] += 1
            return None
        counters["hits"] += 1
        return value

    async def _read(self, key: str) -> object:
        cache = await self._clients.get()
        if self._is_redis:
            # GETRANGE bounds what is sent; for a key that is not there it gives an empty string,
            # which no value of ours is.
            name = cache.build_key(key, cache.namespace)
            return await cache.raw("getrange", name, 0, self._max_value_bytes, timeout=None)
        return await cache.get(key, timeout=None)

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep the value; one over `max_value_bytes` takes away what was there before."""
        if len(value) > self._max_value_bytes:
            self._guard.counters["oversized"] += 1
            await self.delete(key)
            return
        self._guard.counters["sets"] += 1
        seconds = ceil(min(max(1.0, ttl), _LONGEST_TTL_SECONDS))
        await self._guard.attempt(lambda: self._write(self._prefix + key, value, seconds))

    async def _write(self, key: str, value: bytes, seconds: int) -> None:
        cache = await self._clients.get()
        if self._is_redis:
            # aiocache would send SETEX, which redis-py 8 warns of.
            name = cache.build_key(key, cache.namespace)
            await cache.raw("set", name, value, ex=seconds, timeout=None)
        else:
            await cache.set(key, value, ttl=seconds, timeout=None)

    async def delete(self, key: str) -> None:
        """Forget the value; a delete that fails is lost, and is not made up for later."""
        self._guard.counters["deletes"] += 1
        await self._guard.attempt(lambda: self._remove(self._prefix + key))

    async def _remove(self, key: str) -> None:
        cache = await self._clients.get()
        await cache.delete(key, timeout=None)

    def statistics(self) -> Mapping[str, int]:
        """Return the counters of `Guard`."""
        return dict(self._guard.counters)

    async def close(self) -> None:
        """Close the connections of this event loop, and have other loops close theirs."""
        with suppress(RuntimeError):  # another task is closing them just now
            await self._clients.close()


def _cache_at(address: StoreAddress) -> Any:
    """Give an aiocache cache with the settings of a URL, connected to nothing."""
    plain = NullSerializer(encoding=None)
    if address.kind == "memory":
        return SimpleMemoryCache(serializer=plain)
    if address.kind == "memcached":
        try:
            from aiocache.backends.memcached import MemcachedCache  # type: ignore[import-untyped]
        except ImportError as error:
            raise _missing("memcached") from error
        return MemcachedCache(
            plain,
            endpoint=address.host,
            port=address.port,
            pool_size=_MEMCACHED_CONNECTIONS,
        )
    try:
        from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
    except ImportError as error:
        raise _missing("redis") from error
    # RESP 2 spares the handshake of a protocol of which nothing is used; redis-py's own
    # time-outs would each cost a task for a command, and the guard has one around them all.
    settings: dict[str, Any] = {"socket_timeout": None, "protocol": 2}
    if address.is_encrypted:
        settings |= {"connection_class": SSLConnection, "ssl_check_hostname": True}
    pool = BlockingConnectionPool(
        _REDIS_CONNECTIONS,
        timeout=None,
        host=address.host,
        port=address.port,
        db=address.database,
        username=address.username,
        password=address.password,
        **settings,
    )
    return _redis_cache(Redis(connection_pool=pool))


def _missing(extra: str) -> ConfigurationError:
    return ConfigurationError(
        f"a {extra} store needs a package that is not installed; "
        f"install it by: pip install asgi_serial[{extra}]"
    )


def _redis_cache(client: Any) -> Any:
    from aiocache.backends.redis import RedisCache  # type: ignore[import-untyped]

    cache = RedisCache(NullSerializer(encoding=None))
    cache.client = client
    return cache


def _cache_of(target: object) -> Any:
    """Give the aiocache cache that the user's object is, or stands for."""
    if _is_named(target, "Redis", "RedisCluster"):
        target = _redis_cache(target)
    if not isinstance(target, BaseCache):
        raise ConfigurationError(
            f"the store is a {type(target).__name__}; expected a URL, an aiocache cache, "
            "or a client of redis.asyncio."
        )
    serializer = target.serializer
    is_plain = type(serializer) is NullSerializer and (
        serializer.encoding is None or isinstance(target, SimpleMemoryBackend)
    )
    if not is_plain:
        raise ConfigurationError(
            f"the cache {target!r} has the serializer {type(serializer).__name__}"
            f"(encoding={serializer.encoding!r}), which changes the bytes that are stored; "
            "expected serializer=NullSerializer(encoding=None)."
        )
    if target.plugins:
        raise ConfigurationError(
            f"the cache {target!r} has the plugins {target.plugins!r}, which are not run here; "
            "expected none."
        )
    if _is_named(target, "RedisBackend") and target.client.get_encoder().decode_responses:
        raise ConfigurationError(
            f"the redis client of {target!r} decodes what it reads; "
            "expected decode_responses=False."
        )
    return target


def _is_named(value: object, *names: str) -> bool:
    """Tell whether a class of aiocache or redis is among the value's, without importing it."""
    return any(
        cls.__name__ in names and cls.__module__.partition(".")[0] in ("aiocache", "redis")
        for cls in type(value).__mro__
    )


def _refusals_of(cache: Any) -> tuple[type[Exception], ...]:
    """Give the exceptions by which the client says that the server answered with an error."""
    if _is_named(cache, "RedisBackend"):
        from redis.exceptions import ResponseError

        return (ResponseError,)
    return ()


def _renew(template: Any, max_value_bytes: int) -> Opened[Any]:
    """Give a cache like the template with connections of its own, and what closes them.

    Where that can not be done it is the template, and nothing to close.
    """
    if _is_named(template, "MemcachedBackend"):
        cache = copy.copy(template)
        cache.client = copy.copy(template.client)
        cache.client._pool = MemcachedPool(
            template.endpoint,
            template.port,
            size=template.pool_size,
            max_value_bytes=max_value_bytes,
        )
        return cache, cache.client.close
    if _is_named(template, "RedisBackend"):
        from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis

        old = template.client.connection_pool
        settings = dict(old.connection_kwargs)
        if type(old) is BlockingConnectionPool:
            settings["timeout"] = old.timeout
        if type(old) in (ConnectionPool, BlockingConnectionPool):
            cache = copy.copy(template)
            pool = type(old)(
                connection_class=old.connection_class,
                max_connections=old.max_connections,
                **settings,
            )
            client = cache.client = Redis(connection_pool=pool)
            return cache, lambda: client.aclose(close_connection_pool=True)
    return template, None
