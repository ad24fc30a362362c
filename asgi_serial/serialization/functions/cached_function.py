"""The decorator that caches the results of a function, and what it makes of the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable
from functools import update_wrapper, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from asgi_serial.serialization.config import SerializationFormat
from asgi_serial.serialization.decorators import check_manager, get_default_manager
from asgi_serial.serialization.functions.function_cache import (
    MISS,
    CacheInfo,
    FunctionCache,
    Options,
)
from asgi_serial.serialization.functions.waiting import InLoop, InThread, run_without_loop
from asgi_serial.serialization.manager import OptimizedSerializationManager

if TYPE_CHECKING:
    from datetime import timedelta

    Duration = float | str | timedelta

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)


class CachedFunction(Protocol[P, R_co]):
    """A function whose results are cached; threads share one call of it."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the cached result, or call the function."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key for these arguments."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Invalidate the result for these arguments, also of calls in progress."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and store its result in place of the one that is cached."""

    def clear(self) -> None:
        """Invalidate all results of the function."""

    def cache_info(self) -> CacheInfo:
        """Return how often the cache has answered in this process."""

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, R_co]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], R_co], instance: S, owner: type | None = None
    ) -> CachedFunction[Q, R_co]: ...


class CachedCoroutineFunction(Protocol[P, R]):
    """An asynchronous function whose results are cached; tasks share one call of it."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the cached result, or call the function."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key for these arguments."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """Invalidate the result for these arguments, also of calls in progress."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function, and store its result in place of the one that is cached."""

    def clear(self) -> Coroutine[Any, Any, None]:
        """Invalidate all results of the function."""

    def cache_info(self) -> CacheInfo:
        """Return how often the cache has answered in this process."""

    @overload
    def __get__(
        self, instance: None, owner: type | None = None
    ) -> CachedCoroutineFunction[P, R]: ...
    @overload
    def __get__(
        self: CachedCoroutineFunction[Concatenate[S, Q], R],
        instance: S,
        owner: type | None = None,
    ) -> CachedCoroutineFunction[Q, R]: ...


