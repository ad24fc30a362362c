"""The manager: models to payloads and back, in synchronous and asynchronous code."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from hashlib import blake2b
from secrets import token_bytes
from typing import Any, Self, TypeVar, Unpack, cast, overload

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from asgi_serial.serialization.cached_manager import CachedSerializationManager
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.environment import find_pickle_key
from asgi_serial.serialization.functions.values import check_value_key
from asgi_serial.serialization.http_responses import respond
from asgi_serial.serialization.options import WriteOptions
from asgi_serial.serialization.performance_report import build_report, summarize
from asgi_serial.serialization.profiler import SerializationProfiler
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import GuardedStore

M = TypeVar("M")

_STORE_METHODS = ("get", "set", "delete", "close", "statistics")


class OptimizedSerializationManager:
    """Writes models as payloads and reads them.

    It needs no start and no event loop, and may be shared by threads and event loops. `config` is
    the manager's own copy: assignments to its fields apply from the next call on, and payloads that
    were written before can still be read.

    `store` is the second level of the cache: a `Store`, a URL or an aiocache cache. It defaults to
    `config.cache_url`. `environ` provides the configuration if `config` is None, and the key of
    pickles if the configuration has none.
    """

    def __init__(
        self,
        config: SerializationConfig | None = None,
        *,
        store: object = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        given = SerializationConfig.from_env(self._environ) if config is None else config
        self._config = given.watched(self._reconfigure)
        self.profiler = SerializationProfiler()
        self.cached_manager = CachedSerializationManager(
            self._config,
            find_signing_key(self._config, self._environ),
            self.profiler,
            self._open_store(store),
        )

    @property
    def config(self) -> SerializationConfig:
        """The configuration; assign to its fields, or replace it by another one."""
        return self._config

    @config.setter
    def config(self, config: SerializationConfig) -> None:
        self._config = config.watched(self._reconfigure)
        self._reconfigure()

    def _reconfigure(self) -> None:
        key = find_signing_key(self._config, self._environ)
        self.cached_manager.configure(self._config, key)

    def _open_store(self, store: object) -> GuardedStore | None:
        if all(hasattr(store, name) for name in _STORE_METHODS):
            return cast(GuardedStore, store)
        url = self._config.cache_url
        target = url.get_secret_value() if store is None and url is not None else store
        if target is None:
            return None
        return open_store(
            target,
            namespace="asgi_serial_model",
            retry=lambda: (self._config.max_retries, self._config.retry_delay),
        )

    async def start(self) -> None:
        """Connect to the store, if any; otherwise the first look-up connects."""
        store = self.cached_manager.cache_manager.store
        if store is not None:
            await store.get("start")

    async def stop(self) -> None:
        """Close the connections to the store; the manager remains usable."""
        store = self.cached_manager.cache_manager.store
        await self.cached_manager.values.disconnect()
        if store is not None:
            await store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Start and stop the manager with an app: `FastAPI(lifespan=manager.lifespan)`."""
        async with self:
            yield

    async def serialize_model(
        self,
        model: Any,
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
        *,
        compress: bool = True,
        as_type: Any = None,
        **options: Unpack[WriteOptions],
    ) -> bytes:
        """Return the payload of a value in a format, by default in `config.default_format`.

        The value is a model, a dataclass or plain data, such as a list of models. It is written as
        its class says, or as `as_type` says, which may be anything that a TypeAdapter takes.
        `include`, `exclude`, `by_alias`, `exclude_none`, `exclude_unset`, `exclude_defaults`,
        `context` and `round_trip` are Pydantic's options.

        `cache_key` identifies the value's content: a payload that is cached under the same key,
        type, options, format and configuration is returned without looking at the value. Without a
        key, only the compressed forms of repeated documents are cached.

        Raises: FormatError if the value cannot be written, or is refused by `check_round_trip`;
            ValueError for an unknown format; TypeError for an unknown option or type.
        """
        return await self.cached_manager.serialize(
            model, format, cache_key=cache_key, compress=compress, as_type=as_type, options=options
        )

    @overload
    async def deserialize_model(
        self,
        data: bytes | bytearray | memoryview | str,
        model: type[M],
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
    ) -> M: ...
    @overload
    async def deserialize_model(
        self,
        data: bytes | bytearray | memoryview | str,
        model: Any,
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
    ) -> Any: ...

    async def deserialize_model(
        self,
        data: bytes | bytearray | memoryview | str,
        model: Any,
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
    ) -> Any:
        """Return the value in a payload, which may be compressed.

        `model` is a model class, or anything else that a TypeAdapter takes: `list[Order]`, a union,
        a dataclass, a TypedDict.

        Without `format`, it is detected; but a pickle is read only if the default format is PICKLE.
        `cache_key` is accepted for symmetry and not used: cached instances are found by the bytes.

        Raises: ValidationError for bytes that are not a payload of the type; TypeError if the data
            is not bytes, or Pydantic cannot read the type; ValueError for an unknown format.
        """
        return await self.cached_manager.deserialize(data, model, format)

    @overload
    async def get_model(
        self, key: str, as_type: type[M], *, format: SerializationFormat | str | None = None
    ) -> M | None: ...
    @overload
    async def get_model(
        self, key: str, as_type: Any, *, format: SerializationFormat | str | None = None
    ) -> Any: ...

    async def get_model(
        self, key: str, as_type: Any, *, format: SerializationFormat | str | None = None
    ) -> Any:
        """Return the value that `set_model` or a function with `@cached` has stored under a key.

        It is a new value of the type, which is anything that a TypeAdapter takes. None means that
        there is none, or one of another type, or of a type that has changed since. A pickle is read
        only if `format` or the default is PICKLE.

        Raises: TypeError if the key is not text, or Pydantic cannot read the type.
        """
        return await self.cached_manager.get_value(key, as_type, format)

    async def set_model(
        self,
        key: str,
        value: Any,
        ttl: float | str | timedelta | None = None,
        *,
        as_type: Any = None,
        format: SerializationFormat | str | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        """Store a value for `ttl`, by default for `cache_ttl`, in memory and in the store.

        It is written as its class says, or as `as_type` says, by which `get_model` finds it.
        `purge` of one of its tags invalidates it.

        What is stored is what Pydantic writes: NaN and infinities become None, and secrets their
        masks, unless the format is PICKLE. With `check_round_trip` such values are refused.

        Raises: ValidationError if it is not of the type; FormatError if it cannot be written or
            read back; ConfigurationError for an invalid ttl; ValueError for an invalid tag.
        """
        await self.cached_manager.set_value(key, value, ttl, as_type, format, tags)

    async def delete(self, key: str) -> None:
        """Delete the value of a key, in memory, in the store, and in other processes.

        A call that is making it at the moment does not store its result.
        """
        await self.cached_manager.values.drop(check_value_key(key))

    async def purge(self, *tags: str) -> bool:
        """Delete all values with one of these tags, here and in other processes.

        Return whether others have been told; if not, call it again. Raises: ValueError.
        """
        return await self.cached_manager.purge_values(tags)

    def serialize_sync(
        self,
        model: Any,
        format: SerializationFormat | str | None = None,
        *,
        compress: bool = True,
        as_type: Any = None,
        **options: Unpack[WriteOptions],
    ) -> bytes:
        """Do the same as `serialize_model` without a key, also within a running event loop."""
        return self.cached_manager.pipeline.serialize(
            model, format, options, compress=compress, as_type=as_type
        )

    @overload
    def deserialize_sync(
        self,
        data: bytes | bytearray | memoryview | str,
        model: type[M],
        format: SerializationFormat | str | None = None,
    ) -> M: ...
    @overload
    def deserialize_sync(
        self,
        data: bytes | bytearray | memoryview | str,
        model: Any,
        format: SerializationFormat | str | None = None,
    ) -> Any: ...

    def deserialize_sync(
        self,
        data: bytes | bytearray | memoryview | str,
        model: Any,
        format: SerializationFormat | str | None = None,
    ) -> Any:
        """Do the same as `deserialize_model`, also within a running event loop."""
        return self.cached_manager.pipeline.deserialize(data, model, format)

    def response(self, model: Any, request: Request, *, status_code: int = 200) -> Response:
        """Return a Starlette response in JSON or another format, as the client prefers."""
        return respond(model, request, status_code=status_code)

    def get_stats(self) -> dict[str, Any]:
        """Return counts of caches and operations as plain data.

        docs/explanation/library.md lists the keys.
        """
        cached, snapshot = self.cached_manager, self.profiler.snapshot()
        validation = cached.validation_cache
        return {
            "cached_manager": {
                "cache": cached.statistics(),
                "model_serializer": {
                    **summarize(snapshot),
                    "validation_cache_hits": validation.hits,
                    "validation_cache_misses": validation.misses,
                    "validation_cache_hit_rate": validation.hit_rate,
                },
            },
            "events": cached.events,
        }

    def get_performance_report(self) -> dict[str, Any]:
        """Return the costs by operation and by model, with recommendations."""
        cached = self.cached_manager
        validation = cached.validation_cache
        return build_report(
            self.profiler.snapshot(),
            cache={
                **cached.statistics(),
                "validation": {
                    "hits": validation.hits,
                    "misses": validation.misses,
                    "hit_rate": validation.hit_rate,
                },
            },
            level=cached.pipeline.packer.level,
            events=cached.events,
        )


def create_serialization_manager(
    config: SerializationConfig | None = None,
    *,
    store: object = None,
    environ: Mapping[str, str] | None = None,
) -> OptimizedSerializationManager:
    """Return a manager, configured by `config` or the environment.

    See `OptimizedSerializationManager` for the arguments.

    Raises: ConfigurationError.
    """
    return OptimizedSerializationManager(config, store=store, environ=environ)


def find_signing_key(config: SerializationConfig, environ: Mapping[str, str]) -> bytes:
    """Return the key for signing pickles: the config's, the environment's, or this process's own.

    Raises: ConfigurationError.
    """
    secret = config.pickle_key
    if secret is None:
        found = find_pickle_key(environ)
        if found is None:
            return _process_key()
        secret = SerializationConfig(pickle_key=SecretStr(found)).pickle_key
    assert secret is not None
    text = secret.get_secret_value().encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=32, person=b"asgi_serial:pkl").digest()


@cache
def _process_key() -> bytes:
    """Return a random key, the same for all managers of this process."""
    return token_bytes(32)
