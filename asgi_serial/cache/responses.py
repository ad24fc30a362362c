"""The cache of responses: a first level in the process, and a second one that processes share."""

from __future__ import annotations

import asyncio
import contextlib
import os
from itertools import islice
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, ref

from asgi_serial.cache.collapse import running_loop
from asgi_serial.cache.entry import Entry, VaryIndex
from asgi_serial.cache.frame import digest_key, pack_entry, pack_vary_index, unpack_record
from asgi_serial.cache.key import (
    Kind,
    fork_of,
    is_of_part,
    key_of_kind,
    kind_of,
    part_key,
    partition_of,
    resource_of,
    uri_of,
    usual_kinds,
)
from asgi_serial.cache.purge_log import PurgeLog
from asgi_serial.cache.purges import Purge, PurgeTable, purge_of_uri
from asgi_serial.cache.sharing import SharedFields
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asgi_serial.cache.entry import Key, Representation, Variant
    from asgi_serial.cache.memory import Memory
    from asgi_serial.cache.store import Store

    Select = Callable[[tuple[bytes, ...]], tuple[tuple[bytes, bytes | None], ...]]
    """The varying fields of a request with their values, by the fields' names."""

MISS, VARY_MISS = Reason.MISS, Reason.VARY_MISS
_LEASE = "lease"
LEASE_SECONDS = 2.0

# Writes that wait for the second level; what comes on top is dropped, and counted.
MAX_WAITING_WRITES = 256
MAX_WAITING_DROPS = 10_000
WRITES_AT_ONCE, ENTRIES_AT_ONCE = 16, 4
MAX_REMEMBERED_DROPS = 10_000
MAX_TOLD = 1000
MAX_UNTOLD = 10_000  # beyond it all is purged elsewhere: the second level takes nothing any more
SKEW_SECONDS = 1.0  # by which the clocks of hosts may differ


