"""A cached function gives what the function would: once for all, and new values for each."""

import asyncio
import functools
import gc
import inspect
import logging
import threading
import typing
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio
from pydantic import AfterValidator, BaseModel, Field, computed_field
from starlette.responses import Response

from asgi_serial import (
    ConfigurationError,
    SerializationFormat,
    cached,
    create_serialization_manager,
    set_default_manager,
)
from asgi_serial.serialization.functions import function_cache
from asgi_serial.serialization.functions.function_cache import find_type

from .clock import Clock


class User(BaseModel):
    id: int
    name: str = "ada"
    tags: list[str] = []


class Frozen(BaseModel, frozen=True):
    id: int


class Aliased(BaseModel):
    user_id: int = Field(alias="userId")
    secret: str = Field("kept", exclude=True)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def manager(make_manager, clock):
    made = make_manager()
    made.cached_manager.values.clock = clock
    set_default_manager(made)
    return made


@pytest.fixture
def calls(manager):
    """The arguments with which functions were called."""
    return []


def is_sync(function):
    return not inspect.iscoroutinefunction(function)


@pytest.fixture(params=["sync", "async"])
def kind(request):
    """Makes a function of either kind, and calls it."""
    if request.param == "async":

        def make(function):
            @functools.wraps(function)
            async def later(*args, **kwargs):
                await asyncio.sleep(0)
                return function(*args, **kwargs)

            return later

        return make, asyncio.run
    return (lambda function: function), (lambda result: result)


def test_a_result_is_made_once_for_the_same_arguments(kind, calls):
    make, run = kind

    def load(id: int, name: str = "ada") -> User:
        calls.append(id)
        return User(id=id, name=name)

    load = cached(ttl=60)(make(load))
    results = [run(load(1)), run(load(id=1)), run(load(1, "ada")), run(load(name="ada", id=1))]
    assert results == [User(id=1)] * 4
    assert calls == [1]
    run(load(2))
    run(load(1, "bob"))
    assert calls == [1, 2, 1]
    assert load.cache_info()[:2] == (3, 3)


def test_each_caller_gets_a_value_of_its_own(kind, calls):
    make, run = kind

    def load(id: int) -> list[User]:
        calls.append(id)
        return [User(id=id)]

    load = cached(make(load))
    for _ in range(3):
        found = run(load(1))
        assert found == [User(id=1)]
        found[0].name = "eve"
        found.append(None)
    assert calls == [1]


def test_a_result_that_can_be_read_only_once_is_left_to_its_caller(kind, manager, caplog):
    make, run = kind

    def load() -> typing.Any:
        return iter([1, 2])

    load = cached(make(load))
    assert [list(run(load())) for _ in range(3)] == [[1, 2]] * 3
    assert load.cache_info().not_stored == 3
    assert "its items can be read only once" in caplog.text


def test_the_end_of_an_iterator_is_an_exception_like_any_other(manager):
    """For the caller, and for those who wait for the call."""
    begun, release = threading.Event(), threading.Event()

    @cached
    def load() -> int:
        begun.set()
        release.wait()
        return next(iter([]))

    found = []

    def use():
        try:
            load()
        except StopIteration as error:
            found.append(error)

    threads = [threading.Thread(target=use) for _ in range(3)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0].__cause__ is None


def test_a_result_that_nothing_can_change_is_shared(calls):
    @cached
    def load(id: int) -> Frozen:
        return Frozen(id=id)

    @cached
    def amount(id: int) -> Decimal | None:
        return Decimal(id) if id else None

    assert load(1) is load(1)
    assert amount(1) is amount(1)
    assert amount(0) is amount(0) is None


def test_a_result_is_shared_where_the_callers_say_so(calls, manager):
    def load(id: int) -> list[User]:
        calls.append(id)
        return [User(id=id)]

    shared = cached(key="users:{id}", shared=True)(load)
    apart = cached(key="users:{id}")(load)
    assert shared(1) is shared(1)
    assert shared(1) == apart(1)
    assert apart(1) is not shared(1)
    assert asyncio.run(manager.get_model("users:1", list[User])) is not shared(1)
    assert shared(2) is not apart(2) is not shared(2)
    assert calls == [1, 2]


