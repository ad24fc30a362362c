"""The manager: models to payloads and back, from plain code and from coroutines alike."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from hashlib import blake2b
from secrets import token_bytes
from typing import Any, Self, TypeVar, cast

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from asgi_serial.serialization.cached import CachedSerializationManager
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.environment import find_pickle_key
from asgi_serial.serialization.http_responses import respond
from asgi_serial.serialization.performance_report import build_report, summarize
from asgi_serial.serialization.profiler import SerializationProfiler
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import Store

M = TypeVar("M")

_STORE_METHODS = ("get", "set", "delete", "close", "statistics")


class OptimizedSerializationManager:
    """Writes models as payloads and reads them back.

    It needs no start and no event loop, and may be shared by threads and by several loops: nothing
    in it belongs to one. `config` is the manager's own copy: what is assigned to its fields holds
    from the next call on, and what was written before can still be read.

    `store` is a second level for what is kept: a `Store`, a URL, or an aiocache cache; without it
    `config.cache_url` says where it is, if anywhere. `environ` is looked at for the settings where
    no config is given, and for the key of pickles where the config has none.
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
        """What the manager goes by; assign to its fields, or another config in its place."""
        return self._config

    @config.setter
    def config(self, config: SerializationConfig) -> None:
        self._config = config.watched(self._reconfigure)
        self._reconfigure()

    def _reconfigure(self) -> None:
        key = find_signing_key(self._config, self._environ)
        self.cached_manager.configure(self._config, key)

    def _open_store(self, store: object) -> Store | None:
        if all(hasattr(store, name) for name in _STORE_METHODS):
            return cast(Store, store)
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
        """Connect to the store, if there is one; without this, the first look-up does."""
        store = self.cached_manager.cache_manager.store
        if store is not None:
            await store.get("start")

    async def stop(self) -> None:
        """Close the connections to the store; the manager can still be used."""
        store = self.cached_manager.cache_manager.store
        if store is not None:
            await store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Started inside, stopped after: `FastAPI(lifespan=manager.lifespan)`."""
        async with self:
            yield

    async def serialize_model(
        self,
        model: Any,
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
        *,
        compress: bool = True,
    ) -> bytes:
        """The payload of a model in a format, or in the config's default one.

        With `cache_key` the caller says that the model is the one that was, or will be, serialized
        under this key: where a payload is kept under it, for this class, format and config, that
        is what is returned. Without, nothing is kept but the compressed forms of documents that
        repeat. Raises: FormatError, where the model could not be read back; ValueError.
        """
        return await self.cached_manager.serialize(
            model, format, cache_key=cache_key, compress=compress
        )

    async def deserialize_model(
        self,
        data: bytes | bytearray | memoryview | str,
        model: type[M],
        format: SerializationFormat | str | None = None,
        cache_key: str | None = None,
    ) -> M:
        """The instance of `model` in a payload, compressed or not.

        Without a format the payload says which it is; a pickle is read where the default format
        is PICKLE only. `cache_key` is taken for symmetry: what is kept is found by its bytes.
        Raises: ValidationError for any bytes that hold none; TypeError; ValueError.
        """
        return await self.cached_manager.deserialize(data, model, format)

    def serialize_sync(
        self,
        model: Any,
        format: SerializationFormat | str | None = None,
        *,
        compress: bool = True,
    ) -> bytes:
        """The same as `serialize_model` without a key; also inside a running loop."""
        return self.cached_manager.pipeline.serialize(model, format, compress=compress)

    def deserialize_sync(
        self,
        data: bytes | bytearray | memoryview | str,
        model: type[M],
        format: SerializationFormat | str | None = None,
    ) -> M:
        """The same as `deserialize_model`; also inside a running loop."""
        return self.cached_manager.pipeline.deserialize(data, model, format)

    def response(self, model: Any, request: Request, *, status_code: int = 200) -> Response:
        """A Starlette response with a model in JSON or MessagePack, as the client prefers."""
        return respond(model, request, status_code=status_code)

    def get_stats(self) -> dict[str, Any]:
        """Counts of caches and operations as plain data; docs/library.md lists the keys."""
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
        """What operations cost, by operation and by model, and what that suggests."""
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
    """A manager that goes by `config`, or by the environment; see OptimizedSerializationManager.

    Raises: ConfigurationError.
    """
    return OptimizedSerializationManager(config, store=store, environ=environ)


def find_signing_key(config: SerializationConfig, environ: Mapping[str, str]) -> bytes:
    """What pickles are signed with: the config's key, the environment's, or this process's own.

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
    """A key that all managers of this process share, and no other process has."""
    return token_bytes(32)