class ResponseCache:
    """Finds, keeps and drops stored responses; knows nothing of whether they may be used.

    What is stored of a resource lies under its key, or, where its responses vary, under keys that
    hang on an index there (a nonce of the index is part of them). What is told apart by more than
    a usual GET (a body, configured fields) hangs on an index of its URI in the same way. So
    whoever writes to the URI drops it all by a few deletions, in both levels.
    """

    def __init__(
        self,
        memory: Memory[object],
        store: Store | None,
        clock: Callable[[], float],
        *,
        max_entry_bytes: float = inf,
        realm: str = "",
        poll_seconds: float = 0.0,
        hearing_seconds: float = 0.25,
    ) -> None:
        self._memory = memory
        self.store = store
        self._clock = clock
        self.purges = PurgeTable()
        # Without polls nothing is heard of other processes, and they are told nothing.
        hears = store is not None and poll_seconds > 0
        self._log = PurgeLog(store, clock, realm) if store is not None and hears else None
        self._poll_seconds = poll_seconds
        self._hearing_seconds = hearing_seconds  # that a request waits for what was purged before
        self._listener: asyncio.Task[None] | None = None
        self._has_heard = asyncio.Event()  # the listener, for the first time
        self._believed_from = -inf  # what is older in the second level may have been purged
        self._untold: list[Purge] = []  # what other processes are to be told
        self._teller: asyncio.Task[None] | None = None
        self._max_entry_bytes = min(max_entry_bytes, memory.max_bytes / 4)
        self._shared_fields = SharedFields()
        # When what is stored of a URI was made invalid, and the number of that drop, by its hash:
        # of two that share one, what is dropped of one is dropped of both.
        self._dropped: dict[int, tuple[float, int]] = {}
        self._drops = 0
        self._has_parts = False  # any was kept here, or looked for
        self._dropped_before = -inf  # when, at the latest, one that is not remembered any more
        self._kinds: dict[Kind, None] = {}  # of the keys under which anything was kept or loaded
        self._lock = Lock()
        self._writers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer] = WeakKeyDictionary()
        self.stored = 0
        self.writes_dropped = 0

    def find(self, key: Key, select: Select) -> Entry | Reason:
        """The entry in the first level that this request selects, or why there is none."""
        fork = fork_of(key)
        if fork is not None:
            root = self._memory.get(fork)
            if not isinstance(root, VaryIndex):
                return MISS
            key = (key, root.nonce)
        found, missed = self._memory.get(key), MISS
        if isinstance(found, VaryIndex):
            found = self._memory.get(_selected_key(key, found, select(found.names)))
            missed = VARY_MISS
        return found if isinstance(found, Entry) and not self.is_purged(found) else missed

    def is_purged(self, entry: Entry) -> bool:
        """Whether an entry of the first level was purged, and so is forgotten now."""
        purges = self.purges
        epoch = purges.epoch
        if entry.epoch == epoch:
            return False
        if self._purged_at(entry.tags, entry.key) >= entry.born:
            self._memory.delete(entry.key)
            return True
        entry.epoch = epoch
        return False

    def _purged_at(self, tags: tuple[bytes, ...], key: Key) -> float:
        user = partition_of(key)
        return self.purges.purged_at(tags, key, None if user is None else user.decode())

    async def purge(self, purges: Sequence[Purge]) -> bool:
        """Use nothing any more that these are about; gives whether others have been told of it.

        In this process it holds at once; in each that shares the second level, after its next
        poll. Raises: ValueError for what is no purge.
        """
        for purge in purges:
            self.purges.add(purge)
        return self._log is None or await self._log.publish(purges)

    async def listen(self) -> None:
        """See that what other processes purge is heard, now and from now on."""
        if self._log is None:
            return
        loop = asyncio.get_running_loop()
        if self._listener is None or _has_ended(self._listener):
            self._has_heard = asyncio.Event()
            listening = _listen(ref(self), self._log, self._has_heard, self._poll_seconds)
            self._listener = loop.create_task(listening)
        # Another event loop's listener is this one's, too, but can not be waited for.
        if not self._has_heard.is_set() and self._listener.get_loop() is loop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_heard.wait(), self._hearing_seconds)

    async def hear(self, log: PurgeLog) -> None:
        """Take note of what other processes have purged since it was last asked."""
        is_first = log.heard_at == -inf
        purges = await log.poll()
        if is_first and purges and not self.stored:
            # Nothing of this process's own can be meant by what was told before it began.
            self._believed_from = purges.pop(0).at
        for purge in purges:
            self.purges.add(purge)

    def _tell(self, purge: Purge) -> None:
        """Have other processes told, behind the response, with what else there is to tell then."""
        if self._log is None or running_loop() is None:
            return
        if len(self._untold) >= MAX_UNTOLD:
            self._untold = [Purge("all", "", None, purge.at)]
        self._untold.append(purge)
        if self._teller is None or _has_ended(self._teller):
            self._teller = asyncio.get_running_loop().create_task(self._tell_all(self._log))

    async def _tell_all(self, log: PurgeLog) -> None:
        while self._untold:
            # In one record what comes within half a poll: others read so many of them only.
            await asyncio.sleep(self._poll_seconds / 2)
            told, self._untold = self._untold[:MAX_TOLD], self._untold[MAX_TOLD:]
            if not await log.publish(told):
                self._untold = [*told, *self._untold]

    def flight_key(self, key: Key, select: Select) -> Key:
        """What requests have in common that may wait for one another's call of the app.

        It is the resource, and of one that is known to vary the variant.
        """
        fork = fork_of(key)
        root = None if fork is None else self._memory.get(fork)
        if isinstance(root, VaryIndex):
            key = (key, root.nonce)
        found = self._memory.get(key)
        if isinstance(found, VaryIndex):
            return _selected_key(key, found, select(found.names))
        return key

    async def load(self, key: Key, select: Select) -> Entry | Reason:
        """The same out of the second level, taken over into the first."""
        store = self.store
        if store is None or running_loop() is None:
            return MISS
        await self.listen()
        if self._log is not None and self._log.heard_at == -inf:
            return MISS  # what is there may have been purged
        uri = key
        self._has_parts = self._has_parts or is_of_part(key)
        since = self._dropped_at(uri)
        self._kinds[kind_of(uri)] = None
        fork = fork_of(uri)
        if fork is not None:
            root = await self._load_index(store, fork, since)
            if root is None:
                return MISS
            key = (key, root.nonce)
        found = await self._load_record(store, key, since)
        if isinstance(found, VaryIndex):
            index = self._newer(key, found)
            found = await self._load_record(
                store, _selected_key(key, index, select(index.names)), since
            )
            if not isinstance(found, Entry):
                return VARY_MISS
        # What was made invalid meanwhile must not come back.
        if found is None or self._clock() >= found.kept_until or self._dropped_at(uri) != since:
            return MISS
        epoch = self.purges.epoch
        if found.born < self._believed_from:
            return MISS
        if self._purged_at(found.tags, found.key) + SKEW_SECONDS >= found.born:
            return MISS
        found.epoch = epoch
        return self._take_over(found)

    async def _load_index(self, store: Store, fork: Key, since: float) -> VaryIndex | None:
        known = self._memory.get(fork)
        if isinstance(known, VaryIndex):
            return known
        found = await self._load_record(store, fork, since)
        return self._newer(fork, found) if isinstance(found, VaryIndex) else None

    async def _load_record(self, store: Store, key: Key, since: float) -> Entry | VaryIndex | None:
        """What the second level has under a key, unless it was made before it was dropped.

        A deletion may be under way, or lost: what it was for is not there any more.
        """
        data = await store.get(digest_key(key))
        found = None if data is None else unpack_record(data, key)
        return found if found is not None and found.born > since else None

    def _newer(self, key: Key, found: VaryIndex) -> VaryIndex:
        """The index of the second level in the first, or one that has come there meanwhile."""
        known = self._memory.get(key)
        if isinstance(known, VaryIndex) and known.born >= found.born:
            return known
        self._memory.put(key, found, _index_size(key, found))
        return found

    def _take_over(self, found: Entry) -> Entry:
        """The entry of the second level in the first, or one that has come there meanwhile.

        RFC 9111, 4: of several stored responses the most recent is used.
        """
        known = self._memory.get(found.key)
        if isinstance(known, Entry) and known.born >= found.born:
            return known
        self._shared_fields.share(found)
        self._memory.put(found.key, found, entry_size(found), owner=partition_of(found.key))
        return found

    def keep(self, entry: Entry, asked: float, *, own_drop: int = 0) -> None:
        """Keep an entry whose key is its resource's; `asked`: when the app was asked for it.

        `own_drop` is the number of the drop by which the very request has made room for it: that
        one was after it asked, and is not held against it.
        """
        key = resource = entry.key
        # What a write has made invalid since the app was asked may be in this very response.
        epoch = self.purges.epoch
        is_outdated = self._last_drop(key) != own_drop if own_drop else self.is_outdated(key, asked)
        if is_outdated or self._purged_at(entry.tags, key) >= asked:
            return
        entry.epoch = epoch
        ttl = entry.kept_until - self._clock()
        self._kinds[kind_of(key)] = None
        fork, owner = fork_of(key), partition_of(key)
        if fork is not None:
            key = entry.key = (key, self._index(fork, (), ttl, owner).nonce)
        if entry.selecting:
            names = tuple([name for name, _ in entry.selecting])
            entry.key = _selected_key(key, self._index(key, names, ttl, owner), entry.selecting)
        known = self._memory.get(entry.key)
        if isinstance(known, Entry) and known.born > entry.born and self._clock() < known.expires:
            return  # RFC 9111, 4: of several stored responses the most recent is used
        self.stored += 1
        self._shared_fields.share(entry)
        self._write(entry)
        if is_of_part(resource):
            self._has_parts = True
        elif self._has_parts:
            self._forget_part(resource, entry.selecting)

    def _forget_part(self, key: Key, selecting: tuple[tuple[bytes, bytes | None], ...]) -> None:
        """Forget what was kept in part of what is there whole now, by the same varying fields."""
        key = part_key(key)
        fork = fork_of(key)
        root = self._memory.get(fork)
        if not isinstance(root, VaryIndex):
            return
        key = (key, root.nonce)
        found = self._memory.get(key)
        if found is None:
            return
        if isinstance(found, VaryIndex) and found.names == tuple([name for name, _ in selecting]):
            key = _selected_key(key, found, selecting)
        self._memory.delete(key)
        store = self.store
        if store is not None:
            self._send(key, store.delete, must=True)

    def holds(self, entry: Entry) -> bool:
        """Whether this very entry is in the first level, and not purged."""
        return self._memory.get(entry.key) is entry and not self.is_purged(entry)

    def keep_again(self, entry: Entry, own_drop: int) -> None:
        """Keep an entry that was held until the drop of this number, by its own request."""
        entry.key = resource_of(entry.key)
        self.keep(entry, inf, own_drop=own_drop)

    def add(self, entry: Entry, variant: Variant, made: Representation) -> None:
        """Keep another representation of an entry, if that is still what is stored, and has room.

        The forms of one response are many (each name of a format in each coding): past a size the
        memory is better spent on other responses, and the second level takes no more.
        """
        if self._memory.get(entry.key) is not entry:
            return
        size = entry_size(entry) + len(made.body) + _KEPT_BYTES
        if size <= self._max_entry_bytes:
            entry.add(variant, made)
            self._shared_fields.share(entry)
            self._write(entry)

    def _write(self, entry: Entry) -> None:
        self._memory.put(entry.key, entry, entry_size(entry), owner=partition_of(entry.key))
        ttl = entry.kept_until - self._clock()
        store = self.store
        if store is not None and ttl > 0:
            self._send(entry.key, lambda name: store.set(name, pack_entry(entry), ttl=ttl))

    def forget(self, entry: Entry) -> None:
        """Forget one entry, in both levels."""
        if self._memory.get(entry.key) is entry:
            self._memory.delete(entry.key)
        store = self.store
        if store is not None:
            self._send(entry.key, store.delete, must=True)

    def drop(self, key: Key, *, is_gone: bool = False) -> int:
        """Forget all that is stored of the URI of `key`; where it is gone already, remember when.

        What was asked for before this is not kept when it comes. Gives the number of this drop.
        """
        name = hash(uri_of(key))
        with self._lock:
            self._dropped.pop(name, None)
            if len(self._dropped) >= MAX_REMEMBERED_DROPS:
                # Later times come later. Nothing is kept any more that was asked for before this.
                self._dropped_before, _ = self._dropped.pop(next(iter(self._dropped)))
            number = self._drops = self._drops + 1
            self._dropped[name] = self._clock(), number
        if is_gone:
            return number
        self._tell(purge_of_uri(key, self._clock()))
        store = self.store
        kinds = {kind_of(key), *self._kinds}
        if store is not None:
            kinds |= usual_kinds(key)  # other processes may have seen what this one has not
        for kind in kinds:
            stored = key_of_kind(key, kind)
            self._memory.delete(stored)
            if store is not None:
                self._send(stored, store.delete, must=True)
        return number

    async def take_lease(self, key: Key) -> bytes | None:
        """A token by which this process calls the app for `key`; None where another one does.

        It holds for `LEASE_SECONDS`, so that others do not wait for long for one whose end the
        second level has not heard of. A second level that is down forbids nothing.
        """
        assert self.store is not None
        token = os.urandom(16)
        taken = await self.store.add(digest_key((_LEASE, key)), token, ttl=LEASE_SECONDS)
        return None if taken is False else token

    def renew_lease(self, key: Key, token: bytes) -> None:
        """Let it hold for as long again."""
        store = self.store
        assert store is not None
        self._send((_LEASE, key), lambda name: store.set(name, token, ttl=LEASE_SECONDS), must=True)

    def end_lease(self, key: Key, token: bytes) -> None:
        """Let other processes call the app for `key`, once what was stored of it has been sent."""
        store = self.store
        assert store is not None
        self._send((_LEASE, key), lambda name: store.delete_if(name, token), must=True, last=True)

    def is_outdated(self, key: Key, asked: float) -> bool:
        """Whether what is stored of the URI of `key` was made invalid since `asked`."""
        return self._dropped_at(key) >= asked

    def _dropped_at(self, key: Key) -> float:
        """When what is stored of the URI of `key` was last made invalid, at the latest."""
        if not self._dropped:
            return -inf
        known = self._dropped.get(hash(uri_of(key)))
        return self._dropped_before if known is None else known[0]

    def _last_drop(self, key: Key) -> int:
        """The number of the last drop of the URI of `key`; 0 where it is not remembered."""
        known = self._dropped.get(hash(uri_of(key)))
        return 0 if known is None else known[1]

    async def flush(self) -> None:
        """Wait until the second level has been sent what is there to be written."""
        await self._writer().flush()

    def _index(
        self, key: Key, names: tuple[bytes, ...], ttl: float, owner: bytes | None
    ) -> VaryIndex:
        """The index of a resource, made where there is none; it outlives the entry of `ttl`.

        It is made anew, not written again, before its time in the second level is over: another
        process may have dropped it there, and with it all that it led to.
        """
        now = self._clock()
        known = self._memory.get(key)
        if (
            isinstance(known, VaryIndex)
            and known.names == names
            and now - known.born < _INDEX_TTL / 2
        ):
            return known
        index = VaryIndex(names, os.urandom(16), now)
        self._memory.put(key, index, _index_size(key, index), owner=owner)
        store = self.store
        if store is not None:
            lasts = max(_INDEX_TTL, 2 * ttl)
            self._send(key, lambda name: store.set(name, pack_vary_index(index, key), ttl=lasts))
        return index

    def _send(
        self,
        key: Key,
        write: Callable[[str], Awaitable[object]],
        *,
        must: bool = False,
        last: bool = False,
    ) -> None:
        """Have the second level write, behind the response; `last`: after what waits already."""
        if running_loop() is None:
            return
        if not self._writer().put(digest_key(key), write, must=must, last=last):
            self.writes_dropped += 1

    def _writer(self) -> _Writer:
        loop = asyncio.get_running_loop()
        writer = self._writers.get(loop)
        if writer is None:
            writer = self._writers[loop] = _Writer()
        return writer


