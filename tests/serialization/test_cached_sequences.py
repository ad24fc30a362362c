"""Sequences of calls, sets, deletes, purges and waits give what a plain dict with times does."""

import asyncio
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from asgi_serial import SerializationConfig, cached, create_serialization_manager

from .clock import Clock

TTL, STEP = 10.0, 0.001


class Value(BaseModel):
    id: int
    version: int


class Known(NamedTuple):
    value: Value
    until: float


ids = st.integers(0, 2)
steps = st.lists(
    st.tuples(st.sampled_from(["call", "get", "refresh", "invalidate", "delete", "tag"]), ids)
    | st.tuples(st.just("set"), ids)
    | st.tuples(st.just("wait"), st.sampled_from([1.0, 6.0, 9.9, 10.0, 20.0]))
    | st.tuples(st.sampled_from(["clear", "purge all", "off", "on", "format"]), st.just(0)),
    max_size=30,
)


class Model:
    """What a cache does, in the fewest words."""

    def __init__(self, clock):
        self.clock = clock
        self.known = {}
        self.version = 0
        self.is_on = True

    def make(self, id):
        self.version += 1
        return Value(id=id, version=self.version)

    def find(self, id):
        known = self.known.get(id)
        return known.value if self.is_on and known and self.clock() < known.until else None

    def call(self, id):
        return self.find(id) or self.keep(id, self.make(id), TTL)

    def keep(self, id, value, ttl):
        if self.is_on:
            self.known[id] = Known(value, self.clock() + ttl)
        return value


@given(steps, st.booleans())
def test_a_cached_function_and_its_keys_are_as_a_dict_with_times(sequence, is_async):
    clock = Clock()
    model, real = Model(clock), Model(clock)
    manager = create_serialization_manager(SerializationConfig(), environ={})
    manager.cached_manager.values.clock = clock

    def make(id: int) -> Value:
        return real.make(id)

    async def make_later(id: int) -> Value:
        await asyncio.sleep(0)
        return real.make(id)

    load = cached(ttl=TTL, key="k:{id}", tags=["tag:{id}", "all"], manager=manager)(
        make_later if is_async else make
    )

    async def run(result):
        return await result if is_async else result

    async def play():
        for action, value in sequence:
            clock.now += STEP
            if action == "call":
                found = await run(load(value))
                assert found == model.call(value)
                found.version = -1
            elif action == "get":
                found = await manager.get_model(f"k:{value}", Value)
                assert found == model.find(value)
            elif action == "refresh":
                assert await run(load.refresh(value)) == model.keep(value, model.make(value), TTL)
            elif action == "set":
                made = Value(id=value, version=100 + value)
                await manager.set_model(f"k:{value}", made, 5, tags=["all", f"tag:{value}"])
                model.keep(value, made, 5)
            elif action == "invalidate":
                await run(load.invalidate(value))
                model.known.pop(value, None)
            elif action == "delete":
                await manager.delete(f"k:{value}")
                model.known.pop(value, None)
            elif action == "tag":
                assert await manager.purge(f"tag:{value}")
                model.known.pop(value, None)
            elif action == "purge all":
                assert await manager.purge("all")
                model.known.clear()
            elif action == "clear":
                await run(load.clear())
                # What was set by its key is not the function's.
                for id, known in list(model.known.items()):
                    if known.value.version < 100:
                        del model.known[id]
            elif action == "wait":
                clock.now += value
            elif action == "format":
                # Values in another format are other values.
                await run(load.clear())
                model.known.clear()
                await manager.purge("all")
                names = ["json", "msgpack"]
                current = manager.config.default_format.value
                manager.config.default_format = names[current == "json"]
            else:
                manager.config.enable_caching = model.is_on = action == "on"
            assert real.version == model.version

    asyncio.run(play())


@given(st.lists(st.tuples(ids, st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_calls_at_once_never_give_what_was_invalidated_before_they_began(plan):
    """Each call takes some turns of the loop; each invalidation is seen by all later calls."""
    source = dict.fromkeys(range(3), 0)
    manager = create_serialization_manager(SerializationConfig(), environ={})

    @cached(key="k:{id}", manager=manager)
    async def read(id: int) -> list[int]:
        found = source[id]
        for _ in range(turns[0]):
            await asyncio.sleep(0)
        return [id, found]

    turns = [0]

    async def play():
        checks = []

        async def check(id, least):
            found_id, version = await read(id)
            assert found_id == id
            assert least <= version <= source[id]

        for id, waits, writes in plan:
            turns[0] = waits
            checks.append(asyncio.ensure_future(check(id, source[id])))
            await asyncio.sleep(0)
            if writes:
                source[id] += 1
                await read.invalidate(id)
        await asyncio.gather(*checks)

    asyncio.run(play())
