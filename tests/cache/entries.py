"""Entries to store, and stores that do as a test tells them."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from asgi_serial.cache.entry import PLAIN_TERMS, Entry, Representation
from asgi_serial.store.base import DeleteToken, SetValue

KEY = ("2 ", "GET", "http", b"a.example", None, "", "/a", b"/a", b"", None, None)
BORN = 1_800_000_000.0


def make_entry(
    key=KEY,
    *,
    body=b"body",
    generated_at=BORN,
    lifetime=60.0,
    vary_values=(),
    coding="",
    fields=None,
    terms=PLAIN_TERMS,
) -> Entry:
    """An entry as the engine makes it of a response, with a field list of its own."""
    given = fields or [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    kept = Representation(list(given), body, coding, None)
    return Entry(
        key,
        200,
        list(given),
        generated_at=generated_at,
        expires=generated_at + lifetime,
        credentialed=frozenset(),
        route="/a",
        vary_values=vary_values,
        negotiates=(False, True),
        representations={("", coding): kept},
        app_bytes=len(body),
        terms=terms,
    )


def selecting_by(**values):
    """Return a request that has these fields, `accept_language` for one."""
    given = {name.replace("_", "-").encode(): value for name, value in values.items()}

    def vary_values(names):
        return tuple((name, given.get(name)) for name in names)

    return SimpleNamespace(vary_values=vary_values)


NOTHING = selecting_by()


class OneByOne:
    """What a guarded store does by several calls if it cannot by one."""

    async def get_or_add(self, keys, claim):
        if len(keys) == 1:
            return [await self.get(keys[0])], None
        return await self.get_many(keys), None

    async def write(self, writes):
        for are_last in (False, True):
            some = [each for each in writes if isinstance(each, DeleteToken) is are_last]
            await asyncio.gather(*map(self._write_one, some))

    async def _write_one(self, write):
        if isinstance(write, SetValue):
            await self.set(write.key, write.value, ttl=write.ttl)
        elif isinstance(write, DeleteToken):
            await self.delete_if(write.key, write.token)
        else:
            await self.delete(write.key)


class DictStore(OneByOne):
    """A second level in a dict, which logs what it is asked and can be made to wait."""

    is_shared = True

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.ttls: dict[str, float] = {}
        self.log: list[tuple[str, str]] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.loses = False  # what it is told; a server that is down

    async def get(self, key: str) -> bytes | None:
        self.log.append(("get", key))
        found = self.values.get(key)
        await self.may_go_on.wait()
        return found

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        await self.may_go_on.wait()
        self.log.append(("set", key))
        if not self.loses:
            self.values[key] = value
            self.ttls[key] = ttl

    async def delete(self, key: str) -> None:
        await self.may_go_on.wait()
        self.log.append(("delete", key))
        if not self.loses:
            self.values.pop(key, None)

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool:
        self.log.append(("add", key))
        is_new = key not in self.values
        if is_new:
            self.values[key] = value
            self.ttls[key] = ttl
        return is_new

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        self.log.append(("increment", key))
        number = int(self.values.get(key, str(start))) + delta
        self.values[key] = str(number).encode()
        return number

    async def get_many(self, keys) -> list[bytes | None]:
        self.log += [("get", key) for key in keys]
        found = [self.values.get(key) for key in keys]
        await self.may_go_on.wait()
        return found

    async def delete_if(self, key: str, token: bytes) -> bool:
        self.log.append(("delete_if", key))
        is_token = self.values.get(key) == token
        if is_token:
            del self.values[key]
        return is_token

    async def close(self) -> None:
        self.log.append(("close", ""))

    def statistics(self) -> Mapping[str, int]:
        return {"sets": len(self.ttls)}

    def state(self) -> Mapping[str, Any]:
        return {"target": "a dict", "state": "closed", "last_failure": None}


class AtOnceStore(DictStore):
    """One that reads and adds in one step, as Redis does."""

    async def get_or_add(self, keys, claim):
        self.log.append(("get_or_add", claim.key))
        found = [self.values.get(key) for key in keys]
        is_added = None
        if found[-1] is None:
            is_added = self.values.setdefault(claim.key, claim.token) == claim.token
        await self.may_go_on.wait()
        return found, is_added