# The index outlives its entries; one without entries costs a look-up that misses.
_INDEX_TTL = 86_400.0


class _Writer:
    """Writes to the second level behind the responses, in one task of its loop.

    They are made a few side by side, so that one that takes long holds up few others, in the order
    in which they came, and of several to one name the last only.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Write] = {}
        self._task: asyncio.Task[None] | None = None

    def put(
        self,
        name: str,
        write: Callable[[str], Awaitable[object]],
        *,
        must: bool = False,
        last: bool = False,
    ) -> bool:
        """Queue a write; False where one was lost since too many wait (of drops, more may)."""
        known = self._waiting.pop(name, None)
        if not must and known is None and len(self._waiting) >= MAX_WAITING_WRITES:
            return False
        is_full = len(self._waiting) >= MAX_WAITING_DROPS
        if is_full:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[name] = _Write(write, must, last)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())
        return not is_full

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait((task,))

    def _take(self) -> list[tuple[str, _Write]]:
        """The next few: of those that carry an entry fewer, since each is in the memory twice."""
        taken: list[tuple[str, _Write]] = []
        entries = 0
        for name, write in list(islice(self._waiting.items(), WRITES_AT_ONCE)):
            entries += not write.must
            if entries > ENTRIES_AT_ONCE:
                break
            del self._waiting[name]
            taken.append((name, write))
        return taken

    async def _write(self) -> None:
        try:
            while self._waiting:
                taken = self._take()
                for is_last in (False, True):
                    now = [write.make(name) for name, write in taken if write.last is is_last]
                    await asyncio.gather(*now)
        finally:
            self._task = None  # it refers to its loop, which could never be forgotten


class _Write(NamedTuple):
    """What is to be written under a name."""

    make: Callable[[str], Awaitable[object]]
    must: bool  # a deletion, which is not left out when many wait
    last: bool  # after those that came before it


async def _listen(
    cache: ref[ResponseCache], log: PurgeLog, has_heard: asyncio.Event, seconds: float
) -> None:
    """Hear what others purge for as long as somebody has the cache; it is not kept for this."""
    while (heard_by := cache()) is not None:
        await heard_by.hear(log)
        del heard_by
        has_heard.set()
        await asyncio.sleep(seconds)


def _has_ended(task: asyncio.Task[None]) -> bool:
    return task.done() or task.get_loop().is_closed()


def _selected_key(
    key: Key, index: VaryIndex, selecting: tuple[tuple[bytes, bytes | None], ...]
) -> Key:
    return (key, index.nonce, *[value for _, value in selecting])


# Measured with tracemalloc: a line of its own takes a tuple and a value, most are shared.
_PAIR_BYTES = 75
# A representation takes itself, its two lists, its tag and its length, and what counts its hits.
_KEPT_BYTES = 650
_LINE_BYTES = 16
_INDEX_BYTES = 300


def entry_size(entry: Entry) -> int:
    """The memory that an entry takes, in bytes, to about a tenth."""
    size = _key_size(entry.key) + sum(len(value) + _PAIR_BYTES for _, value in entry.fields)
    for kept in entry.kept:
        size += len(kept.body) + _KEPT_BYTES + _LINE_BYTES * len(kept.fields)
    return size


def _index_size(key: Key, index: VaryIndex) -> int:
    return _INDEX_BYTES + _key_size(key) + sum(map(len, index.names))


def _key_size(key: Key) -> int:
    size = 0
    for part in key:
        if isinstance(part, tuple):
            size += _key_size(part)
        elif isinstance(part, str | bytes):
            size += len(part) + 50
    return size
