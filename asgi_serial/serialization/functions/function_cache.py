"""The cache of one function: look-ups, single flight, background refreshes and invalidation."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from pydantic import ValidationError

from asgi_serial.cache.leases import LEASE_SECONDS
from asgi_serial.concurrency.loops import running_loop
from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.serialization.config import SerializationFormat
from asgi_serial.serialization.functions.call_key import (
    Template,
    describe_variables,
    key_by_arguments,
    key_by_function,
    key_by_template,
    parameters_of,
)
from asgi_serial.serialization.functions.flights import Ended, Flight, Flights, within
from asgi_serial.serialization.functions.value_type import UNFIT, ValueType, seconds_of, value_type
from asgi_serial.serialization.functions.values import NO_INSTANCE, CachedValue, check_tags
from asgi_serial.serialization.functions.waiting import run_without_loop
from asgi_serial.serialization.manager import OptimizedSerializationManager
from asgi_serial.serialization.models import VALIDATOR, check_type

if TYPE_CHECKING:
    from datetime import timedelta

    from asgi_serial.cache.leases import Leases
    from asgi_serial.cache.purges import PurgeTable
    from asgi_serial.serialization.functions.values import ValueCache
    from asgi_serial.serialization.functions.waiting import Waiting
    from asgi_serial.serialization.models import ModelType
    from asgi_serial.serialization.pipeline import Pipeline

    Duration: TypeAlias = float | str | timedelta

T = TypeVar("T")

logger = logging.getLogger("asgi_serial")

WAIT_SECONDS = 30.0
"""The longest that a call waits for another one's result, and that a refresh may take."""

MAX_REFRESHES = 32
"""The most values of one function that are refreshed in the background at once."""

# The pauses between two looks at the store for a value that another process makes.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

MISS: Any = object()


class CacheInfo(NamedTuple):
    """The counts of a cached function, in this process."""

    hits: int
    """Calls that were answered from the cache, `stale` ones included."""
    misses: int
    """Calls that were not: they ran the function, or got the result of another's call or process.
    """
    stale: int
    """Hits whose lifetime was over, while the value was refreshed."""
    waits: int
    """Misses that got the result of another call."""
    refreshes: int
    """Background refreshes."""
    not_stored: int
    """Results that could not be stored: not of the declared type, or with tags that are none."""


class Options(NamedTuple):
    """The options of `cached`."""

    ttl: Duration | Callable[[Any], Duration] | None
    key: str | Callable[..., object] | None
    format: SerializationFormat | str | None
    tags: Iterable[str] | Callable[[Any], Iterable[str]]
    stale: Duration
    shared: bool
    manager: OptimizedSerializationManager | None
    default_manager: Callable[[], OptimizedSerializationManager]


@dataclass(slots=True)
class Ready:
    """The parts that a look-up needs, for one state of the configuration."""

    manager: OptimizedSerializationManager
    pipeline: Pipeline
    values: ValueCache
    purges: PurgeTable
    type: ValueType
    known: ModelType
    find_slot: Callable[[str], Any]


