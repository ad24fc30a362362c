"""The part of the shared memory in which one process keeps its finished requests.

A finished request is appended to a ring, as the number of its kind and its figures. Now and then
the process counts those in the ring, writes the series that have changed to a half of the archive,
and commits: one record says how much of the ring is counted and how much of which half is valid.
Wherever the process is stopped, others see each finished request once:

- a slot of the ring is valid if its last word, which is written last, is its sequence number, and
  that is not counted yet;
- a commit has a checksum, and the one before it stays until the next one;
- the archive is only appended to; if it is full, or most of it is outdated, the valid series are
  copied to the other half, which the commit then names.

Nothing here locks: the process itself sees to it that one thread at a time calls `take`, `publish`,
and `publish_state`. The order of stores is the order of the program; processors that do not keep to
it (ARM) do so within the time that a reader takes between its two looks at the ring.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from struct import Struct, error
from threading import Lock
from typing import NamedTuple, get_type_hints
from zlib import crc32

from asgi_serial.timing.figures import USUAL, WIDTH, Figures
from asgi_serial.timing.recorder import Counts, Kind, SeriesKey, Waiting
from asgi_serial.timing.workers.packing import (
    MalformedError,
    pack_labels,
    unpack_labels,
    unpack_series,
)

Read = Callable[[int, int], bytes]
"""Returns so many bytes of a seat, from this offset on."""

NAME_BYTES = 16
HISTORY = 0
"""The number of the history among the numbers of series."""
_RECORD = WIDTH + 2  # the figures, the number of the kind, the sequence number
_WORD = 8
# Native, so that each number is one store of a word.
_CODES = {int: "q", float: "d"}
_COLUMNS = "".join(_CODES[kind] for kind in get_type_hints(Figures).values())
_FIGURES = Struct(_COLUMNS + "2q")
_USUAL_FIGURES = Struct(f"{_COLUMNS[:USUAL]}{(WIDTH - USUAL) * _WORD}x2q")  # zeros for the others
_COMMIT = Struct("=8q")
_CHECK = Struct("=I")
_FRAME = Struct("=III4x")  # the number of the series, the length of its bytes, their checksum
_LABEL = Struct("=qII")  # the number of the kind, the length of its labels, their checksum
_STATE = Struct("=qI")  # how many there were, the length of its bytes
_OWNER = Struct(f"={NAME_BYTES}sqq")  # the name of the app, the process, and whether it has left
_OWNER_AT = 0
_COMMITS_AT = 64
_TWIN_BYTES = 128
_STATES_AT = 4096
_STATE_BYTES = 32768
_RING_AT = _STATES_AT + 2 * _STATE_BYTES
_MALFORMED = 0  # the number of the kind of a sample that is malformed
_LEFT_OUT = 1  # and of those that are not timed; other numbers are larger than any offset
_NUMBER_BITS = 32
_ATTEMPTS = 50
# The archive is copied to its other half once more than half of it is outdated, and it is not tiny.
_LEAST_OUTDATED = 64 << 10


class FullError(Exception):
    """The series do not fit into a seat."""


class _Unstable(Exception):
    """The memory was changed while it was read."""


class Layout(NamedTuple):
    """The sizes of the parts of a seat; `slots` is a power of two."""

    slots: int = 1024
    label_bytes: int = 256 << 10
    half_bytes: int = 7 << 20

    @property
    def labels_at(self) -> int:
        """Return where the labels of kinds begin."""
        return _RING_AT + self.slots * _RECORD * _WORD

    @property
    def archive_at(self) -> int:
        """Return where the archive begins."""
        return self.labels_at + self.label_bytes

    @property
    def size(self) -> int:
        """Return the size of a seat, in whole pages."""
        return -(-(self.archive_at + 2 * self.half_bytes) // 4096) * 4096


class Commit(NamedTuple):
    """The state that the last finished fold has left."""

    number: int = 0
    counted: int = 0  # the last sequence number of the ring that is in the series
    half: int = 0
    used: int = 0
    series: int = 0  # how many numbers of series are taken
    counts: Counts = Counts()


class Contents(NamedTuple):
    """Everything that a seat holds at one moment."""

    name: bytes
    process: int
    has_left: bool
    commit: Commit
    last: int  # the last sequence number of the ring that is valid
    frames: dict[int, tuple[int, bytes]]  # by the number of a series, where its bytes begin
    waiting: list[Waiting]


class Seat:
    """The seat of this process: it appends, folds and commits; see the module.

    `memory` is all of the seat, and `contents` what another process has left in it. `may_fold` is
    called when the ring fills up, and should lead to `take` and `publish`.
    """

    def __init__(
        self,
        memory: memoryview,
        layout: Layout,
        contents: Contents | None,
        may_fold: Callable[[], None],
    ) -> None:
        self._memory = memory
        self._layout = layout
        self._may_fold = may_fold
        self._commit = Commit() if contents is None else contents.commit
        last = 0 if contents is None else contents.last
        self._next = count(last + 1).__next__
        self._mask = layout.slots - 1
        self._skipped: set[int] = set()  # sequence numbers that found the ring full
        self._kinds: dict[int, Kind] = {}
        self._older_kinds: dict[int, Kind] = {}
        self._naming = Lock()
        self._label_end = layout.label_bytes  # so that the first kind of a process clears them
        self._frames: dict[SeriesKey | None, tuple[int, int, int]] = {}
        self._states, _ = _read_newest_state(self._read)
        if contents is not None:
            for number, (offset, data) in contents.frames.items():
                key = None if number == HISTORY else unpack_series(data)[0]
                self._frames[key] = number, offset, _FRAME.size + len(data)
        self._set_limits()

    def _read(self, offset: int, size: int) -> bytes:
        return bytes(self._memory[offset : offset + size])

    def _set_limits(self) -> None:
        self._fold_at = self._commit.counted + self._layout.slots // 2
        self._full_at = self._commit.counted + self._layout.slots

    def occupy(self, name: bytes, process: int) -> None:
        """Write down whose seat this is."""
        self._store(_OWNER_AT, _OWNER.pack(name, process, 0))

    def leave(self) -> None:
        """Say that this process counts elsewhere from now on; `append` finds no room any more."""
        self._fold_at = self._full_at = 0
        _, process, _ = _OWNER.unpack_from(self._memory, _OWNER_AT)
        self._store(_OWNER_AT + NAME_BYTES, _OWNER.pack(b"", process, 1)[NAME_BYTES:])

    def append(self, kind: Kind, figures: tuple[float, ...]) -> bool:
        """Append a finished request; return whether there was room. Never raises."""
        number = kind.number or self._name(kind)
        sequence = self._next()
        if sequence >= self._fold_at:
            self._may_fold()
            if sequence >= self._full_at:
                self._skipped.add(sequence)
                return False
        if number < 0:
            self._skipped.add(sequence)
            return False
        offset = _RING_AT + (sequence & self._mask) * _FIGURES.size
        try:
            record = _USUAL_FIGURES if len(figures) == USUAL else _FIGURES
            record.pack_into(self._memory, offset, *figures, number, sequence)
        except (error, TypeError, OverflowError):
            blank = (0,) * WIDTH
            _FIGURES.pack_into(self._memory, offset, *blank, _MALFORMED, sequence)
        return True

    def _name(self, kind: Kind) -> int:
        """Write the labels of a kind down; return its number, or -1 if there is no room."""
        if kind.key is None:
            return _LEFT_OUT if kind.is_left_out else _MALFORMED
        try:
            packed = pack_labels(kind)
        except MalformedError:
            return _MALFORMED
        size = -(-(_LABEL.size + len(packed)) // _WORD) * _WORD
        with self._naming:
            if kind.number:  # by another thread
                return kind.number
            if self._label_end + size > self._layout.label_bytes:
                # Only once nothing that waits refers to them may all labels be replaced.
                self._may_fold()
                if size > self._layout.label_bytes or not self._forget_labels():
                    return -1
            offset = self._label_end
            self._label_end += size
            number = self._commit.number << _NUMBER_BITS | offset + 1
            label = _LABEL.pack(number, len(packed), crc32(packed)) + packed
            self._store(self._layout.labels_at + offset, label)
            self._kinds[number] = kind
            kind.number = number
        return number

    def _forget_labels(self) -> bool:
        """Make room for labels, if every sample that refers to others is counted."""
        sequence = self._next()
        self._skipped.add(sequence)
        last, waiting = self._find_end(sequence + 1)
        if waiting or last < sequence:
            return False
        for kind in self._kinds.values():
            kind.number = 0
        # A thread may have looked a number up, and not have taken its place in the ring yet.
        self._older_kinds, self._kinds = self._kinds, {}
        self._label_end = 0
        return True

    def _find_end(self, end: int) -> tuple[int, list[int]]:
        """Return the last number before `end` up to which all is written, and those with samples.

        In an app with threads one of them may have taken a number, and not have written yet.
        """
        found = []
        number = self._commit.counted + 1
        while number < end:
            if number not in self._skipped:
                offset = _RING_AT + (number & self._mask) * _FIGURES.size
                if _FIGURES.unpack_from(self._memory, offset)[-1] != number:
                    break
                found.append(number)
            number += 1
        return number - 1, found

    def take(self) -> tuple[int, list[Waiting]]:
        """Return the samples that are not counted yet, and the number of the last of them."""
        end = self._next()
        self._skipped.add(end)
        last, numbers = self._find_end(end + 1)
        samples: dict[int, list[float]] = {}
        for number in numbers:
            offset = _RING_AT + (number & self._mask) * _FIGURES.size
            *figures, kind, _ = _FIGURES.unpack_from(self._memory, offset)
            samples.setdefault(kind, []).extend(figures)
        return last, [Waiting(self._find_kind(kind), found) for kind, found in samples.items()]

    def _find_kind(self, number: int) -> Kind | None:
        if number == _LEFT_OUT:
            return Kind(None, is_left_out=True)
        return self._kinds.get(number) or self._older_kinds.get(number)

    def publish(
        self,
        last: int,
        changed: Mapping[SeriesKey | None, bytes],
        counts: Counts,
        *,
        anew: bool = False,
    ) -> None:
        """Commit that everything up to `last` is counted, in these series and those before.

        The bytes of None are those of the history. `anew` forgets those before.
        Raises: FullError; nothing is committed then.
        """
        if anew:
            self._frames.clear()
        kept = {key: frame for key, frame in self._frames.items() if key not in changed}
        live = sum(size for _, _, size in kept.values())
        added = sum(_frame_size(data) for data in changed.values())
        commit = self._commit
        half, used, number = commit.half, commit.used, commit.series
        if anew or used + added > min(
            2 * (live + added) + _LEAST_OUTDATED, self._layout.half_bytes
        ):
            kept, used = self._copy_to_other_half(kept)
            half = 1 - half
        if used + added > self._layout.half_bytes:
            raise FullError(f"{used + added} bytes of series")
        for key, data in changed.items():
            if key is None:
                own = HISTORY
            elif key in self._frames:
                own = self._frames[key][0]
            else:
                own = number = number + 1
            frame = _FRAME.pack(own, len(data), crc32(data)) + data
            self._store(self._half_at(half) + used, frame)
            kept[key] = own, used, len(frame)
            used += _frame_size(data)
        self._commit = Commit(commit.number + 1, last, half, used, number, counts)
        packed = _COMMIT.pack(*self._commit[:5], *counts)
        twin = _COMMITS_AT + self._commit.number % 2 * _TWIN_BYTES
        self._store(twin, packed + _CHECK.pack(crc32(packed)))
        self._frames = kept
        # In place: another thread may add a number meanwhile, which must neither be lost, since no
        # more would ever be counted then, nor change the set while it is looked through.
        self._skipped.difference_update([each for each in tuple(self._skipped) if each <= last])
        self._set_limits()

    def _half_at(self, half: int) -> int:
        return self._layout.archive_at + half * self._layout.half_bytes

    def _copy_to_other_half(
        self, kept: Mapping[SeriesKey | None, tuple[int, int, int]]
    ) -> tuple[dict[SeriesKey | None, tuple[int, int, int]], int]:
        source = self._half_at(self._commit.half)
        copied, data = {}, bytearray()
        for key, (number, offset, size) in kept.items():
            copied[key] = number, len(data), size
            data += self._memory[source + offset : source + offset + size]
            data += bytes(-len(data) % _WORD)
        self._store(self._half_at(1 - self._commit.half), bytes(data))
        return copied, len(data)

    def publish_state(self, data: bytes) -> None:
        """Publish what the process is at, if it fits; the last such bytes are replaced."""
        if len(data) <= _STATE_BYTES - 16:
            self._states += 1
            head = _STATE.pack(self._states, len(data))
            twin = _STATES_AT + self._states % 2 * _STATE_BYTES
            self._store(twin, head + data + _CHECK.pack(crc32(head + data)))

    def _store(self, offset: int, data: bytes) -> None:
        self._memory[offset : offset + len(data)] = data


def clear(memory: memoryview, layout: Layout) -> None:
    """Make a seat empty, also one that was not made empty to the end."""
    for start, end in ((_OWNER_AT, _COMMITS_AT), (_COMMITS_AT, layout.archive_at)):
        memory[start:end] = bytes(end - start)


def read_owner(read: Read) -> tuple[bytes, int, bool]:
    """Return the name of the app and the process of a seat; the name of an empty one is zeros."""
    name, process, has_left = _OWNER.unpack(read(_OWNER_AT, _OWNER.size))
    return name, process, bool(has_left)


def read_seat(read: Read, layout: Layout) -> Contents:
    """Return everything in a seat, while its process goes on. Raises: MalformedError."""
    for _ in range(_ATTEMPTS):
        try:
            return _read_once(read, layout)
        except _Unstable:
            continue
    raise MalformedError("a seat that never holds still")


def read_state(read: Read) -> bytes:
    """Return the bytes that were published last by `publish_state`; none if there are none."""
    return _read_newest_state(read)[1]


def _read_newest_state(read: Read) -> tuple[int, bytes]:
    newest, found = 0, b""
    for twin in range(2):
        data = read(_STATES_AT + twin * _STATE_BYTES, _STATE_BYTES)
        number, size = _STATE.unpack_from(data)
        end = 12 + size
        if end + 4 <= len(data) and number > newest:
            (check,) = _CHECK.unpack_from(data, end)
            if check == crc32(data[:end]):
                newest, found = number, data[12:end]
    return newest, found


def _read_once(read: Read, layout: Layout) -> Contents:
    name, process, has_left = read_owner(read)
    commit = _read_commit(read)
    if not (0 <= commit.used <= layout.half_bytes and commit.half in (0, 1)):
        raise MalformedError(f"{commit!r} is no commit")
    half = read(layout.archive_at + commit.half * layout.half_bytes, commit.used)
    slots = _read_ring(read, layout, commit.counted)
    labels = read(layout.labels_at, layout.label_bytes) if slots else b""
    if _read_commit(read) != commit:
        raise _Unstable
    return Contents(
        name,
        process,
        has_left,
        commit,
        max(slots, default=commit.counted),
        _split_frames(half),
        list(_group(slots.values(), labels)),
    )


def _read_commit(read: Read) -> Commit:
    data = read(_COMMITS_AT, 2 * _TWIN_BYTES)
    found = []
    for twin in (data[:_TWIN_BYTES], data[_TWIN_BYTES:]):
        packed = twin[: _COMMIT.size]
        values = _COMMIT.unpack(packed)
        (check,) = _CHECK.unpack_from(twin, _COMMIT.size)
        if check == crc32(packed) and values[0] > 0:
            number, counted, half, used, series, *counts = values
            found.append(Commit(number, counted, half, used, series, Counts(*counts)))
    if found:
        return max(found)
    # Before the first commit, which may be about to be written, the other twin is empty.
    if data[:_TWIN_BYTES].strip(b"\0"):
        raise MalformedError("a seat without a valid commit")
    return Commit()


def _read_ring(read: Read, layout: Layout, counted: int) -> dict[int, tuple[float, ...]]:
    """Return the records of the ring that are not counted, by their numbers.

    Those that a first look shows to be complete are read at a second look.
    """
    size = layout.slots * _FIGURES.size
    complete = {words[-1] for words in _FIGURES.iter_unpack(read(_RING_AT, size))}
    valid = range(counted + 1, counted + 1 + layout.slots)
    data = read(_RING_AT, size)
    found: dict[int, tuple[float, ...]] = {}
    for slot, words in enumerate(_FIGURES.iter_unpack(data)):
        sequence = words[-1]
        if sequence in valid and sequence in complete and sequence & (layout.slots - 1) == slot:
            found[sequence] = words
    return found


def _group(records: Iterable[tuple[float, ...]], labels: bytes) -> Iterable[Waiting]:
    samples: dict[int, list[float]] = {}
    for *figures, kind, _ in records:
        samples.setdefault(int(kind), []).extend(figures)
    for number, found in samples.items():
        yield Waiting(_find_label(number, labels), found)


def _find_label(number: int, labels: bytes) -> Kind | None:
    if number == _MALFORMED:
        return None
    if number == _LEFT_OUT:
        return Kind(None, is_left_out=True)
    offset = (number & (1 << _NUMBER_BITS) - 1) - 1
    if not 0 <= offset <= len(labels) - _LABEL.size:
        raise MalformedError(f"{number!r} is no number of a kind")
    named, size, check = _LABEL.unpack_from(labels, offset)
    packed = labels[offset + _LABEL.size : offset + _LABEL.size + size]
    if named != number or len(packed) != size or crc32(packed) != check:
        raise _Unstable
    return unpack_labels(packed)


def _split_frames(data: bytes) -> dict[int, tuple[int, bytes]]:
    """Return where the bytes of each series begin, and the bytes that were written last."""
    frames = {}
    offset = 0
    while offset < len(data):
        if offset + _FRAME.size > len(data):
            raise _Unstable
        number, size, check = _FRAME.unpack_from(data, offset)
        packed = data[offset + _FRAME.size : offset + _FRAME.size + size]
        if len(packed) != size:
            raise _Unstable
        frames[number] = offset, packed, check
        offset += _frame_size(packed)
    for _, packed, check in frames.values():
        if crc32(packed) != check:
            raise _Unstable
    return {number: (offset, packed) for number, (offset, packed, _) in frames.items()}


def _frame_size(data: bytes) -> int:
    return -(-(_FRAME.size + len(data)) // _WORD) * _WORD