def test_the_first_caller_gets_what_all_others_get(calls):
    @cached
    def load(id: int) -> Aliased:
        return Aliased(userId=id, secret="lost")

    @cached
    def load_dict() -> User:
        return {"id": 1}

    first, second = load(1), load(1)
    assert first == second == Aliased(userId=1)
    assert load_dict() == load_dict() == User(id=1)


@pytest.mark.parametrize(
    ("annotation", "result"),
    [
        (bytes, b"\xff\x00"),
        (bytes, b""),
        (str, "ü"),
        (int | str, "1"),
        (dict[str, datetime], {"a": datetime(2026, 1, 1, tzinfo=UTC)}),
        (tuple[int, ...], (1, 2)),
        (set[int], {1, 2}),
        (None, None),
        (User | None, None),
        (typing.Any, {"a": [1, 2.5, None]}),
        (typing.Annotated[int, Field(gt=0)], 5),
    ],
)
@pytest.mark.parametrize("format", SerializationFormat)
def test_any_type_that_pydantic_takes(calls, annotation, result, format):
    def load():
        calls.append(1)
        return result

    load.__annotations__["return"] = annotation
    load = cached(format=format)(load)
    assert load() == load() == result
    assert type(load()) is type(result)
    assert len(calls) == 1


def test_a_result_lives_for_its_time(kind, calls, clock):
    make, run = kind

    def load(id: int) -> int:
        calls.append(id)
        return len(calls)

    load = cached(ttl=timedelta(seconds=10))(make(load))
    assert [run(load(1)), run(load(1))] == [1, 1]
    clock.now += 9.9
    assert run(load(1)) == 1
    clock.now += 0.1
    assert run(load(1)) == 2


@pytest.mark.parametrize("ttl", ["10s", 10, 10.0, timedelta(seconds=10), None, lambda _: "10s"])
def test_the_time_may_be_given_in_many_ways(calls, clock, manager, ttl):
    manager.config.cache_ttl = 10

    @cached(ttl=ttl)
    def load() -> int:
        calls.append(1)
        return len(calls)

    load()
    clock.now += 9.9
    assert load() == 1
    clock.now += 0.2
    assert load() == 2


def test_the_time_may_depend_on_the_result(calls):
    @cached(ttl=lambda user: 60 if user else 0)
    def find(id: int) -> User | None:
        calls.append(id)
        return User(id=id) if id else None

    assert [find(0), find(0), find(1), find(1)] == [None, None, User(id=1), User(id=1)]
    assert calls == [0, 0, 1]


def test_exceptions_are_not_cached(kind, calls):
    make, run = kind

    def load() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise LookupError(len(calls))
        return 7

    load = cached(make(load))
    for number in (1, 2):
        with pytest.raises(LookupError, match=str(number)):
            run(load())
    assert [run(load()), run(load())] == [7, 7]


def test_a_value_can_be_invalidated_refreshed_and_cleared(kind, calls):
    make, run = kind

    def load(id: int) -> int:
        calls.append(id)
        return len(calls)

    load = cached(make(load))
    assert [run(load(1)), run(load(2))] == [1, 2]
    run(load.invalidate(id=1)) if not is_sync(load) else load.invalidate(id=1)
    assert [run(load(1)), run(load(2))] == [3, 2]
    assert run(load.refresh(2)) == 4
    assert [run(load(1)), run(load(2))] == [3, 4]
    run(load.clear()) if not is_sync(load) else load.clear()
    assert [run(load(1)), run(load(2))] == [5, 6]
    assert load.key(7) == load.key(id=7)


def test_tags_are_texts_or_made_of_arguments_and_result(manager, calls, clock):
    @cached(tags=["users", "user:{id}", "name:{result.name}"])
    async def load(id: int) -> User | None:
        calls.append(id)
        return User(id=id, name="a:b") if id else None

    @cached(tags=lambda names: names)
    async def names(*names: str) -> list[str]:
        calls.append(names)
        return list(names)

    async def use(*tags):
        await asyncio.gather(load(0), load(1), load(2), names("ada", "bob"))
        calls.clear()
        assert await manager.purge(*tags) is True
        clock.now += 1
        await asyncio.gather(load(0), load(1), load(2), names("ada", "bob"))
        return calls

    assert asyncio.run(use("user:1")) == [1]
    assert asyncio.run(use("user:3")) == []
    assert asyncio.run(use("name:a%3Ab")) == [1, 2]
    assert asyncio.run(use("users")) == [0, 1, 2]
    assert asyncio.run(use("bob", "user:2")) == [2, ("ada", "bob")]