class Decorate(Protocol):
    """Makes a cached function of a function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> CachedCoroutineFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...


@overload
def cached(  # type: ignore[overload-overlap]
    function: Callable[P, Coroutine[Any, Any, R]], /
) -> CachedCoroutineFunction[P, R]: ...
@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    *,
    ttl: Duration | Callable[[Any], Duration] | None = None,
    key: str | Callable[..., object] | None = None,
    format: SerializationFormat | str | None = None,
    tags: Iterable[str] | Callable[[Any], Iterable[str]] = (),
    stale: Duration = 0,
    shared: bool = False,
    manager: OptimizedSerializationManager | None = None,
) -> Decorate: ...


def cached(
    function: Callable[..., Any] | None = None,
    /,
    *,
    ttl: Duration | Callable[[Any], Duration] | None = None,
    key: str | Callable[..., object] | None = None,
    format: SerializationFormat | str | None = None,
    tags: Iterable[str] | Callable[[Any], Iterable[str]] = (),
    stale: Duration = 0,
    shared: bool = False,
    manager: OptimizedSerializationManager | None = None,
) -> Any:
    """Cache the results of a function, synchronous or not, by its arguments.

    A result is stored as its return annotation says, and each caller gets a new value of that type
    (or all get the same one, if it is immutable). Of concurrent calls with the same arguments, one
    is made. Exceptions are not cached.

    - `ttl` is how long a result may be used, or a function of the result that returns this; 0 does
      not store it. It defaults to `cache_ttl` of the manager.
    - `key` is a format string over the arguments, such as `"user:{id}"`, or a function of the same
      arguments that returns a text or a tuple of values. By default, the key is made of the
      function's name and all arguments.
    - `format` is that of the stored values, by default the manager's.
    - `tags` are texts or format strings over the arguments and `result`, or a function of the
      result that returns texts; `manager.purge("tag")` invalidates what has one of them.
    - `stale` is how much longer a result may be used while one call refreshes it in the background.
    - `shared` gives all callers of this process one object, which nobody may change. It costs the
      same for large values as for small ones.
    - `manager` has the cache; by default, the process's own does: see `set_default_manager`.

    The function gets the methods `key`, `invalidate` and `refresh`, which take its arguments, and
    `clear` and `cache_info`.

    Raises: ConfigurationError for a wrong option; TypeError for a function that cannot be cached,
        or a manager that is none.
    """
    chosen = check_manager(manager)
    options = Options(ttl, key, format, tags, stale, shared, chosen, get_default_manager)

    def decorate(function: Any) -> Any:
        if isinstance(function, staticmethod):
            return staticmethod(decorate(function.__func__))
        if isinstance(function, classmethod):
            return _method_of(*_build(function.__func__, options), is_of_class=True)
        _check(function)
        cache, call = _build(function, options)
        # A function of a class body; one of another function has `<locals>` in this place.
        owner = getattr(function, "__qualname__", "").rpartition(".")[0]
        if owner and not owner.endswith("<locals>"):
            return _method_of(cache, call)
        return _equip(call, cache)

    return decorate if function is None else decorate(function)


def _check(function: Any) -> None:
    name = getattr(function, "__qualname__", repr(function))
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"{name} is not a function; write @cached right above `def`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{name}() is a generator, whose results are made one by one; @cached stores a whole "
            "result, such as a list"
        )


def _build(function: Callable[..., Any], options: Options) -> tuple[FunctionCache, Any]:
    """Return the cache of a function, and the function that uses it."""
    _check(function)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )
    waiting = InLoop() if is_async else InThread()
    cache = FunctionCache(function, options, waiting, is_async=is_async)
    find_hit, run = cache.find_hit, cache.run
    call: Callable[..., Any]
    if is_async:

        @wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            found = find_hit(args, kwargs)
            return found if found is not MISS else await run(args, kwargs)
    else:

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            found = find_hit(args, kwargs)
            return found if found is not MISS else run_without_loop(run(args, kwargs))

    return cache, call


def _equip(call: Any, cache: FunctionCache) -> Any:
    controls = Controls(cache)
    for name in CONTROLS:
        setattr(call, name, getattr(controls, name))
    return call


CONTROLS = ("key", "invalidate", "refresh", "clear", "cache_info")
"""The methods that a cached function gets."""


class Controls:
    """The methods of a cached function, for the arguments that follow those that are bound."""

    def __init__(self, cache: FunctionCache, bound: tuple[Any, ...] = ()) -> None:
        self._cache = cache
        self._bound = bound

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return work if self._cache.is_async else run_without_loop(work)

    def key(self, *args: Any, **kwargs: Any) -> str:
        """Return the key for these arguments."""
        return self._cache.key_of((*self._bound, *args), kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> Any:
        """Invalidate the result for these arguments, also of calls in progress."""
        return self._run(self._cache.invalidate((*self._bound, *args), kwargs))

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and store its result in place of the one that is cached."""
        return self._run(self._cache.run((*self._bound, *args), kwargs, is_forced=True))

    def clear(self) -> Any:
        """Invalidate all results of the function."""
        return self._run(self._cache.clear())

    def cache_info(self) -> CacheInfo:
        """Return how often the cache has answered in this process."""
        return self._cache.info()


# Pydantic takes an object in the body of a model for a field that lacks its annotation, unless its
# class comes from this module: for the sake of `functools.lru_cache`.
_NO_FIELD = "functools"


class Method(Controls):
    """A cached function of a class body, which binds its instance as functions do."""

    __module__ = _NO_FIELD

    def __init__(
        self, cache: FunctionCache, call: Callable[..., Any], *, is_of_class: bool = False
    ) -> None:
        super().__init__(cache)
        self.call = call
        self._is_of_class = is_of_class
        update_wrapper(self, call)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if self._is_of_class:
            instance = type(instance) if owner is None else owner
        if instance is None:
            return self
        bound = BoundCoroutineMethod if self._cache.is_async else BoundMethod
        return bound(self._cache, self.call, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result, or call the function."""
        return self.call(*args, **kwargs)


class CoroutineMethod(Method):
    """The same for an asynchronous function; frameworks recognise it by its `__call__`."""

    __module__ = _NO_FIELD

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result, or call the function."""
        return await self.call(*args, **kwargs)


class BoundMethod(Controls):
    """A method of one instance."""

    def __init__(self, cache: FunctionCache, call: Callable[..., Any], instance: object) -> None:
        super().__init__(cache, (instance,))
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    @property
    def __signature__(self) -> inspect.Signature:
        """The parameters that follow the instance."""
        signature = inspect.signature(self._call)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result, or call the function."""
        return self._call(*self._bound, *args, **kwargs)


class BoundCoroutineMethod(BoundMethod):
    """The same for an asynchronous function."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result, or call the function."""
        return await self._call(*self._bound, *args, **kwargs)


def _method_of(cache: FunctionCache, call: Any, *, is_of_class: bool = False) -> Method:
    method = CoroutineMethod if cache.is_async else Method
    return method(cache, call, is_of_class=is_of_class)
