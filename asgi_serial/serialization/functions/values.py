"""A cache of typed values by text keys, in this process and optionally in a shared store."""

from __future__ import annotations

import asyncio
import json
import time
from math import isfinite
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asgi_serial.cache.entry import DROPPED, UNHELD, Droppable
from asgi_serial.cache.leases import Leases
from asgi_serial.cache.packing import digest_key
from asgi_serial.cache.purge_log import PurgeLog
from asgi_serial.cache.purge_sync import PurgeSync
from asgi_serial.cache.purges import MAX_TAGS, Purge, PurgeTable, find_fault, purges_of_uris
from asgi_serial.cache.responses import SKEW_SECONDS
from asgi_serial.cache.second_level import SecondLevel
from asgi_serial.concurrency.loops import running_loop
from asgi_serial.errors import CodecError, FormatError
from asgi_serial.serialization.functions.call_key import bounded
from asgi_serial.serialization.functions.copies import build_copier
from asgi_serial.serialization.functions.flights import State
from asgi_serial.serialization.functions.value_type import UNFIT
from asgi_serial.serialization.records import pack_record, unpack_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asgi_serial.cache.memory import Memory
    from asgi_serial.serialization.functions.value_type import ValueType
    from asgi_serial.serialization.pipeline import Pipeline
    from asgi_serial.store.base import GuardedStore

# Estimates: the place in the memory, the object and its digest; and how many times as many bytes
# as its document an instance takes.
_OVERHEAD_BYTES = 600
_INSTANCE_FACTOR = 5

POLL_SECONDS = 1.0
"""The interval at which a process asks the store for what others have invalidated."""

# The longest that the first look-up waits for the first poll.
_HEARING_SECONDS = 0.25

# The longest wait for the writes of another event loop, which may be blocked.
_FLUSH_SECONDS = 1.0

_MOST_HEADER_BYTES = 64_000
# A value that is used once is not worth a copier.
_USES_BEFORE_COPYING = 2

NO_INSTANCE: Any = object()


class View:
    """The value of a document as callers get it who read it by one type."""

    __slots__ = ("copy", "identity", "instance", "is_immutable", "uses")

    def __init__(
        self, identity: object, *, instance: Any = NO_INSTANCE, is_immutable: bool = False
    ) -> None:
        self.identity = identity
        """The identity of the type."""
        self.instance = instance
        """The value itself, if callers share it."""
        self.is_immutable = is_immutable
        self.copy: Callable[[], Any] | None = None
        """Returns a new value; None if that is read from the document."""
        self.uses = 0


_UNREAD = View(None)


class CachedValue(Droppable):
    """A value of the first level: its document, and when it may be used.

    Times are epoch seconds. `born` is when the call began that has made the value.
    """

    __slots__ = (
        "born",
        "document",
        "expires",
        "kept_until",
        "shape",
        "tags",
        "view",
    )

    def __init__(
        self,
        document: bytes,
        shape: bytes,
        *,
        born: float,
        expires: float,
        kept_until: float,
        tags: tuple[bytes, ...] = (),
    ) -> None:
        self.epoch = UNHELD
        self.uri = b""
        self.document = document
        self.shape = shape
        self.born = born
        self.expires = expires
        self.kept_until = kept_until
        self.tags = tags
        self.view = _UNREAD

    def give(self, type_: ValueType) -> Any:
        """Return the shared value, or a new one. Raises: ValidationError."""
        view = self.view
        if view.identity is not type_.identity:
            return self.settle(type_)
        if view.instance is not NO_INSTANCE and (view.is_immutable or type_.is_shared):
            return view.instance
        if view.copy is not None:
            try:
                return view.copy()
            except RecursionError:
                pass  # reading takes less of the caller's stack
        return type_.read(self.document)

    def settle(self, type_: ValueType) -> Any:
        """Read the value for the first time, and share it if possible. Raises: ValidationError."""
        value = type_.read(self.document)
        is_immutable = type_.is_immutable(value)
        self.view = View(
            type_.identity,
            instance=value if is_immutable or type_.is_shared else NO_INSTANCE,
            is_immutable=is_immutable,
        )
        return value