class FunctionCache:
    """The cache of one function. Raises: TypeError or ConfigurationError for wrong options."""

    _by_name: ClassVar[WeakValueDictionary[str, FunctionCache]] = WeakValueDictionary()

    def __init__(
        self, function: Callable[..., Any], options: Options, waiting: Waiting, *, is_async: bool
    ) -> None:
        self.function = function
        self.is_async = is_async
        self.parameters = parameters_of(function)
        self.name = self.parameters.function
        self._options = options
        self._waiting = waiting
        self._type = find_type(function, self.name)
        variables = describe_variables(function)
        prefix = f"{function.__module__}.{self.name}" + (f"<{variables}>" if variables else "")
        is_one_of_several = self._is_one_of_several(prefix) or variables is None
        self._is_local = options.key is None and is_one_of_several
        if self._is_local:
            prefix = f"{prefix}<{os.urandom(8).hex()}>"
        self.make_key = self._choose_key(prefix, options.key)
        digest = blake2b(prefix.encode("utf-8", "surrogatepass"), digest_size=16)
        self.own_tag = f"function {digest.hexdigest()}"
        self._static_tags, self._tag_templates = self._read_tags(options.tags)
        self._stale_seconds = seconds_of("stale", options.stale)
        if not (options.ttl is None or callable(options.ttl)):
            seconds_of("ttl", options.ttl)
        if options.format is not None:
            SerializationFormat(options.format)
        self.flights = Flights()
        # With their tasks, of which event loops have only weak references.
        self._refreshing: dict[Flight, object] = {}
        self._ready: Ready | None = None
        self._has_warned = False
        self.hits = self.misses = self.stale = self.waits = self.refreshes = self.not_stored = 0

    def _is_one_of_several(self, prefix: str) -> bool:
        """Whether another function has the same name, so that they must not share values."""
        is_taken = prefix in self._by_name
        self._by_name[prefix] = self
        return is_taken

    def _choose_key(self, prefix: str, key: object) -> Callable[..., str]:
        if key is None:
            return key_by_arguments(prefix, self.parameters)
        if isinstance(key, str):
            try:
                return key_by_template(key, self.parameters)
            except ValueError as error:
                raise ConfigurationError(f"key is {error}.") from None
        if callable(key):
            return key_by_function(prefix, self.parameters, key)
        raise ConfigurationError(
            f"key is {key!r}; expected a format string such as 'user:{{id}}', or a function of the "
            "same arguments."
        )

    def _read_tags(self, tags: Any) -> tuple[tuple[bytes, ...], list[Template]]:
        own = (self.own_tag.encode(),)
        if callable(tags):
            return own, []
        try:
            templates = [
                Template(tag, self.parameters, ("result",), is_tag=True) for tag in _listed(tags)
            ]
            static = [one.render(()) for one in templates if not one.uses]
            return (*own, *check_tags(static)), [one for one in templates if one.uses]
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"tags is {tags!r}: {error}.") from None

    def find_hit(self, args: Any, kwargs: Any) -> Any:
        """Return a value of the first level; MISS if there is none that may be used."""
        ready = self._ready
        manager = self._options.manager or self._options.default_manager()
        if (
            ready is None
            or ready.manager is not manager
            or ready.pipeline is not manager.cached_manager.pipeline
            or ready.known.attributes.get(VALIDATOR) is not ready.known.validator
        ):
            ready = self._prepare(manager)
        values, type_ = ready.values, ready.type
        key = self.make_key(*args, **kwargs)
        slot = ready.find_slot(key)
        if slot is None:
            return MISS
        found = slot.value
        if found.epoch != ready.purges.epoch and not values.is_current(found):
            return MISS
        if found.shape != type_.shape:
            return MISS
        now = values.clock()
        if now >= found.expires:
            if now >= found.kept_until:
                return MISS
            self.stale += 1
            self._start_refresh(ready, key, args, kwargs)
        slot.is_used = True
        view = found.view
        if view.identity is type_.identity:
            if view.instance is not NO_INSTANCE and (view.is_immutable or type_.is_shared):
                self.hits += 1
                return view.instance
            if view.copy is not None:
                try:
                    value = view.copy()
                except RecursionError:
                    pass  # reading takes less of the caller's stack
                else:
                    self.hits += 1
                    return value
        try:
            value = values.give(key, found, type_)
        except ValidationError:  # what it depends on has changed, such as the time
            return MISS
        self.hits += 1
        return value

    def _prepare(self, manager: OptimizedSerializationManager) -> Ready:
        cached, pipeline, ready = (
            manager.cached_manager,
            manager.cached_manager.pipeline,
            self._ready,
        )
        if (
            ready is not None
            and ready.manager is manager
            and ready.pipeline is pipeline
            and ready.known.is_current
        ):
            return ready
        if self._type is MISS:
            self._type = find_type(self.function, self.name, must_find=True)
        values, type_ = cached.values, value_type(pipeline, self._type, self._options.format)
        ready = Ready(
            manager,
            pipeline,
            values,
            values.purges,
            type_._replace(is_shared=self._options.shared),
            type_.identity,
            values.find_slot if pipeline.is_caching else lambda _: None,
        )
        self._ready = ready
        return ready

    def _current(self) -> Ready:
        manager = self._options.manager or self._options.default_manager()
        return self._prepare(manager)

    async def run(self, args: Any, kwargs: Any, *, is_forced: bool = False) -> Any:
        """Return the result of a call that `find_hit` did not answer.

        With `is_forced` the function is called in any case, and the result stored.
        """
        ready = self._current()
        self.misses += not is_forced
        if not ready.pipeline.is_caching or (self.is_async and running_loop() is None):
            return await self._call_alone(ready, args, kwargs)
        key = self.make_key(*args, **kwargs)
        deadline = monotonic() + WAIT_SECONDS
        while True:
            state = ready.values.state_of(key)
            joined = self.flights.join(key, state, must_lead=is_forced)
            if joined is None:
                return await self._waiting.call(self.function, args, kwargs)
            flight, is_leader = joined
            if is_leader:
                try:
                    return await self._lead(ready, key, flight, args, kwargs, is_forced=is_forced)
                finally:
                    self.flights.end(key, flight)
            if not await self._waiting.flight(flight, deadline - monotonic()):
                return await self._waiting.call(self.function, args, kwargs)
            outcome = flight.outcome()
            if outcome is Ended.NOT_SHARED:
                return await self._waiting.call(self.function, args, kwargs)
            if outcome is not Ended.ABANDONED:
                self.waits += 1
                with suppress(ValidationError):
                    return outcome.give(ready.type)

    async def _call_alone(self, ready: Ready, args: Any, kwargs: Any) -> Any:
        """Call the function for a caller who cannot wait for others; use only the first level."""
        if not ready.pipeline.is_caching:
            return await self._waiting.call(self.function, args, kwargs)
        key, asked = self.make_key(*args, **kwargs), ready.values.clock()
        state = ready.values.state_of(key)
        result = await self._waiting.call(self.function, args, kwargs)
        made = self._make(ready, result, asked, args, kwargs)
        if made is None:
            return result
        found, value = made
        if found.kept_until > found.born:
            ready.values.keep(key, found, state)
        return value

    async def _lead(
        self, ready: Ready, key: str, flight: Flight, args: Any, kwargs: Any, *, is_forced: bool
    ) -> Any:
        """Make the call for all who wait for the flight, unless the store has its result."""
        values, lease = ready.values, None
        uses_store = values.store is not None and not self._is_local
        try:
            with within(flight):
                if not is_forced:
                    found = values.find(key)
                    if found is not None and self._is_fresh(ready, found):
                        # Another call has made it meanwhile.
                        with suppress(ValidationError):
                            value = found.give(ready.type)
                            flight.finish(found)
                            return value
                    if uses_store:
                        looked = self._look(ready, key, WAIT_SECONDS)
                        loaded, lease = await self._waiting.store(looked)
                        if loaded is not None:
                            flight.finish(loaded[0])
                            return loaded[1]
                elif uses_store:
                    await self._waiting.store(values.connect())
                asked = values.clock()
                result = await self._waiting.call(self.function, args, kwargs)
                made = self._make(ready, result, asked, args, kwargs)
                if made is None:
                    flight.finish(Ended.NOT_SHARED)
                    return result
                found, value = made
                # A call that began later may have stored its result already.
                if (
                    found.kept_until > found.born
                    and self.flights.find(key) is flight
                    and values.keep(key, found, flight.state)
                    and uses_store
                ):
                    flight.finish(found)
                    await self._waiting.store(values.write(key, found, ready.pipeline))
                flight.finish(found)
                return value
        except Exception as error:
            flight.fail(error)
            raise
        finally:
            if lease is not None:
                lease.end()

    def _is_fresh(self, ready: Ready, found: CachedValue) -> bool:
        return found.shape == ready.type.shape and ready.values.clock() < found.expires

    async def _look(
        self, ready: Ready, key: str, seconds: float
    ) -> tuple[tuple[CachedValue, Any] | None, Lease | None]:
        """Return a fresh value in the store, or the lease to make one.

        While another process has the lease, wait for its value. Neither means that this process
        makes one without a lease.
        """
        values, type_ = ready.values, ready.type
        deadline, pause, has_waited = monotonic() + seconds, _FIRST_PAUSE, False
        lease: Lease | None = None
        while True:
            loaded = await values.load(key, {type_.shape: type_}.get, ready.pipeline)
            if loaded is not None and values.clock() < loaded[0].expires:
                if lease is not None:
                    lease.end()
                return loaded, None
            if lease is not None or values.leases is None:
                return None, lease
            lease = await Lease.take(values.leases, key)
            if lease is None:
                if monotonic() + pause > deadline:
                    return None, None
                has_waited = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            elif not has_waited:
                return None, lease
            # Otherwise look again: the other process may have stored its value before it ended its
            # lease.

    def _make(
        self, ready: Ready, result: Any, asked: float, args: Any, kwargs: Any
    ) -> tuple[CachedValue, Any] | None:
        """Return a result in the form in which it is stored, and as it is read from that.

        So the first caller gets the value that all others get. None means that it cannot be stored.
        """
        type_ = ready.type
        try:
            written = type_.convert(result)
            if written is result and isinstance(result, Iterator):
                raise FormatError("its items can be read only once")
            document = type_.write(written)
            found = CachedValue(document, type_.shape, born=asked, expires=asked, kept_until=asked)
            value = found.settle(type_)
            if not type_.is_exact:
                type_.check_read_back(written, value)
        except UNFIT as error:
            reason = f"it is no {type_.name} that can be read back ({_describe(error)})"
            self._note_unstored(reason)
            return None
        ttl = self._ttl(ready, value)
        try:
            found.tags = self._tags(args, kwargs, value)
        except ValueError as error:
            self._note_unstored(f"it could not be purged by its tags: {error}")
            return None
        if ttl > 0:
            found.expires = ready.values.clock() + ttl
            found.kept_until = found.expires + self._stale_seconds
        return found, value

    def _ttl(self, ready: Ready, value: Any) -> float:
        ttl = self._options.ttl
        if ttl is None:
            return ready.manager.config.cache_ttl
        return seconds_of("ttl", ttl(value) if callable(ttl) else ttl)

    def _tags(self, args: Any, kwargs: Any, value: Any) -> tuple[bytes, ...]:
        chosen = self._options.tags
        if callable(chosen):
            return (*self._static_tags, *check_tags(_listed(chosen(value))))
        if not self._tag_templates:
            return self._static_tags
        names = (*self.parameters.bind(*args, **kwargs), value)
        tags = [
            one.render(names)
            for one in self._tag_templates
            # A result of None has nothing to be tagged by.
            if value is not None or "result" not in one.uses
        ]
        return (*self._static_tags, *check_tags(tags))

    def _note_unstored(self, reason: str) -> None:
        self.not_stored += 1
        if not self._has_warned:
            self._has_warned = True
            message = "A result of %s() is not stored, since %s. This is said once."
            logger.warning(message, self.name, reason.rstrip("."))

    def _start_refresh(self, ready: Ready, key: str, args: Any, kwargs: Any) -> None:
        """Make a new value beside the caller, unless that is in progress or too many are."""
        if self.flights.find(key) is not None or not self._may_refresh():
            return
        loop = running_loop() if self.is_async else None
        if self.is_async and loop is None:
            return
        state = ready.values.state_of(key)
        joined = self.flights.join(key, state, is_nested=False)
        if joined is None or not joined[1]:
            return  # another thread has begun one
        flight = joined[0]
        self.refreshes += 1
        self._refreshing[flight] = None

        def end(_: object = None) -> None:
            self._refreshing.pop(flight, None)
            self.flights.end(key, flight)

        refresh = self._refresh(ready, key, flight, args, kwargs)
        if loop is not None:
            task = loop.create_task(refresh)
            self._refreshing[flight] = task
            timer = loop.call_later(WAIT_SECONDS, task.cancel)
            task.add_done_callback(end)
            task.add_done_callback(lambda _: timer.cancel())
        else:
            context = copy_context()

            def refresh_in_thread() -> None:
                try:
                    context.run(run_without_loop, refresh)
                finally:
                    end()

            name = f"refresh of {self.name}"
            thread = threading.Thread(target=refresh_in_thread, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are too many threads, or the process is ending
                refresh.close()
                end()

    def _may_refresh(self) -> bool:
        """Whether one more value may be refreshed in the background."""
        if len(self._refreshing) < MAX_REFRESHES:
            return True
        for flight in list(self._refreshing):
            if flight.is_stranded():
                self._refreshing.pop(flight, None)
        return len(self._refreshing) < MAX_REFRESHES

    async def _refresh(
        self, ready: Ready, key: str, flight: Flight, args: Any, kwargs: Any
    ) -> None:
        try:
            await self._lead(ready, key, flight, args, kwargs, is_forced=False)
        except Exception:
            logger.warning("A refresh of %s() failed.", self.name, exc_info=True)

    async def invalidate(self, args: Any, kwargs: Any) -> None:
        """Invalidate the value for the arguments of a call."""
        values, key = self._current().values, self.key_of(args, kwargs)
        if values.store is None or (self.is_async and running_loop() is None):
            values.drop_here(key)
        else:
            await self._waiting.store(values.drop(key))

    async def clear(self) -> None:
        """Invalidate all values of the function."""
        values = self._current().values
        work = values.purge([self.own_tag])
        await (work if values.store is None else self._waiting.store(work))

    def key_of(self, args: Any, kwargs: Any) -> str:
        """Return the key for the arguments of a call. Raises: TypeError."""
        if self.parameters.names[:1] == ("cls",) and args and not isinstance(args[0], type):
            raise TypeError(f"{self.name}() lacks its class; write @cached above @classmethod")
        return self.make_key(*args, **kwargs)

    def info(self) -> CacheInfo:
        """Return the counts."""
        return CacheInfo(
            self.hits, self.misses, self.stale, self.waits, self.refreshes, self.not_stored
        )


class Lease:
    """The right of this process to make a value, for as long as it takes."""

    def __init__(self, leases: Leases, key: str, token: bytes) -> None:
        self._leases = leases
        self._key = ("model", key)
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._renewal = self._loop.call_later(LEASE_SECONDS / 4, self._renew)

    @classmethod
    async def take(cls, leases: Leases, key: str) -> Lease | None:
        """Return the lease of a key; None if another process has it."""
        token = await leases.take(("model", key))
        return None if token is None else cls(leases, key, token)

    def _renew(self) -> None:
        self._leases.renew(self._key, self._token)
        self._renewal = self._loop.call_later(LEASE_SECONDS / 4, self._renew)

    def end(self) -> None:
        """Let other processes make the value; callable from any thread."""
        if running_loop() is self._loop:
            self._end()
        else:
            with suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._renewal.cancel()
        self._leases.end(self._key, self._token)


def _describe(error: Exception) -> str:
    """Return what is wrong with a result, without anything that the function has returned."""
    kind = type(error).__qualname__
    if isinstance(error, FormatError):
        return f"{kind}: {error}"
    return f"{kind}, faults: {error.error_count()}" if isinstance(error, ValidationError) else kind


def find_type(function: Callable[..., Any], name: str, *, must_find: bool = False) -> Any:
    """Return the type of a function's results; MISS if it is not defined yet.

    Raises: TypeError if there is none, or none that Pydantic can read.
    """
    annotations = getattr(function, "__annotations__", {})
    if "return" not in annotations:
        raise TypeError(
            f"{name}() does not say what it returns; @cached reads its results by that. Write a "
            "return annotation, such as `-> User`"
        )
    holder = SimpleNamespace(__annotations__={"return": annotations["return"]})
    space = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        type_ = typing.get_type_hints(holder, space, include_extras=True)["return"]
    except NameError as error:
        if not must_find:
            return MISS
        raise TypeError(
            f"the return annotation of {name}(), {annotations['return']!r}, is not known where the "
            f"function is defined: {error}"
        ) from error
    try:
        check_type(type_)
    except TypeError as error:
        raise TypeError(f"{name}() cannot be cached by what it returns: {error}") from error
    return type_


def _listed(tags: Any) -> list[str]:
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        raise TypeError(f"the tags are {tags!r}; expected a list of texts")
    listed = list(tags)
    for tag in listed:
        if not isinstance(tag, str):
            raise TypeError(f"the tag {tag!r} is of type {type(tag).__name__}; expected a str")
    return listed