def test_a_result_with_a_wrong_tag_is_not_stored(calls, caplog):
    @cached(tags=["user:{name}"])
    def load(name: str) -> str:
        calls.append(name)
        return name

    long = "x" * 300
    assert [load(long), load(long), load("a"), load("a")] == [long, long, "a", "a"]
    assert calls == [long, long, "a"]
    assert load.cache_info().not_stored == 2
    [record] = caplog.records
    assert "since it could not be purged by its tags: the tag is 'user:x" in record.getMessage()


def test_a_result_of_another_type_is_given_and_not_stored(kind, calls, caplog):
    make, run = kind

    def load() -> int:
        calls.append(1)
        return "hunter2"

    load = cached(make(load))
    assert [run(load()), run(load())] == ["hunter2", "hunter2"]
    assert load.cache_info() == (0, 2, 0, 0, 0, 2)
    [record] = caplog.records
    assert "is no int that can be read back (ValidationError, faults: 1)" in record.getMessage()
    assert "hunter2" not in record.getMessage()


def test_caching_can_be_turned_off_and_on(kind, calls, manager):
    make, run = kind

    def load() -> int:
        calls.append(1)
        return len(calls)

    load = cached(make(load))
    assert [run(load()), run(load())] == [1, 1]
    manager.config.enable_caching = False
    assert [run(load()), run(load())] == [2, 3]
    manager.config.enable_caching = True
    assert run(load()) == 1


def test_a_change_of_the_format_is_a_miss(calls, manager):
    @cached
    def load() -> User:
        calls.append(1)
        return User(id=1)

    load()
    manager.config.default_format = "msgpack"
    assert load() == load() == User(id=1)
    assert len(calls) == 2


def test_another_default_manager_has_another_cache(calls, make_manager):
    @cached
    def load() -> int:
        calls.append(1)
        return len(calls)

    assert [load(), load()] == [1, 1]
    set_default_manager(make_manager())
    assert [load(), load()] == [2, 2]


class Repository:
    """Cached methods, of one tenant."""

    calls: typing.ClassVar[list] = []

    def __init__(self, tenant):
        self.tenant = tenant

    @cached(key="{self.tenant}:{id}")
    async def load(self, id: int) -> User:
        """A user."""
        self.calls.append((self.tenant, id))
        return User(id=id, name=self.tenant)

    @cached(key=lambda self, id=1: (self.tenant, id))
    def load_now(self, id: int = 1) -> str:
        self.calls.append((self.tenant, id))
        return self.tenant

    @cached
    def unkeyed(self) -> int:
        raise NotImplementedError

    @cached
    @classmethod
    def of_class(cls, id: int) -> str:
        cls.calls.append(id)
        return cls.__name__

    @classmethod
    @cached
    def of_class_too(cls, id: int) -> str:
        cls.calls.append(id)
        return cls.__name__

    @cached
    @staticmethod
    def static(id: int) -> int:
        Repository.calls.append(id)
        return id

    @staticmethod
    @cached
    def static_too(id: int) -> int:
        Repository.calls.append(id)
        return id


class Special(Repository):
    """A class of its own."""

    async def load(self, id: int) -> User:
        return await super().load(id)


@pytest.fixture
def method_calls(manager):
    Repository.calls.clear()
    return Repository.calls


def test_methods_know_their_instance(method_calls):
    a, b, c = Repository("a"), Repository("b"), Special("c")

    async def use():
        found = [await one.load(1) for one in (a, b, c, a, b, c)]
        assert [user.name for user in found] == [*"abcabc"]
        assert method_calls == [("a", 1), ("b", 1), ("c", 1)]
        await a.load.invalidate(1)
        await a.load(id=1)
        assert method_calls[3:] == [("a", 1)]
        assert await a.load.refresh(1) == User(id=1, name="a")
        assert (a.load.key(1), Repository.load.key(b, 1)) == ("a:1", "b:1")
        assert await Repository.load(b, 1) == User(id=1, name="b")

    asyncio.run(use())
    assert [a.load_now(), a.load_now(id=1), b.load_now(), a.load_now(2)] == [*"aaba"]
    a.load_now.invalidate()
    a.load_now()
    assert method_calls[5:] == [("a", 1), ("b", 1), ("a", 2), ("a", 1)]
    a.load_now.clear()
    assert a.load_now.cache_info().hits == 1