class ValueCache:
    """Finds, stores and invalidates values; it does not decide how long they live.

    A value is stored under the digest of its key. An invalidation takes effect at once in this
    process, and in others that share the store within `POLL_SECONDS` or a little more. It also
    covers values that calls are still making. A failing store is a miss.
    """

    def __init__(
        self,
        memory: Memory[object],
        store: GuardedStore | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self.find_slot = memory.find_slot
        """Looks a key up in the first level; the slot's value may be of no use any more."""
        self.store = store
        self.clock = clock
        self.purges = PurgeTable()
        self._drops = self.purges.drops
        memory.watcher = self._drops.uris
        is_shared = store is not None and getattr(store, "is_shared", False)
        self._sync = PurgeSync(
            self.purges,
            PurgeLog(store, clock, "model") if store is not None and is_shared else None,
            poll_seconds=POLL_SECONDS,
            hearing_seconds=_HEARING_SECONDS,
        )
        self._second = SecondLevel(store) if store is not None and is_shared else None
        self.leases = None if self._second is None else Leases(self._second)
        """By which processes agree which one makes a value; None if no other process does."""
        self._untold: dict[bytes, float] = {}
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]
        self._locks = WeakKeyDictionary()

    def find(self, key: str) -> CachedValue | None:
        """Return the value of a key in the first level, fresh or stale."""
        slot = self.find_slot(key)
        if slot is None:
            return None
        value: Any = slot.value
        if not self.is_current(value) or self.clock() >= value.kept_until:
            self._memory.delete(key)
            return None
        slot.is_used = True
        return value  # type: ignore[no-any-return]

    def give(self, key: str, found: CachedValue, type_: ValueType) -> Any:
        """Return a value of the first level to one more caller. Raises: ValidationError."""
        value = found.give(type_)
        view = found.view
        # Meanwhile another thread may have read the value by another type.
        if view.identity is not type_.identity:
            return value
        if view.uses < _USES_BEFORE_COPYING and type_.is_pure and value is not view.instance:
            view.uses += 1
            if view.uses == _USES_BEFORE_COPYING:
                self._learn_copying(key, found, view, value)
        return value

    def _learn_copying(self, key: str, found: CachedValue, view: View, value: Any) -> None:
        copier = build_copier(value)
        if copier is None:
            return
        size = _size_of(key, found) + copier.size_bytes
        if self._memory.has_room(size) and self._memory.put(key, found, size, must_be_there=True):
            view.copy = copier.copy

    def is_current(self, value: CachedValue) -> bool:
        """Whether a value of the first level was not invalidated."""
        epoch = self.purges.epoch
        if value.epoch == epoch:
            return True
        if value.epoch == DROPPED or self.purges.tags_purged_at(value.tags) >= value.born:
            return False
        return self._drops.uris.confirm(value, epoch)

    def state_of(self, key: str) -> State:
        """Return the state that an invalidation of a key, or a purge, changes."""
        return self._drops.dropped_at(_digest_of(key)), self.purges.epoch

    def keep(self, key: str, value: CachedValue, state: State) -> bool:
        """Keep a value in the first level; return False if it was invalidated meanwhile.

        `state` is the one when the making of the value began.
        """
        dropped_at, epoch = state
        now_epoch = self.purges.epoch
        if epoch != now_epoch and self.purges.tags_purged_at(value.tags) >= value.born:
            return False
        value.uri = _digest_of(key)
        value.epoch = now_epoch
        if not self._memory.put(key, value, _size_of(key, value)):
            value.epoch = UNHELD
        # Only now: an invalidation by another thread either finds the value there, or is seen here.
        if self._drops.dropped_at(value.uri) != dropped_at:
            self._memory.delete(key)
            return False
        self._sync.is_new = False
        return True

    async def connect(self) -> None:
        """Begin to hear of what others invalidate.

        A value that was born before the first process did so is not trusted by others.
        """
        if self.store is not None and running_loop() is not None:
            await self._sync.listen()

    async def disconnect(self) -> None:
        """End the leases, and stop hearing of others until the store is used again."""
        self._sync.stop()
        if self._second is not None and running_loop() is not None:
            await self._second.writers.flush_all(_FLUSH_SECONDS)

    async def load(
        self, key: str, type_of: Callable[[bytes], ValueType | None], pipeline: Pipeline
    ) -> tuple[CachedValue, Any] | None:
        """Return a key's value in the second level, read for the first time; copy it to the first.

        `type_of` returns the type by which a value of a shape is read. A value that is damaged, of
        another shape, or that was invalidated is a miss.
        """
        store = self.store
        if store is None or running_loop() is None:
            return None
        await self.connect()
        if self._sync.has_not_synced:
            return None  # it may have been invalidated
        state = since, _ = self.state_of(key)
        record = await store.get(digest_key(("model", key)))
        found = None if record is None else self._unpack(key, record)
        type_ = None if found is None else type_of(found.shape)
        if found is None or type_ is None:
            return None
        gone_at = max(since, self.purges.tags_purged_at(found.tags)) + SKEW_SECONDS
        if found.born <= max(gone_at, self._sync.trusted_since):
            return None
        try:
            found.document = await _open(found.document, pipeline)
            value = found.settle(type_)
        except (*UNFIT, CodecError):
            return None
        if not self.keep(key, found, state):
            return None
        return found, value

    def _unpack(self, key: str, record: bytes) -> CachedValue | None:
        now = self.clock()
        unpacked = unpack_record(record, ("model", key), now=now)
        if unpacked is None:
            return None
        content, remaining = unpacked
        header, _, payload = content.partition(b"\n")
        if len(header) > _MOST_HEADER_BYTES:
            return None
        try:
            fields = json.loads(header)
        except (ValueError, RecursionError):
            return None
        match fields:
            case [str() as shape, float() as born, float() as expires, list() as tags]:
                # A value of the future would outlast invalidations.
                if born <= now + SKEW_SECONDS and isfinite(expires):
                    return CachedValue(
                        payload,
                        shape.encode("utf-8", "surrogatepass"),
                        born=born,
                        expires=expires,
                        kept_until=now + remaining,
                        tags=tuple([str(tag).encode("utf-8", "surrogatepass") for tag in tags]),
                    )
        return None

    async def write(self, key: str, value: CachedValue, pipeline: Pipeline) -> None:
        """Store a value in the second level."""
        ttl = value.kept_until - self.clock()
        if self.store is None or running_loop() is None or ttl <= 0:
            return
        tags = [tag.decode("utf-8", "surrogatepass") for tag in value.tags]
        header = json.dumps([value.shape.decode(), value.born, value.expires, tags])
        try:
            payload = await _pack(value.document, pipeline)
        except FormatError:  # it is too large to be read again
            return
        content = b"%b\n%b" % (header.encode(), payload)
        record = pack_record(("model", key), content, expires=value.kept_until)
        await self.store.set(digest_key(("model", key)), record, ttl=ttl)

    async def drop(self, key: str) -> None:
        """Invalidate the value of a key, and whatever calls in progress make of it."""
        digest, now = self.drop_here(key)
        if self.store is not None and running_loop() is not None:
            await self.store.delete(digest_key(("model", key)))
            await self._tell(digest, now)

    def drop_here(self, key: str) -> tuple[bytes, float]:
        """Invalidate the value of a key in this process; return its digest and the time."""
        digest, now = _digest_of(key), self.clock()
        self._drops.drop(digest, now)
        self._memory.delete(key)
        return digest, now

    async def purge(self, tags: Sequence[str]) -> bool:
        """Invalidate all values with one of these tags; return whether others have been told.

        Raises: ValueError for an invalid tag.
        """
        now = self.clock()
        purges = [Purge("tag", tag, None, now) for tag in tags]
        for purge in purges:
            self.purges.add(purge)
        return running_loop() is None or await self._sync.publish(purges)

    async def _tell(self, digest: bytes, at: float) -> None:
        """Tell others that the value of a key was invalidated, together with what else was."""
        self._untold[digest] = at
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            # Whoever held the lock may have told this, too.
            untold, self._untold = self._untold, {}
            is_told = not untold
            try:
                is_told = is_told or await self._sync.publish(purges_of_uris(untold))
            finally:
                if not is_told:
                    for digest, at in untold.items():
                        self._sync.announce(digest, at)  # which goes on trying


