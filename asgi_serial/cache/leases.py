"""Leases: of the processes that share a second level, one calls the app for a response."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asgi_serial.cache.packing import digest_key

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key
    from asgi_serial.cache.second_level import SecondLevel

_LEASE = "lease"

LEASE_SECONDS = 2.0
"""How long a lease holds: others wait no longer for a process that has died."""


class Leases:
    """The leases of the calls of the app, by the key of what a call may store."""

    def __init__(self, second: SecondLevel) -> None:
        self._second = second

    async def take(self, key: Key) -> bytes | None:
        """Return a token if this process may call the app for `key`; None if another one does.

        It holds for `LEASE_SECONDS`. A second level that is down forbids nothing.
        """
        token = os.urandom(16)
        taken = await self._second.store.add(_name(key), token, ttl=LEASE_SECONDS)
        return None if taken is False else token

    def renew(self, key: Key, token: bytes) -> None:
        """Extend a lease by `LEASE_SECONDS` from now."""
        self._second.writers.send(
            _name(key),
            lambda name: self._second.store.set(name, token, ttl=LEASE_SECONDS),
            must=True,
        )

    def end(self, key: Key, token: bytes) -> None:
        """Let other processes call the app, once what this one has stored has been written."""
        self._second.writers.send(
            _name(key),
            lambda name: self._second.store.delete_if(name, token),
            must=True,
            last=True,
        )


def _name(key: Key) -> str:
    return digest_key((_LEASE, key))