def test_an_instance_without_a_key_is_named():
    with pytest.raises(
        TypeError, match=r"'self' of Repository.unkeyed\(\) is an object of type Repository"
    ):
        Repository("a").unkeyed()


def test_methods_of_classes_know_their_class(method_calls):
    for name in ("of_class", "of_class_too"):
        first, second = getattr(Repository, name), getattr(Special, name)
        assert [first(1), second(1), first(1), second(id=1), Special("c").of_class(1)] == [
            *("Repository", "Special") * 2,
            "Special",
        ]
    Repository.of_class.invalidate(1)
    Repository.of_class(1)
    assert method_calls == [1] * 5


def test_a_class_that_is_missing_is_named():
    with pytest.raises(TypeError, match="write @cached above @classmethod"):
        vars(Repository)["of_class_too"].__func__.key(1)


def test_static_methods_have_neither(method_calls):
    assert [Repository.static(1), Repository("a").static(1), Repository.static_too(1)] == [1] * 3
    Repository.static.invalidate(1)
    Repository.static_too.invalidate(1)
    Repository.static(1)
    assert method_calls == [1, 1, 1]


@pytest.mark.parametrize("function", [Repository.load, Repository("a").load, Special("a").of_class])
def test_methods_look_like_what_they_wrap(function):
    parameters = list(inspect.signature(function).parameters)
    assert parameters == (["self", "id"] if function is Repository.load else ["id"])
    assert function.__name__ in ("load", "of_class")
    assert function.__qualname__.startswith("Repository.")


def test_functions_look_like_what_they_wrap():
    @cached
    async def load(id: int, *, name: "str" = "ada") -> "User":
        """A user."""
        raise NotImplementedError

    assert inspect.iscoroutinefunction(load)
    assert (load.__name__, load.__doc__) == ("load", "A user.")
    assert str(inspect.signature(load)) == "(id: int, *, name: 'str' = 'ada') -> 'User'"
    assert load.__wrapped__.__name__ == "load"


def test_closures_of_one_name_do_not_share(calls):
    def make(tenant):
        @cached
        def load(id: int) -> str:
            return f"{tenant}{id}"

        return load

    a, b = make("a"), make("b")
    assert [a(1), b(1), a(1), b(1)] == ["a1", "b1", "a1", "b1"]
    assert a.key(1) != b.key(1)


def of_tenant(tenant):
    def decorate(function):
        @functools.wraps(function)
        def load(*args):
            return tenant + function(*args)

        return load

    return decorate


def load_text(id: int) -> str:
    return str(id)