async def _pack(document: bytes, pipeline: Pipeline) -> bytes:
    """Return the payload of a document. Raises: FormatError if it is too large."""
    packer = pipeline.packer
    packer.check_size(document)
    if not pipeline.is_compressing or len(document) < packer.threshold_bytes:
        return document
    if len(document) >= packer.codec.offload_bytes:
        return await asyncio.to_thread(packer.pack, document)
    return packer.pack(document)


async def _open(payload: bytes, pipeline: Pipeline) -> bytes:
    """Return the document in a payload. Raises: CodecError."""
    if pipeline.opens_slowly(payload):
        return await asyncio.to_thread(pipeline.packer.unpack, payload)
    return pipeline.packer.unpack(payload)


def _size_of(key: str, value: CachedValue) -> int:
    size = len(value.document) + len(key) + sum(map(len, value.tags)) + _OVERHEAD_BYTES
    if value.view.instance is not NO_INSTANCE:
        size += _INSTANCE_FACTOR * len(value.document)
    return size


def _digest_of(key: str) -> bytes:
    return bytes.fromhex(digest_key(("model", key)))


def check_value_key(key: object) -> str:
    """Return a key of at most the longest length. Raises: TypeError if it is not text."""
    if not isinstance(key, str):
        raise TypeError(f"the key is {key!r}, of type {type(key).__name__}; expected a str")
    return bounded(key)


def check_tags(tags: Iterable[object]) -> tuple[bytes, ...]:
    """Return tags in the form in which they are stored. Raises: TypeError; ValueError."""
    if isinstance(tags, str | bytes):
        raise TypeError(f"the tags are {tags!r}; expected a list of texts, such as [{tags!r}]")
    found: dict[bytes, None] = {}
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"the tag {tag!r} is of type {type(tag).__name__}; expected a str")
        fault = find_fault(Purge("tag", tag, None, 0.0))
        if fault is not None:
            raise ValueError(f"the tag {fault}")
        found[tag.encode("utf-8", "surrogatepass")] = None
    if len(found) > MAX_TAGS:
        raise ValueError(f"there are {len(found)} tags; expected at most {MAX_TAGS}")
    return tuple(found)
