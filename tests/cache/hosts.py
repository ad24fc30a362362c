"""Processes that tell one another what they purged, over one store."""

import asyncio
import functools
import inspect

from asgi_serial.cache.key import make_realm
from asgi_serial.cache.packing import digest_key
from asgi_serial.cache.purge_log import PurgeLog
from asgi_serial.cache.purges import Purge

from .entries import BORN, DictStore

REALM = make_realm("")
COUNTER = digest_key((REALM, "purges"))
SKEW = 1.0


def place_of(number):
    return digest_key((REALM, "purges", str(number % 1024)))


class LogStore(DictStore):
    """The dict with all that a log asks; what it is told to refuse has no effect."""

    def __init__(self):
        super().__init__()
        self.is_down = False
        self.refused = ()  # of the calls
        self.on_get_many = None  # called once, before the values are looked up

    def answers(self, call):
        return not (self.is_down or call in self.refused)

    async def get(self, key):
        return await super().get(key) if self.answers("get") else None

    async def get_many(self, keys):
        call, self.on_get_many = self.on_get_many, None
        if call is not None:
            await call()
        self.log.append(("get_many", str(len(keys))))
        return [self.values.get(key) if self.answers("get_many") else None for key in keys]

    async def set(self, key, value, *, ttl):
        if self.answers("set"):
            await super().set(key, value, ttl=ttl)

    async def delete(self, key):
        if self.answers("delete"):
            await super().delete(key)

    async def increment(self, key, *, ttl, delta=1, start=0):
        self.log.append(("increment", key))
        if not self.answers("increment") or not self.values.get(key, b"0").isdigit():
            return None
        number = int(self.values.get(key, start)) + delta
        self.values[key] = b"%d" % number
        self.ttls[key] = ttl
        return number


class Clock:
    def __init__(self, now=BORN):
        self.now = now

    def __call__(self):
        return self.now


class Hosts:
    """Two processes over one store, whose logs have both begun, each with a clock of its own."""

    def __init__(self, *, ahead=0.0, count=2):
        self.store = LogStore()
        self.clocks = [Clock(BORN + ahead * place) for place in range(count)]
        self.logs = [PurgeLog(self.store, clock, REALM) for clock in self.clocks]
        self.one, self.other = self.logs[:2]

    def pass_time(self, seconds):
        for clock in self.clocks:
            clock.now += seconds

    @property
    def last(self):
        return int(self.store.values[COUNTER])

    async def begin(self):
        for _ in range(2):
            for log in self.logs:
                await log.poll()
        self.store.log.clear()
        return self


def tag(value, at=BORN):
    return Purge("tag", value, None, at)


def arrived(*purges, at=BORN):
    return [purge._replace(at=at + SKEW) for purge in purges]


BEGINNING = Purge("all", "", None, BORN)
EVERYTHING = arrived(BEGINNING)


def told(main):
    """A test of what two hosts tell one another."""

    async def begun(given):
        await main(await Hosts().begin(), **given)

    @functools.wraps(main)
    def test(**given):
        asyncio.run(begun(given))

    # What pytest gives it is what follows the hosts.
    parameters = list(inspect.signature(main).parameters.values())[1:]
    test.__signature__ = inspect.Signature(parameters)
    return test