class OfTenant:
    """An object whose method is cached for it alone."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.load = cached(self.load)

    def load(self, id: int) -> str:
        return f"{self.tenant}{id}"


@pytest.mark.parametrize(
    "make",
    [lambda tenant: cached(of_tenant(tenant)(load_text)), lambda tenant: OfTenant(tenant).load],
    ids=["decorated", "bound method"],
)
def test_what_a_function_is_bound_to_is_not_shared(manager, make):
    """Not even after the first one is gone, and its name free again."""
    results = []
    for tenant in ("a", "b", "a"):
        results.append(make(tenant)(1))
        gc.collect()
    assert results == ["a1", "b1", "a1"]


@pytest.mark.parametrize("use", [lambda one: cached(manager=one), set_default_manager])
def test_what_is_no_manager_is_refused(use):
    with pytest.raises(TypeError, match=r"manager is 5; expected what create_serialization_man"):
        use(5)


def test_functions_of_one_name_do_not_share(manager):
    def first() -> int:
        return 1

    def second() -> int:
        return 2

    first.__qualname__ = second.__qualname__ = "load"
    one, two = cached(first), cached(second)
    assert [one(), two(), one(), two()] == [1, 2, 1, 2]
    assert one.key().endswith("load()")
    assert two.key() != one.key()


def test_arguments_without_a_key_are_refused_by_name(calls):
    @cached
    def load(id: int, session: object) -> int:
        raise NotImplementedError

    with pytest.raises(
        TypeError,
        match=r"'session' of .*load\(\) is an object.*key='load:\{id\}:\{session.id\}'",
    ):
        load(1, object())


def numbers() -> typing.Iterator[int]:
    yield 1


async def later_numbers() -> typing.AsyncIterator[int]:
    yield 1


def bare(id):
    raise NotImplementedError


def answer() -> Response:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (numbers, r"numbers\(\) is a generator"),
        (later_numbers, r"later_numbers\(\) is a generator"),
        (bare, r"bare\(\) does not say what it returns.*-> User"),
        (answer, r"answer\(\) cannot be cached by what it returns: .*Response"),
        (User, "is not a function; write @cached right above `def`"),
        (7, "7 is not a function"),
        (property(bare), "is not a function"),
        (staticmethod(numbers), "is a generator"),
    ],
)
def test_what_cannot_be_cached_is_refused_where_it_is_decorated(function, message):
    with pytest.raises(TypeError, match=message):
        cached(function)


def one(id: int) -> int:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": -1}, "ttl is -1; expected a duration"),
        ({"ttl": "soon"}, "ttl is 'soon'; expected a duration"),
        ({"stale": None}, "stale is None; expected a duration"),
        ({"key": "one:{name}"}, r"key is 'one:\{name\}' for one\(\) has \{name\}; expected \{id\}"),
        ({"key": 7}, "key is 7; expected a format string"),
        ({"format": "yaml"}, "yaml"),
        ({"tags": "users"}, "tags is 'users': the tags are 'users'; expected a list"),
        ({"tags": [7]}, "the tag 7 is of type int; expected a str"),
        ({"tags": ["{name}"]}, r"has \{name\}; expected \{id\}, \{result\}"),
        ({"tags": [" a"]}, "no blanks around"),
        ({"tags": [""]}, "is empty"),
        ({"tags": ["x" * 300]}, "at most 256 bytes"),
        ({"tags": [str(number) for number in range(200)]}, "there are 200 tags"),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_given(options, message):
    with pytest.raises(ValueError, match=message) as info:
        cached(**options)(one)
    assert isinstance(info.value, ConfigurationError) is ("format" not in options)


def test_a_type_may_be_defined_after_the_function(manager):
    space = {"cached": cached, "BaseModel": BaseModel}
    exec(
        "@cached\ndef load() -> 'Later': return Later()\n"
        "@cached\ndef lost() -> 'Nowhere': return 1\n"
        "class Later(BaseModel): x: int = 1\n",
        space,
    )
    assert space["load"]() == space["load"]() == space["Later"]()
    with pytest.raises(TypeError, match=r"return annotation of lost\(\), 'Nowhere', is not known"):
        space["lost"]()


def test_an_object_that_is_called_may_be_cached(calls):
    class Loader:
        def __init__(self):
            self.__qualname__ = self.__name__ = "loader"
            self.__module__ = "here"
            self.__annotations__ = {"return": int}

        async def __call__(self, id: int):
            calls.append(id)
            return id

    load = cached(Loader())
    assert [asyncio.run(load(1)), asyncio.run(load(1))] == [1, 1]
    assert calls == [1]


def test_tasks_share_one_call(calls):
    @cached
    async def load(id: int) -> User:
        calls.append(id)
        await asyncio.sleep(0)
        return User(id=id)

    async def use():
        found = await asyncio.gather(*[load(number % 2) for number in range(10)])
        assert len({id(user) for user in found}) == 10
        return [user.id for user in found]

    assert asyncio.run(use()) == [0, 1] * 5
    assert sorted(calls) == [0, 1]
    assert load.cache_info().waits == 8


def test_threads_share_one_call(calls):
    begun, release = threading.Event(), threading.Event()

    @cached
    def load(id: int) -> User:
        calls.append(id)
        begun.set()
        release.wait()
        return User(id=id)

    found = []
    threads = [threading.Thread(target=lambda: found.append(load(1))) for _ in range(5)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert found == [User(id=1)] * 5
    assert calls == [1]


def test_event_loops_share_one_call(calls):
    begun, release = threading.Event(), threading.Event()

    @cached
    async def load() -> int:
        calls.append(1)
        begun.set()
        await asyncio.to_thread(release.wait)
        return len(calls)

    found = []

    def use():
        found.append(asyncio.run(load()))

    threads = [threading.Thread(target=use) for _ in range(3)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert (found, calls) == ([1] * 3, [1])


class Account(BaseModel):
    """A model with cached methods, whose fields are part of their keys."""

    id: int

    @cached
    def load(self) -> list[int]:
        return [self.id]

    @cached
    async def later(self, more: int) -> int:
        return self.id + more

    @cached
    @classmethod
    def name(cls) -> str:
        return cls.__name__

    @computed_field
    @property
    @cached
    def total(self) -> int:
        return self.id * 10


def test_a_model_may_have_cached_methods(manager):
    class Child(Account):
        pass

    one, other = Account(id=1), Account(id=2)
    assert [one.load(), other.load(), Account(id=1).load()] == [[1], [2], [1]]
    assert Account.load.cache_info()[:2] == (1, 2)
    assert [asyncio.run(one.later(3)), asyncio.run(other.later(3))] == [4, 5]
    assert [Account.name(), Child.name(), Child(id=1).name()] == ["Account", "Child", "Child"]
    assert one.model_dump() == {"id": 1, "total": 10}
    assert list(Child.model_fields) == ["id"]
    one.load.invalidate()
    assert one.load() == [1]
    assert Account.load.cache_info().misses == 3


def test_all_who_wait_get_the_exception(calls):
    @cached
    async def load() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        raise LookupError("no")

    async def use():
        return await asyncio.gather(*[load() for _ in range(3)], return_exceptions=True)

    assert [type(error) for error in asyncio.run(use())] == [LookupError] * 3
    assert calls == [1]


def test_the_others_go_on_where_the_first_is_cancelled(calls):
    @cached
    async def load() -> int:
        calls.append(1)
        await asyncio.sleep(0 if len(calls) > 1 else 3600)
        return len(calls)

    async def use():
        first, *others = [asyncio.ensure_future(load()) for _ in range(3)]
        await asyncio.sleep(0)
        others[0].cancel()
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, second, third = asyncio.run(use())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, asyncio.CancelledError)
    assert (third, calls) == (2, [1, 1])


def test_those_who_wait_make_calls_of_their_own_for_a_result_that_cannot_be_shared(calls, caplog):
    @cached
    async def load() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        return "none"

    async def use():
        return await asyncio.gather(*[load() for _ in range(3)])

    assert asyncio.run(use()) == ["none"] * 3
    assert len(calls) == 3


def test_nobody_waits_without_end(calls, monkeypatch):
    monkeypatch.setattr(function_cache, "WAIT_SECONDS", 0.0)

    @cached
    async def load() -> int:
        calls.append(1)
        await asyncio.sleep(3600 if len(calls) == 1 else 0)
        return len(calls)

    async def use():
        first = asyncio.ensure_future(load())
        await asyncio.sleep(0)
        found = await load()
        first.cancel()
        return found

    assert asyncio.run(use()) == 2


def test_a_function_may_call_itself(calls):
    @cached
    def fib(n: int) -> int:
        calls.append(n)
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    @cached
    def again(n: int) -> int:
        calls.append(n)
        return n if len(calls) > 3 else again(n)

    assert fib(20) == 6765
    assert len(calls) == 21
    calls.clear()
    assert again(7) == 7


def test_functions_may_call_each_other_at_once(manager):
    @cached
    async def left(n: int) -> int:
        await asyncio.sleep(0)
        return n if n > 4 else await right(n + 1) + 1

    @cached
    async def right(n: int) -> int:
        await asyncio.sleep(0)
        return n if n > 4 else await left(n + 1) + 1

    async def use():
        return await asyncio.gather(left(0), right(0), left(1), right(1))

    assert asyncio.run(use()) == [10, 10, 9, 9]


def test_a_ring_of_calls_does_not_wait_for_itself(calls):
    @cached
    async def a(caller: str) -> str:
        calls.append("a")
        await asyncio.sleep(0)
        return "a" if len(calls) > 4 else "a" + await b("x")

    @cached
    async def b(caller: str) -> str:
        calls.append("b")
        await asyncio.sleep(0)
        return "b" if len(calls) > 4 else "b" + await a("x")

    async def use():
        async with asyncio.timeout(600):
            return await asyncio.gather(a("x"), b("x"))

    found = asyncio.run(use())
    assert found[0][0] == "a"
    assert found[1][0] == "b"


def test_what_was_invalidated_meanwhile_is_not_stored(calls):
    @cached
    async def load(id: int) -> int:
        calls.append(id)
        await asyncio.sleep(0)
        return len(calls)

    async def use():
        first = asyncio.ensure_future(load(1))
        await asyncio.sleep(0)
        await load.invalidate(1)
        # It began after the invalidation, and does not wait for what began before.
        second = asyncio.ensure_future(load(1))
        return await first, await second, await load(1)

    assert asyncio.run(use()) == (1, 2, 2)


@pytest.mark.parametrize("purged", ["tag", "function"])
def test_what_was_purged_meanwhile_is_not_stored(calls, manager, clock, purged):
    @cached(tags=["users"])
    async def load(id: int) -> int:
        calls.append(id)
        await asyncio.sleep(0)
        return len(calls)

    async def use():
        first = asyncio.ensure_future(load(1))
        await asyncio.sleep(0)
        await (manager.purge("users") if purged == "tag" else load.clear())
        clock.now += 1
        return await first, await load(1), await load(1)

    assert asyncio.run(use()) == (1, 2, 2)


def test_an_earlier_call_does_not_replace_a_refreshed_value(calls):
    @cached
    async def load(id: int) -> int:
        calls.append(id)
        number = len(calls)
        await asyncio.sleep(0)
        if number == 1:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return number

    async def use():
        first = asyncio.ensure_future(load(1))
        await asyncio.sleep(0)
        assert await load.refresh(1) == 2
        assert await first == 1
        return await load(1)

    assert asyncio.run(use()) == 2


def test_a_stale_value_is_given_while_one_call_refreshes_it(calls, clock):
    @cached(ttl=10, stale=5)
    async def load() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        return len(calls)

    async def use():
        assert await load() == 1
        clock.now += 12
        assert [await load(), await load()] == [1, 1]
        while load.cache_info().refreshes and len(calls) < 2:
            await asyncio.sleep(0)
        while await load() == 1:
            await asyncio.sleep(0)
        assert len(calls) == 2
        clock.now += 15
        assert await load() == 3
        return load.cache_info()

    info = asyncio.run(use())
    assert (info.misses, info.refreshes) == (2, 1)
    assert info.stale >= 2


def test_a_stale_value_of_a_thread_is_refreshed_in_another(calls, clock):
    refreshed = threading.Event()

    @cached(ttl=10, stale=5)
    def load() -> int:
        calls.append(threading.current_thread())
        if len(calls) > 1:
            refreshed.set()
        return len(calls)

    assert load() == 1
    clock.now += 12
    assert load() == 1
    refreshed.wait()
    for thread in threading.enumerate():
        if thread is calls[1]:
            thread.join()
    assert load() == 2
    assert calls[1] is not calls[0]


def join_refreshes(load):
    for thread in threading.enumerate():
        if thread.name.endswith(load.__qualname__):
            thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_refresh_that_ends_its_thread_holds_up_nobody(calls, clock, monkeypatch):
    monkeypatch.setattr(function_cache, "WAIT_SECONDS", 3600.0)

    @cached(ttl=10, stale=5)
    def load() -> int:
        calls.append(1)
        if len(calls) == 2:
            raise SystemExit
        return len(calls)

    assert load() == 1
    clock.now += 12
    assert load() == 1
    join_refreshes(load)
    clock.now += 12
    assert load() == 3
    assert load.cache_info().waits == 0


def test_a_stale_value_is_given_if_no_thread_can_be_started(calls, clock, monkeypatch):
    @cached(ttl=10, stale=5)
    def load() -> int:
        calls.append(1)
        return len(calls)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    assert load() == 1
    clock.now += 12
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert load() == 1
    assert load() == 1
    join_refreshes(load)
    assert load() == 2


def test_refreshes_of_closed_loops_hold_up_nobody(calls, clock, monkeypatch):
    """Their tasks never end, if whoever closes the loop does not cancel them."""
    monkeypatch.setattr(function_cache, "WAIT_SECONDS", 3600.0)
    monkeypatch.setattr(function_cache, "MAX_REFRESHES", 1)

    def use():
        @cached(ttl=10, stale=5)
        async def load(id: int) -> int:
            calls.append(id)
            await asyncio.sleep(0)
            return len(calls)

        def run(id):
            loop = asyncio.new_event_loop()
            try:
                return loop.run_until_complete(load(id))
            finally:
                loop.close()

        assert [run(1), run(2)] == [1, 2]
        clock.now += 12
        assert [run(1), run(2), run(1)] == [1, 2, 1]
        assert load.cache_info().refreshes == 3
        clock.now += 12
        assert run(1) > 2
        assert load.cache_info().waits == 0

    use()
    # asyncio logs the tasks when they are collected, which another test must not see.
    gc.collect()


def test_a_refresh_that_fails_leaves_the_stale_value(calls, clock, caplog):
    @cached(ttl=10, stale=50)
    async def load() -> int:
        calls.append(1)
        if len(calls) == 2:
            raise LookupError("no")
        return len(calls)

    async def use():
        assert await load() == 1
        clock.now += 12
        for _ in range(5):
            assert await load() == 1
            if len(calls) == 2:
                break
            await asyncio.sleep(0)
        while load.cache_info().refreshes < 2:
            await load()
            await asyncio.sleep(0)
        while await load() == 1:
            await asyncio.sleep(0)
        return await load()

    with caplog.at_level(logging.WARNING, "asgi_serial"):
        assert asyncio.run(use()) == 3
    assert [record.getMessage().partition(" of")[0] for record in caplog.records] == ["A refresh"]


def test_not_more_are_refreshed_at_once_than_the_limit(calls, clock, monkeypatch):
    monkeypatch.setattr(function_cache, "MAX_REFRESHES", 2)

    @cached(ttl=10, stale=50)
    async def load(id: int) -> int:
        calls.append(id)
        if len(calls) > 5:
            await asyncio.sleep(3600)
        return id

    async def use():
        await asyncio.gather(*map(load, range(5)))
        clock.now += 12
        await asyncio.gather(*map(load, range(5)))
        await asyncio.sleep(0)
        return calls[5:]

    assert asyncio.run(use()) == [0, 1]
    # The loop has ended, and its refreshes with it; another one may refresh.
    assert load.cache_info().refreshes == 2
    assert asyncio.run(load(0)) == 0
    assert load.cache_info().refreshes == 3


def test_without_asyncio_each_makes_its_own_call(calls, clock):
    @cached(ttl=10, stale=5)
    async def load(id: int) -> int:
        calls.append(id)
        await trio.sleep(0)
        return len(calls)

    async def use():
        found = [await load(1), await load(1)]
        clock.now += 12
        found.append(await load(1))
        await load.invalidate(1)
        found.append(await load(1))
        await load.clear()
        clock.now += 1
        return [*found, await load(1)]

    assert trio.run(use) == [1, 1, 1, 2, 3]


def test_context_variables_of_the_caller_are_kept(calls):
    variable = ContextVar("variable", default=0)

    @cached
    async def load() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    async def use():
        variable.set(6)
        return await load(), variable.get(), await load(), variable.get()

    assert asyncio.run(use()) == (7, 7, 7, 7)


limit = {"max": 10}


def check_limit(value):
    if value > limit["max"]:
        raise ValueError
    return value


Limited = typing.Annotated[int, AfterValidator(check_limit)]


def test_a_value_that_is_no_longer_valid_is_a_miss(calls, monkeypatch):
    @cached
    def load() -> list[Limited]:
        calls.append(1)
        return [10 - len(calls)]

    assert load() == [9]
    monkeypatch.setitem(limit, "max", 8)
    assert load() == [8]
    assert len(calls) == 2


def test_the_type_of_a_wrapped_function_is_found_where_it_is_written():
    def outer() -> "User":
        raise NotImplementedError

    @functools.wraps(outer)
    def inner():
        raise NotImplementedError

    assert find_type(inner, "inner") is User


def test_a_bare_decorator_and_one_with_options_are_the_same(manager):
    assert cached(one).key(1) != cached()(one).key(1)  # two functions of one name
    assert cached(key="one:{id}")(one).key(1) == "one:1"


def test_a_manager_may_be_named(calls):
    own = create_serialization_manager(environ={})

    @cached(manager=own, key="k")
    async def load() -> int:
        calls.append(1)
        return len(calls)

    async def use():
        assert await load() == 1
        assert await own.get_model("k", int) == 1
        await own.delete("k")
        assert await load() == 2

    asyncio.run(use())
