"""The asynchronous manager: the pipeline with its caches."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from secrets import token_bytes
from time import perf_counter_ns
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from asgi_serial.cache.encodings import Encodings
from asgi_serial.cache.entry import Key
from asgi_serial.cache.memory import Memory
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.encoding import UNWRITABLE, unwritable
from asgi_serial.serialization.functions.value_type import ValueType, seconds_of, value_type
from asgi_serial.serialization.functions.values import (
    CachedValue,
    ValueCache,
    check_tags,
    check_value_key,
)
from asgi_serial.serialization.keyvalue import KeyValueCache, check_key
from asgi_serial.serialization.model_serializer import PydanticModelSerializer
from asgi_serial.serialization.options import WriteOptions, check_options, key_of_options
from asgi_serial.serialization.pipeline import Pipeline, Realm, Shared, WriteRoute, as_bytes
from asgi_serial.serialization.profiler import SerializationProfiler
from asgi_serial.serialization.validation_cache import ValidationCache
from asgi_serial.store.base import GuardedStore

M = TypeVar("M")
V = TypeVar("V")

# One entry may take up to an eighth of the memory.
_LARGEST_SHARE = 8
_READABLE = frozenset(one for one in SerializationFormat if one is not SerializationFormat.PICKLE)


class CachedSerializationManager:
    """The pipeline of the current configuration, with the caches that outlive it."""

    def __init__(
        self,
        config: SerializationConfig,
        pickle_key: bytes,
        profiler: SerializationProfiler,
        store: GuardedStore | None,
    ) -> None:
        self._config = config
        self._memory: Memory[object] = Memory(config.cache_max_bytes)
        self.cache_manager = KeyValueCache(
            self._memory,
            ttl_seconds=lambda: self._config.cache_ttl,
            is_enabled=lambda: self._config.enable_caching,
        )
        """A cache of bytes for the application's own use: `await get(key)`, `set`, `delete`."""
        self.cache_manager.store = store
        self.values = ValueCache(self._memory, store)
        """The cache of typed values, for `@cached` and `get_model`."""
        self._shared = Shared(
            Encodings(self._memory, config.cache_max_bytes // _LARGEST_SHARE),
            ValidationCache(self._memory),
            Counter(),
            profiler,
        )
        self.configure(config, pickle_key)

    def configure(self, config: SerializationConfig, pickle_key: bytes) -> None:
        """Apply a configuration, or the changes to the current one."""
        self._config = config
        self._memory.max_bytes = config.cache_max_bytes
        self._memory.max_items = config.cache_max_size
        self.pipeline = Pipeline(config, pickle_key, self._shared, _realm_of(config, pickle_key))

    @property
    def model_serializer(self) -> PydanticModelSerializer:
        """The serializer of the current configuration."""
        return self.pipeline.models

    async def serialize(
        self,
        value: Any,
        format: SerializationFormat | str | None,
        *,
        cache_key: str | None,
        compress: bool,
        as_type: Any,
        options: WriteOptions,
    ) -> bytes:
        """Return the payload of a value, or the payload that is cached under `cache_key`."""
        pipeline = self.pipeline
        chosen = check_options(options) if options else {}
        route = pipeline.write_route(format, value, as_type)
        if cache_key is None or not pipeline.is_caching:
            return await self._make(value, route, chosen, compress=compress)
        key = _key_of(pipeline, cache_key, route, chosen, compress=compress)
        found = await self.cache_manager.read(key)
        if found is None:
            found = await self._make(value, route, chosen, compress=compress)
            await self.cache_manager.write(key, found, self._config.cache_ttl)
        return found

    async def _make(
        self, value: Any, route: WriteRoute, options: Mapping[str, Any], *, compress: bool
    ) -> bytes:
        pipeline = self.pipeline
        began_ns = perf_counter_ns()
        payload = document = pipeline.write(route, value, options)
        if compress and len(document) >= pipeline.packer.codec.offload_bytes:
            payload = await in_thread(lambda: pipeline.pack(route, document, compress=True))
        elif len(document) >= pipeline.look_bytes:
            payload = pipeline.pack(route, document, compress=compress)
        pipeline.note(route, began_ns, document, payload)
        return payload

    async def deserialize(
        self, data: Any, model: type[M], format: SerializationFormat | str | None
    ) -> M:
        """Return the value in a payload."""
        pipeline = self.pipeline
        payload = as_bytes(data)
        if not pipeline.opens_slowly(payload):
            return cast(M, pipeline.deserialize(payload, model, format))
        began_ns = perf_counter_ns()
        document = await in_thread(lambda: pipeline.open(payload, model))
        return cast(M, pipeline.read(document, model, format, began_ns))

    async def get_value(
        self, key: str, as_type: Any, format: SerializationFormat | str | None
    ) -> Any:
        """Return the value of a key, as a type says; None if there is none."""
        key, pipeline = check_value_key(key), self.pipeline
        type_ = value_type(pipeline, as_type, format)
        if not pipeline.is_caching:
            return None

        def type_of(shape: bytes) -> ValueType | None:
            if shape == type_.shape:
                return type_
            name = shape.partition(b" ")[0].decode("latin-1")
            # Whoever wrote the value must not be able to choose that it is unpickled.
            if name not in _READABLE:
                return None
            other = value_type(pipeline, as_type, name)
            return other if other.shape == shape else None

        found = self.values.find(key)
        other = None if found is None else type_of(found.shape)
        if found is not None and other is not None:
            with suppress(ValidationError):
                return self.values.give(key, found, other)
        loaded = await self.values.load(key, type_of, pipeline)
        return None if loaded is None else loaded[1]

    async def set_value(
        self,
        key: str,
        value: Any,
        ttl: Any,
        as_type: Any,
        format: SerializationFormat | str | None,
        tags: Iterable[str],
    ) -> None:
        """Store a value under a key."""
        key, pipeline, values = check_value_key(key), self.pipeline, self.values
        seconds = self._config.cache_ttl if ttl is None else seconds_of("ttl", ttl)
        type_ = value_type(pipeline, type(value) if as_type is None else as_type, format)
        try:
            document = type_.write(type_.convert(value))
        except UNWRITABLE as error:
            raise unwritable(type_.name, type_.format, error) from error
        await values.connect()
        now, state = values.clock(), values.state_of(key)
        expires = now + seconds
        found = CachedValue(document, type_.shape, born=now, expires=expires, kept_until=expires)
        found.tags = check_tags(tags)
        try:
            found.settle(type_)
        except ValidationError as error:
            raise unwritable(type_.name, type_.format, error) from error
        if seconds == 0:
            await values.drop(key)
        elif pipeline.is_caching and values.keep(key, found, state):
            await values.write(key, found, pipeline)

    async def purge_values(self, tags: Sequence[str]) -> bool:
        """Invalidate the values with one of these tags."""
        if not check_tags(tags):
            raise ValueError("purge() got no tag; expected one or more")
        return await self.values.purge(tags)

    @property
    def events(self) -> dict[str, int]:
        """The numbers of refusals and fallbacks, by reason."""
        return dict(self._shared.events)

    @property
    def validation_cache(self) -> ValidationCache:
        """The cache of instances."""
        return self._shared.validation

    def statistics(self) -> dict[str, Any]:
        """Return the sizes and hits of the caches."""
        encodings = self._shared.encodings
        return {
            **self.cache_manager.statistics(),
            "encodings": {"hits": encodings.hits, "misses": encodings.misses},
        }


def _realm_of(config: SerializationConfig, pickle_key: bytes) -> Realm:
    settings = (
        str(config.enable_compression and config.compression_codec),
        config.compression_level.value,
        str(config.compression_threshold),
        str(config.max_decoded_size),
        str(config.check_round_trip),
        # `pydantic_config` may hold functions, and other processes may have different ones. Random
        # bytes keep the payloads to this configuration.
        token_bytes(8) if config.pydantic_config else b"",
    )
    return Realm(settings, blake2b(pickle_key, digest_size=8).digest())


def _key_of(
    pipeline: Pipeline,
    cache_key: str,
    route: WriteRoute,
    options: Mapping[str, Any],
    *,
    compress: bool,
) -> Key:
    """Return the key of a payload. Raises: TypeError."""
    check_key(cache_key)
    signer = pipeline.realm.signer if route.format is SerializationFormat.PICKLE else b""
    written = (route.format.value, str(compress), route.shape, key_of_options(options))
    return ("ser", cache_key, *written, signer, pipeline.realm.settings)


async def in_thread(work: Callable[[], V]) -> V:
    """Run work that releases the GIL in a thread, or right here without asyncio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # the event loop of another library, such as trio
        return work()
    return await asyncio.to_thread(work)
