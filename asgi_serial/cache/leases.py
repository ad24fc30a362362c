"""Leases: of the processes that share a second level, one calls the app for a response."""

from __future__ import annotations

import os
from threading import get_ident
from typing import TYPE_CHECKING

from asgi_serial.cache.key import place_of
from asgi_serial.cache.packing import digest_key, name_record
from asgi_serial.store.base import Claim, DeleteToken, SetValue

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key
    from asgi_serial.cache.second_level import SecondLevel

_LEASE = "lease"

LEASE_SECONDS = 2.0
"""How long a lease holds: others wait no longer for a process that has died."""


class Leases:
    """The leases of the calls that may store something, by its key."""

    def __init__(self, second: SecondLevel) -> None:
        self._second = second
        self._shared: dict[tuple[int, str], _Shared] = {}

    async def take(self, key: Key) -> bytes | None:
        """Return a token if this process may call the app for `key`; None if another one does.

        It holds for `LEASE_SECONDS`. A second level that is down forbids nothing.
        """
        token = os.urandom(16)
        return token if await self.add(_name(key), token) else None

    async def add(self, name: str, token: bytes) -> bool:
        """Return whether a lease was taken, or whether nobody knows."""
        taken = await self._second.store.add(name, token, ttl=LEASE_SECONDS)
        return taken is not False

    def renew(self, key: Key, token: bytes) -> None:
        """Extend a lease by `LEASE_SECONDS` from now."""
        self.extend(_name(key), token)

    def extend(self, name: str, token: bytes) -> None:
        """Extend the lease of this name by `LEASE_SECONDS` from now."""
        self._second.writers.send(
            name, lambda name: SetValue(name, token, LEASE_SECONDS), must=True
        )

    def end(self, key: Key, token: bytes) -> None:
        """Let other processes call the app, once what this one has stored has been written."""
        self.give_back(_name(key), token)

    def give_back(self, name: str, token: bytes) -> None:
        """End the lease of this name, once what this process has stored has been written."""
        self._second.writers.send(name, lambda name: DeleteToken(name, token), must=True)

    def share(self, name: str) -> _Shared:
        """Return the lease of this name, for one more request of this event loop."""
        place = get_ident(), name
        shared = self._shared.setdefault(place, _Shared(place))
        shared.users += 1
        return shared

    def leave(self, shared: _Shared, *, is_held: bool) -> None:
        """Take a request away from a shared lease, and end the lease after the last one."""
        shared.users -= 1
        shared.is_held = shared.is_held or is_held
        if shared.users == 0:
            del self._shared[shared.place]
            if shared.is_held:
                self.give_back(shared.name, shared.token)


def _name(key: Key) -> str:
    return digest_key((_LEASE, key))


class _Shared:
    """A lease that the requests of one event loop share which look for the same at once.

    Whichever of them calls the app does so by this lease.
    """

    __slots__ = ("is_held", "place", "token", "users")

    def __init__(self, place: tuple[int, str]) -> None:
        self.place = place  # the thread, and the name in the store
        self.token = os.urandom(16)
        self.users = 0
        self.is_held = False

    @property
    def name(self) -> str:
        """The name of the lease in the store."""
        return self.place[1]


class Lease:
    """The lease of one request for the response that it looks for, taken or not.

    It is asked for with the look into the second level, if that can do both at once, or by itself.
    """

    __slots__ = ("_leases", "_place", "_shared", "is_held")

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._shared: _Shared | None = None
        self._place: Key | None = None  # of what it is for
        self.is_held: bool | None = None
        """Whether it was taken; None if that was not tried, True while the answer is awaited."""

    def is_for(self, key: Key) -> bool:
        """Whether it concerns what is stored under a key."""
        return self._place == place_of(key)

    def claim(self, key: Key) -> Claim:
        """Return the value to add to the second level, which takes the lease for a key."""
        if self._shared is None or not self.is_for(key):
            self.end()
            self._place = place_of(key)
            self._shared = self._leases.share(name_record(key, _LEASE))
        self.is_held = True
        return Claim(self._shared.name, self._shared.token, LEASE_SECONDS)

    def settle(self, *, is_held: bool | None) -> None:
        """Note whether the claim was added."""
        assert self._shared is not None
        self.is_held = is_held
        self._shared.is_held = self._shared.is_held or bool(is_held)

    async def take(self, key: Key) -> bool:
        """Take the lease for a key by itself; return whether this process has it."""
        name, token, _ = self.claim(key)
        assert self._shared is not None
        is_held = self._shared.is_held or await self._leases.add(name, token)
        self.settle(is_held=is_held)
        return is_held

    def renew(self) -> None:
        """Extend it by `LEASE_SECONDS` from now."""
        assert self._shared is not None
        self._leases.extend(self._shared.name, self._shared.token)

    def end(self) -> None:
        """Let other processes call the app, once what this one has stored has been written.

        The last of the requests that share it does so.
        """
        shared, is_held = self._shared, self.is_held
        self._shared, self._place, self.is_held = None, None, None
        if shared is not None:
            self._leases.leave(shared, is_held=bool(is_held))
