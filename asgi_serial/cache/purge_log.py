"""Exchange purges between processes by numbered records in their shared store."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from math import inf, isfinite
from typing import NamedTuple

from asgi_serial.cache.packing import digest_key
from asgi_serial.cache.purges import Purge, find_fault
from asgi_serial.store.base import GuardedStore

MAX_RECORD_BYTES = 64_000
"""The longest record; the store must accept values of this length."""

MAX_BEHIND = 500
"""The most records that a process reads in one poll; beyond that, it counts them as missed."""

PATIENCE_SECONDS = 5.0
"""The longest delay between a number and its record; writing one takes one call of the store."""

# Stores keep nothing for longer, so no entry outlives the record of its purge.
_TTL_SECONDS = 30 * 86_400.0
_RENEWAL_SECONDS = 7 * 86_400.0
# The records form a ring, which bounds their size. An overwritten record is more than MAX_BEHIND
# records old.
_PLACES = 1024
_READ_AT_ONCE = 25  # up to 1.6 MB

_MAGIC = b"\xa9purge\xff\x01"
_HEAD_BYTES = len(_MAGIC) + 16
_MAX_BATCH_BYTES = MAX_RECORD_BYTES - 200
_MAX_DIGITS = 19


class Record(NamedTuple):
    """The purges of a call of `publish`, or a part of them."""

    number: int
    nonce: str  # distinguishes records with the same number
    at: float  # by the writer's clock
    purges: tuple[Purge, ...]


class PurgeLog:
    """Publishes the purges of this process to all that share its store, and reads theirs.

    Call `poll` every few seconds, from one task, and add everything it returns to a `PurgeTable`. A
    purge reaches every process within the interval of its polls plus the time-outs of the store's
    calls, or PATIENCE_SECONDS later if its record was lost or damaged. A process that cannot reach
    the store gets the purges that it missed later; if they are unknown, it purges everything.

    The clocks of hosts may differ by `max_skew_seconds`. The time of a purge becomes that of its
    arrival, if that is later, so that it covers every entry that a host made before it learned of
    the purge, whatever its clock says. Entries made within `max_skew_seconds` after that are made
    once more.
    """

    def __init__(
        self,
        store: GuardedStore,
        clock: Callable[[], float],
        realm: str,
        *,
        max_skew_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self.clock = clock
        self._realm = realm
        self._skew = max_skew_seconds
        self._counter = digest_key((realm, "purges"))
        self._number: int | None = None  # of the last record that was read
        self._newest: Record | None = None  # the record with that number, if it existed
        self._missing: dict[int, float] = {}  # numbers without a record, and since when
        # The nonces of this process's own records. A process ID would not do: after a fork, the
        # children must read each other's records.
        self._own: deque[str] = deque(maxlen=MAX_BEHIND)
        self._grown_at = inf
        self.heard_at = -inf
        """The last time at which the store answered a poll.

        Before the first answer, the store's entries cannot be trusted: they may have been purged
        before this process started.
        """

    async def publish(self, purges: Sequence[Purge]) -> bool:
        """Publish purges to other processes; return whether the store accepted all of them.

        After False, it is unknown which processes they reach; publish them again. If a record got a
        number but not into the store, all processes will purge everything. `poll` does not return
        the purges that were published here.

        Raises: ValueError with the message of `find_fault`.
        """
        for purge in purges:
            fault = find_fault(purge)
            if fault is not None:
                raise ValueError(f"the purge {fault}")
        batches = _encode(purges)
        return not batches or await self._append(batches) is not None

    async def _append(self, batches: list[bytes]) -> int | None:
        """Append records, and return the number of the last; None if one was not accepted."""
        at = self.clock()
        # The counter starts from the clock, so that numbers do not repeat if the store loses it.
        last = await self._store.increment(
            self._counter, ttl=_TTL_SECONDS, delta=len(batches), start=int(at * 1000)
        )
        if last is None:
            return None
        for number, batch in enumerate(batches, last - len(batches) + 1):
            name, nonce = self._name(number), os.urandom(8).hex()
            record = _pack(name, number, nonce, at, batch)
            self._own.append(nonce)
            await self._store.set(name, record, ttl=_TTL_SECONDS)
            if await self._store.get(name) != record:
                return None
        return last

    async def poll(self) -> list[Purge]:
        """Return the purges of other processes since the last poll; [] if the store fails.

        The first poll begins with a purge of everything before the oldest record that still exists.
        Later, a purge of everything until now replaces records that were missed.
        """
        last = await self._find_last()
        if last is None:
            return []
        if self._number is None:
            purges = await self._begin(last)
        elif last == self._number and not self._missing:
            purges = []
            await self._renew()
        else:
            purges = await self._go_on(self._number, last)
        self.heard_at = self.clock()
        return purges

    async def _renew(self) -> None:
        """Prevent the store from expiring the number."""
        if self.clock() - self._grown_at > _RENEWAL_SECONDS:
            await self._append([b"[]"])

    async def _find_last(self) -> int | None:
        data = await self._store.get(self._counter)
        if data is not None:
            if data.isdigit() and len(data) <= _MAX_DIGITS:
                return int(data)
            await self._store.delete(self._counter)
        # There is no number, or the store is down; adding to it tells which. A lost log starts over
        # with a number far from its last.
        return await self._append([b"[]"])

    async def _begin(self, last: int) -> list[Purge]:
        known: list[Record] = []
        for newest in range(last, last - MAX_BEHIND, -_READ_AT_ONCE):
            some = await self._read(range(newest, newest - _READ_AT_ONCE, -1))
            gap = some.index(None) if None in some else len(some)
            known += [record for record in some[:gap] if record is not None]
            if gap < len(some):
                break
        now = self.clock()
        self._number, self._newest = last, known[0] if known else None
        self._grown_at = known[0].at if known else now
        self._missing = {} if known else {last: now}
        # Records before the oldest are unknown, but their purges were earlier. The skew is not
        # added here: entries that are made while a log begins must be trusted.
        floor = Purge("all", "", None, known[-1].at if known else now)
        told = [purge for record in known for purge in record.purges]
        return [floor, *[purge._replace(at=purge.at + self._skew) for purge in told]]

    async def _go_on(self, before: int, last: int) -> list[Purge]:
        if not 0 <= last - before <= MAX_BEHIND - len(self._missing):
            return self._lose(last)
        # The last known record is read again. A store that has lost numbers, as after a failover,
        # assigns them to other records.
        numbers = [before, *self._missing, *range(before + 1, last + 1)]
        again, *records = await self._read(numbers)
        now = self.clock()
        missing = {
            number: self._missing.get(number, now)
            for number, record in zip(numbers[1:], records, strict=True)
            if record is None
        }
        is_replaced = None not in (self._newest, again) and again != self._newest
        if is_replaced or any(now - since > PATIENCE_SECONDS for since in missing.values()):
            return self._lose(last)
        self._missing, own = missing, frozenset(self._own)
        if last > before:
            self._number, self._newest, self._grown_at = last, records[-1], now
        return [
            purge._replace(at=max(purge.at, now) + self._skew)
            for record in records
            if record is not None and record.nonce not in own
            for purge in record.purges
        ]

    def _lose(self, last: int) -> list[Purge]:
        now = self.clock()
        self._number, self._newest, self._grown_at = last, None, now
        self._missing = {}
        return [Purge("all", "", None, now + self._skew)]

    async def _read(self, numbers: Sequence[int]) -> list[Record | None]:
        """Return the records with these numbers; None for those that are missing or invalid."""
        records: list[Record | None] = []
        for start in range(0, len(numbers), _READ_AT_ONCE):
            some = numbers[start : start + _READ_AT_ONCE]
            names = [self._name(number) for number in some]
            records += map(_unpack, names, some, await self._store.get_many(names))
        return records

    def _name(self, number: int) -> str:
        return digest_key((self._realm, "purges", str(number % _PLACES)))


def _encode(purges: Iterable[Purge]) -> list[bytes]:
    """Encode purges as JSON lists, each of which fits into a record."""
    batches: list[list[bytes]] = []
    size = _MAX_BATCH_BYTES
    for kind, value, host, at in purges:
        text = json.dumps((kind, value, host, float(at)), ensure_ascii=False)
        item = text.encode("utf-8", "surrogatepass")
        size += len(item) + 1
        if size > _MAX_BATCH_BYTES:
            batches.append([])
            size = len(item) + 1
        batches[-1].append(item)
    return [b"[%b]" % b",".join(items) for items in batches]


def _pack(name: str, number: int, nonce: str, at: float, batch: bytes) -> bytes:
    content = b"[%b,%b]" % (json.dumps([number, nonce, float(at)])[1:-1].encode(), batch)
    return _MAGIC + _checksum(name, content) + content


def _checksum(name: str, content: bytes) -> bytes:
    # The name is the key of the digest, so that a record under another name is invalid.
    return blake2b(content, digest_size=16, key=name.encode()).digest()


def _unpack(name: str, number: int, data: bytes | None) -> Record | None:
    """Return the record that was packed for a number; None for any other bytes."""
    if data is None or len(data) > MAX_RECORD_BYTES or not data.startswith(_MAGIC):
        return None
    content = data[_HEAD_BYTES:]
    if _checksum(name, content) != data[len(_MAGIC) : _HEAD_BYTES]:
        return None
    try:
        document = json.loads(content.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    match document:
        case [int() as found, str() as nonce, float() as at, list() as items]:
            purges = tuple([_read_purge(item) for item in items])
            told = tuple([purge for purge in purges if purge is not None])
            if found == number and isfinite(at) and told == purges:
                return Record(number, nonce, at, told)
    return None


def _read_purge(item: object) -> Purge | None:
    match item:
        case [str() as kind, str() as value, (str() | None) as host, float() as at]:
            purge = Purge(kind, value, host, at)
            return purge if find_fault(purge) is None else None
    return None
