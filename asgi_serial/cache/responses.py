"""The response cache: a first level in the process, and a second level that processes share."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Protocol, cast

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.cache.entry import DROPPED, UNHELD, Entry, FormApart, HitStates, VaryIndex
from asgi_serial.cache.footprint import Interner, entry_size, form_size, index_size
from asgi_serial.cache.key import (
    Kind,
    is_of_part,
    key_of_kind,
    kind_of,
    part_key,
    partition_of,
    path_digests,
    place_of,
    resource_of,
    uri_digest,
    uri_index_of,
    usual_kinds,
)
from asgi_serial.cache.leases import Leases
from asgi_serial.cache.packing import unpack_record
from asgi_serial.cache.purge_log import PurgeLog
from asgi_serial.cache.purge_sync import PurgeSync
from asgi_serial.cache.purges import Purge, PurgeTable
from asgi_serial.cache.second_level import SecondLevel
from asgi_serial.concurrency.loops import running_loop
from asgi_serial.http.freshness import MISSING_STATUSES
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asgi_serial.cache.entry import Key, Representation, Variant
    from asgi_serial.cache.leases import Lease
    from asgi_serial.cache.memory import Memory
    from asgi_serial.store.base import GuardedStore


MISS, VARY_MISS = Reason.MISS, Reason.VARY_MISS


class VariesBy(Protocol):
    """A request that selects one of the responses of its resource."""

    def vary_values(self, names: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes | None], ...]:
        """Return the varying fields with these names, and their values in the request."""


MAX_KINDS_BYTES = 32 << 10  # room for a hundred, each of which costs every drop a deletion

SKEW_SECONDS = 1.0  # the largest difference expected between the clocks of hosts


class ResponseCache:
    """Finds, stores and drops responses; it does not decide whether they may be used.

    A response is stored under the key of its resource, or, if responses vary, under a key derived
    from an index there (the key includes a nonce of the index). Responses selected by more than a
    usual GET (a body, configured fields) hang on an index of their URI in the same way. So a write
    to the URI drops all of them with a few deletions, in both levels.
    """

    def __init__(
        self,
        memory: Memory[object],
        store: GuardedStore | None,
        clock: Callable[[], float],
        *,
        max_entry_bytes: float = inf,
        realm: str = "",
        poll_seconds: float = 0.0,
        hearing_seconds: float = 0.25,
    ) -> None:
        self._memory = memory
        self._find_slot = memory.find_slot
        self.store = store
        self._second = None if store is None else SecondLevel(store)
        # A store that no other process uses needs no leases.
        is_shared = store is not None and store.is_shared
        self.leases = Leases(self._second) if self._second is not None and is_shared else None
        self._clock = clock
        self.purges = PurgeTable()
        self._drops = self.purges.drops
        memory.watcher = self._drops.uris
        self.hit_states = HitStates()
        # Without polling, processes neither hear of nor tell one another about changes.
        self.hears = store is not None and poll_seconds > 0
        self.purge_sync = PurgeSync(
            self.purges,
            PurgeLog(store, clock, realm) if store is not None and self.hears else None,
            poll_seconds=poll_seconds,
            hearing_seconds=hearing_seconds,
        )
        self._max_entry_bytes = min(max_entry_bytes, memory.max_bytes / 4)
        self._interner = Interner()
        self._has_parts = False  # any was stored or looked for here
        # The kinds of keys under which anything was stored or loaded. A client chooses its port.
        self._kinds: BoundedDict[Kind, None] = BoundedDict(MAX_KINDS_BYTES)
        self.stored = 0

    def find(self, key: Key, request: VariesBy) -> Entry | Reason:
        """Return the entry in the first level that a request selects, or why there is none."""
        slot = self._find_slot(key)
        if slot is not None:
            entry = slot.value
            if type(entry) is Entry and (
                entry.epoch == self.purges.epoch or not self.is_purged(entry)
            ):
                slot.is_used = True
                return entry
        return self._find_on_index(key, request)

    def is_deaf(self, now: float) -> bool:
        """Whether others may have purged the first level long ago; then `load` asks them first."""
        return self.purge_sync.is_deaf(now)

    def _find_on_index(self, key: Key, request: VariesBy) -> Entry | Reason:
        uri_index = uri_index_of(key)
        if uri_index is not None:
            root = self._memory.get(uri_index)
            if not isinstance(root, VaryIndex):
                return MISS
            key = (key, root.nonce)
        found, missed = self._memory.get(key), MISS
        if isinstance(found, VaryIndex):
            found = self._memory.get(_selected_key(key, found, request.vary_values(found.names)))
            missed = VARY_MISS
        return found if isinstance(found, Entry) and not self.is_purged(found) else missed

    def is_purged(self, entry: Entry) -> bool:
        """Whether an entry of the first level was purged or dropped; if so, it is removed."""
        epoch = self._epoch_of(entry)
        if entry.epoch == epoch:
            return False
        if entry.epoch == DROPPED or self._purged_at(entry) >= entry.generated_at:
            self._memory.delete(place_of(entry.key))
            return True
        if self._drops.uris.confirm(entry, epoch):
            return False
        # It has left the first level, where a drop would have marked it, or was never there.
        return self._drops.dropped_at(uri_digest(entry.key)) >= entry.generated_at

    def _epoch_of(self, entry: Entry) -> object:
        """Return a value that changes with everything that `_purged_at` depends on."""
        epoch = self.purges.epoch
        return (epoch, self._drops.count) if entry.status in MISSING_STATUSES else epoch

    def _purged_at(self, entry: Entry) -> float:
        """Return when an entry was last purged, by other means than a write to its own URI."""
        user = partition_of(entry.key)
        name = None if user is None else user.decode()
        at = self.purges.purged_at(entry.tags, entry.key, name)
        if entry.status in MISSING_STATUSES:
            at = max(at, *map(self._drops.dropped_at, path_digests(entry.key)))
        return at

    async def purge(self, purges: Sequence[Purge]) -> bool:
        """Purge all matching responses; return whether other processes have been told.

        A purge takes effect at once in this process, and in each process that shares the second
        level after its next poll. Raises: ValueError for an invalid purge.
        """
        now = self._clock()
        for purge in purges:
            self.purges.add(purge, now)
        return await self.purge_sync.publish(purges)

    def call_key(self, key: Key, request: VariesBy) -> Key:
        """Return the key shared by requests that may wait for one another's call of the app.

        It identifies the resource and, if that is known to vary, the variant.
        """
        uri_index = uri_index_of(key)
        root = None if uri_index is None else self._memory.get(uri_index)
        if isinstance(root, VaryIndex):
            key = (key, root.nonce)
        found = self._memory.get(key)
        if isinstance(found, VaryIndex):
            return _selected_key(key, found, request.vary_values(found.names))
        return key

    async def load(self, key: Key, request: VariesBy, lease: Lease | None = None) -> Entry | Reason:
        """Like `find`, but look in the second level and copy the entry into the first.

        If nothing is there, the lease is taken with the look, where the second level can do both.
        """
        second = self._second
        if second is None or running_loop() is None:
            return MISS
        await self.purge_sync.listen()
        if self.purge_sync.has_not_synced:
            return MISS  # stored responses may have been purged
        self._has_parts = self._has_parts or is_of_part(key)
        digest = uri_digest(key)
        key = self._interner.share_key(key)
        since = self._drops.dropped_at(digest)
        self._kinds.keep(kind_of(key), None)
        uri_index = uri_index_of(key)
        if uri_index is None:
            (data,) = await _read(second, (key,), lease)
        else:
            root_data, data = await _read(second, (uri_index, key), lease)
            root = self._find_root(uri_index, root_data, since)
            if root is None:
                return MISS
            key = (key, root.nonce)
        found = _unpack(data, key, since)
        if isinstance(found, VaryIndex):
            index = self._newer(key, found)
            selected = _selected_key(self._held_key(key), index, request.vary_values(index.names))
            (data,) = await _read(second, (selected,), lease)
            found = _unpack(data, selected, since)
            if not isinstance(found, Entry):
                return VARY_MISS
        if found is None or self._clock() >= found.stored_until:
            return MISS
        epoch = self._epoch_of(found)
        if found.generated_at < self.purge_sync.trusted_since:
            return MISS
        if max(since, self._purged_at(found)) + SKEW_SECONDS >= found.generated_at:
            return MISS
        found.uri = digest
        taken = self._take_over(found, epoch)
        # A response that was invalidated meanwhile must not come back.
        if self._drops.dropped_at(digest) != since:
            self._memory.delete(place_of(taken.key))
            return MISS
        return taken

    def _find_root(self, uri_index: Key, data: bytes | None, since: float) -> VaryIndex | None:
        """Return the newest index of a URI, in the first level or as the second has it."""
        found = _unpack(data, uri_index, since)
        if isinstance(found, VaryIndex):
            return self._newer(uri_index, found)
        known = self._memory.get(uri_index)
        return known if isinstance(known, VaryIndex) else None

    def _newer(self, key: Key, found: VaryIndex) -> VaryIndex:
        """Copy an index into the first level, unless that has a newer one; return the newer."""
        known = self._memory.get(key)
        if isinstance(known, VaryIndex) and known.generated_at >= found.generated_at:
            return known
        if place_of(key) is not key:
            self._memory.delete(place_of(key))  # a response that did not vary
        self._memory.put(key, found, index_size(key, found))
        return found

    def _take_over(self, found: Entry, epoch: object) -> Entry:
        """Copy an entry into the first level, unless that has a newer one; return the newer.

        RFC 9111, 4: of several stored responses the most recent is used.
        """
        known = self._memory.get(place_of(found.key))
        if isinstance(known, Entry) and known.generated_at >= found.generated_at:
            return known
        self._interner.share(found)
        self._put(found, epoch)
        return found

    def _put(self, entry: Entry, epoch: object) -> None:
        """Put an entry into the first level, if it fits; no purge up to `epoch` matches it."""
        entry.epoch = epoch
        size = entry_size(entry)
        place = place_of(entry.key)
        if not self._memory.put(place, entry, size, owner=partition_of(entry.key)):
            entry.epoch = UNHELD
        if place is not entry.key:
            self._memory.delete(entry.key)  # the index of responses that used to vary

    def why_not_kept(
        self, entry: Entry, asked: float, *, own_drop: float | None = None
    ) -> Reason | None:
        """Return why `keep` would refuse an entry with its resource's key; None if it would not.

        `asked` is when the app was called for it. `own_drop` is the time of the drop that the
        request itself made, which does not invalidate its own response.
        """
        key = entry.key
        # This response may contain data that a write has invalidated since the app was called.
        entry.uri = uri_digest(key)
        if self._was_dropped(entry, asked, own_drop) or self._was_purged(entry, asked):
            return Reason.INVALIDATED
        has_room = self._memory.has_room(entry_size(entry), owner=partition_of(key))
        if not has_room and self.store is None:
            return Reason.OBJECT_TOO_LARGE
        known = self._find_same(entry)
        # RFC 9111, 4: of several stored responses the most recent is used.
        if (
            known is not None
            and known.generated_at > entry.generated_at
            and self._clock() < known.expires
        ):
            return Reason.NEWER_STORED
        return None

    # Purges and drops by other processes have times a second ahead, since clocks differ. If only
    # these times counted, nothing that they cover would be stored during that second.

    def _was_dropped(self, entry: Entry, asked: float, own_drop: float | None) -> bool:
        if own_drop is not None:
            return self._drops.dropped_at(entry.uri) != own_drop
        return self._drops.changed_at >= asked and self._drops.dropped_at(entry.uri) >= asked

    def _was_purged(self, entry: Entry, asked: float) -> bool:
        return self._drops.changed_at >= asked and self._purged_at(entry) >= asked

    def _find_same(self, entry: Entry) -> Entry | None:
        """Return the stored entry that this one would replace."""
        key = entry.key
        uri_index = uri_index_of(key)
        if uri_index is not None:
            root = self._memory.get(uri_index)
            if not isinstance(root, VaryIndex):
                return None
            key = (key, root.nonce)
        if entry.vary_values:
            found = self._memory.get(key)
            names = tuple([name for name, _ in entry.vary_values])
            if not isinstance(found, VaryIndex) or found.names != names:
                return None
            found = self._memory.get(_selected_key(key, found, entry.vary_values))
        else:
            found = self._memory.get(place_of(key))
        return found if isinstance(found, Entry) and not self.is_purged(found) else None

    def keep(
        self,
        entry: Entry,
        asked: float,
        *,
        own_drop: float | None = None,
        is_checked: bool = False,
    ) -> bool:
        """Keep an entry under its resource's key; return False if `why_not_kept` gives a reason.

        `is_checked` says that it gave none a moment ago.
        """
        epoch = self._epoch_of(entry)
        if not is_checked and self.why_not_kept(entry, asked, own_drop=own_drop) is not None:
            return False
        key = resource = entry.key = self._interner.share_key(entry.key)
        ttl = entry.stored_until - self._clock()
        self._kinds.keep(kind_of(key), None)
        uri_index, owner = uri_index_of(key), partition_of(key)
        if uri_index is not None:
            key = entry.key = (key, self._index(uri_index, (), ttl, owner, entry.uri).nonce)
        if entry.vary_values:
            names = tuple([name for name, _ in entry.vary_values])
            if uri_index is not None:
                self._memory.delete(resource)  # a response that did not vary
            index = self._index(key, names, ttl, owner, entry.uri)
            entry.key = _selected_key(self._held_key(key), index, entry.vary_values)
        self._interner.share(entry)
        self._put(entry, epoch)
        if self._was_dropped(entry, asked, own_drop) or self._was_purged(entry, asked):
            # By another thread, after the check, and before the entry was there to be marked.
            self._memory.delete(place_of(entry.key))
            return False
        self.stored += 1
        self.purge_sync.is_new = False
        if self.hears:
            # Others may purge it, even if this process never loads anything.
            self.purge_sync.start_listening()
        self._send(entry)
        if is_of_part(resource):
            self._has_parts = True
        elif self._has_parts:
            self._forget_part(resource, entry.vary_values)
        return True

    def _held_key(self, key: Key) -> Key:
        """Return the equal key in the first level, so that the variants of a resource share it."""
        slot = self._memory.find_slot(key)
        return key if slot is None else cast("Key", slot.key)

    def _forget_part(self, key: Key, vary_values: tuple[tuple[bytes, bytes | None], ...]) -> None:
        """Remove the stored part of a response that is now whole, for equal varying fields."""
        key = part_key(key)
        uri_index = uri_index_of(key)
        root = self._memory.get(uri_index)
        if not isinstance(root, VaryIndex):
            return
        key = (key, root.nonce)
        found = self._memory.get(key)
        if isinstance(found, VaryIndex):
            if found.names == tuple([name for name, _ in vary_values]):
                key = _selected_key(key, found, vary_values)
            self._memory.delete(key)
        elif isinstance(self._memory.get(place_of(key)), Entry):
            self._memory.delete(place_of(key))
        else:
            return
        if self._second is not None:
            self._second.delete(key)

    def holds(self, entry: Entry) -> bool:
        """Whether exactly this entry is in the first level, and not purged."""
        return self._memory.get(place_of(entry.key)) is entry and not self.is_purged(entry)

    def keep_again(self, entry: Entry, own_drop: float) -> None:
        """Keep an entry again that the request's own drop, at this time, has removed."""
        entry.key = resource_of(entry.key)
        self.keep(entry, inf, own_drop=own_drop)

    def add(self, entry: Entry, variant: Variant, made: Representation) -> None:
        """Keep another representation of an entry that is still stored and not full.

        A response has many forms (each name of a format in each coding), and the second level
        limits the size of an entry. A form that does not fit is kept apart in the first level, and
        evicted on its own.
        """
        place = place_of(entry.key)
        if self._memory.get(place) is not entry:
            return
        self._interner.share_form(made)
        size = entry_size(entry) + form_size(made)
        if size <= self._max_entry_bytes:
            entry.add(variant, made)
            self._interner.share(entry)
            self._memory.put(place, entry, size, owner=partition_of(entry.key))
            self._send(entry)
            return
        entry.mark = entry.mark or object()
        form, size = FormApart(entry.mark, made), form_size(made)
        self._memory.put((entry.key, variant), form, size, owner=partition_of(entry.key))

    def find_apart(self, entry: Entry, variant: Variant) -> Representation | None:
        """Return a representation of the entry that did not fit into it."""
        if entry.mark is None:
            return None
        found = self._memory.get((entry.key, variant))
        return found.made if isinstance(found, FormApart) and found.mark is entry.mark else None

    def _send(self, entry: Entry) -> None:
        """Queue an entry to be written to the second level, without delaying the response."""
        ttl = entry.stored_until - self._clock()
        if self._second is not None and ttl > 0:
            self._second.write_entry(entry, ttl)

    def forget(self, entry: Entry) -> None:
        """Remove one entry from both levels."""
        place = place_of(entry.key)
        if self._memory.get(place) is entry:
            self._memory.delete(place)
        if self._second is not None:
            self._second.delete(entry.key)

    def retract(self, entry: Entry) -> None:
        """Remove an entry that proved incomplete, from wherever it has been copied meanwhile."""
        self.forget(entry)
        # Another process may have loaded it: announce a drop of the URI.
        self.drop(resource_of(entry.key))

    def drop(self, key: Key) -> float:
        """Drop everything stored for the URI of `key`, in any spelling; return the drop's time.

        A response requested before this time is not stored when it arrives.
        """
        digest, now = uri_digest(key), self._clock()
        at = self._drops.drop(digest, now)
        self.purge_sync.announce(digest, now)
        # The drop is in effect by now. Keys of this spelling are deleted to free memory, and for
        # processes that are not notified in time.
        kinds = {kind_of(key), *self._kinds}
        if self._second is not None:
            kinds |= usual_kinds(key)  # other processes may have seen kinds that this one has not
        for kind in kinds:
            stored = key_of_kind(key, kind)
            self._memory.delete(stored)
            if self._second is not None:
                self._second.delete(stored)
        return at

    def drop_missing(self, key: Key) -> None:
        """Drop each stored 404 and 410 for the path of `key`, and for the paths below it.

        A few numbers say that they are dropped. So this takes no longer if there are many.
        """
        digest, now = path_digests(key)[0], self._clock()
        self._drops.drop(digest, now)
        self.purge_sync.announce(digest, now)

    def is_outdated(self, key: Key, asked: float) -> bool:
        """Whether stored responses for the URI of `key` were invalidated since `asked`."""
        return self._drops.dropped_at(uri_digest(key)) >= asked

    async def flush(self) -> None:
        """Wait until all queued writes have been sent to the second level."""
        if self._second is not None:
            await self._second.writers.flush()

    @property
    def writes_dropped(self) -> int:
        """The number of writes to the second level that were lost because too many were waiting."""
        return 0 if self._second is None else self._second.writers.dropped

    def _index(
        self,
        key: Key,
        names: tuple[bytes, ...],
        ttl: float,
        owner: bytes | None,
        uri: bytes,
    ) -> VaryIndex:
        """Return the index of a resource that outlives an entry of `ttl`; create one if necessary.

        An index is replaced rather than extended: another process may have dropped it in the second
        level, and with it every entry that it led to. One that is older than the last drop of its
        URI is replaced, too, since no other process would use it.
        """
        now = self._clock()
        known = self._memory.get(key)
        # In the first level alone an index lasts as long as there is room for it.
        if (
            isinstance(known, VaryIndex)
            and known.names == names
            and (
                known.generated_at > self._drops.changed_at
                or known.generated_at >= self._drops.dropped_at(uri)
            )
            and (self.store is None or now + ttl <= known.until)
        ):
            return known
        # A new index makes the entries of the old one unreachable, so it lasts several of their
        # lifetimes.
        lasts = max(2 * ttl, min(_INDEX_TTL, max(4 * ttl, _SHORTEST_INDEX_TTL)))
        index = VaryIndex(names, os.urandom(16), now, now + lasts)
        self._memory.put(key, index, index_size(key, index), owner=owner)
        if self._second is not None:
            self._second.write_index(key, index, lasts)
        return index


# An index lives as long as its entries, within these bounds: any client can cause one.
_SHORTEST_INDEX_TTL, _INDEX_TTL = 60.0, 86_400.0


async def _read(
    second: SecondLevel, keys: tuple[Key, ...], lease: Lease | None
) -> list[bytes | None]:
    """Return what is stored of some keys; if nothing is of the last one, try to take the lease."""
    values, is_held = await second.read(keys, None if lease is None else lease.claim(keys[-1]))
    if lease is not None:
        lease.settle(is_held=is_held)
    return values


def _unpack(data: bytes | None, key: Key, since: float) -> Entry | VaryIndex | None:
    """Return a key's record in the second level, unless its URI was dropped since.

    A deletion may be in progress or lost, so a record older than the drop counts as deleted.
    """
    found = None if data is None else unpack_record(data, key)
    return found if found is not None and found.generated_at > since else None


def _selected_key(
    key: Key, index: VaryIndex, vary_values: tuple[tuple[bytes, bytes | None], ...]
) -> Key:
    return (key, index.nonce, *[value for _, value in vary_values])
