"""The workers of one server, as the recorder of one of them sees the others."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakSet, ref

from asgi_serial.timing.failures import Failures
from asgi_serial.timing.history import History
from asgi_serial.timing.recorder import (
    Counts,
    Kind,
    SeriesKey,
    SeriesRecorder,
    Totals,
    Waiting,
)
from asgi_serial.timing.workers.memory import (
    LAYOUT,
    Entry,
    SharedMemory,
    UnavailableError,
    open_shared_memory,
)
from asgi_serial.timing.workers.packing import (
    MalformedError,
    State,
    pack_history,
    pack_series,
    pack_state,
    unpack_history,
    unpack_series,
    unpack_state,
)
from asgi_serial.timing.workers.seat import HISTORY, NAME_BYTES, Contents, Seat
from asgi_serial.timing.workers.servers import is_worker, main_calls

ALL = "all workers"
ONE = "this process"


class Processes(NamedTuple):
    """The processes whose requests are counted.

    `counted` is `all workers` or `this process`; `note` says why others are not counted.
    """

    counted: str
    pids: tuple[int, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all this for programs, and the process that answers as `pid`."""
        return {**self._asdict(), "pids": list(self.pids), "pid": os.getpid()}


class Crew:
    """Shares the series of a recorder with those of the same app in the other workers.

    `identity` tells the apps of one process apart, and is the same in all workers; of those with
    equal ones, the first that is made in each process is the same app, and so on. In a process that
    is no worker, and was not forked since this was made, nothing is shared.
    """

    def __init__(self, identity: str) -> None:
        # Functions show their addresses, which differ from process to process.
        self._identity = _ADDRESS.sub("", identity)
        _BUILT[self._identity] += 1
        self._number = _BUILT[self._identity]
        self._state: Callable[[], State] | None = None
        self._built_in = os.getpid()
        self._lock = Lock()
        self._memory: SharedMemory | None = None
        self._seat: Seat | None = None
        self._index = -1
        self._last = 0
        self._recorder: ref[SeriesRecorder] | None = None
        self._failures = Failures("Sharing of timings among workers", "each counts for itself")
        self._note = ""
        _CREWS.add(self)
        _watch_forks()
        _hold_memory()

    @property
    def name(self) -> bytes:
        """The identity as a seat has it."""
        text = f"{self._number} {self._identity}"
        return sha256(text.encode("utf-8", "replace")).digest()[:NAME_BYTES]

    def stand_for_equals(self) -> None:
        """Say that whichever app with this identity is used in a process stands for all of them."""
        self._number = 0

    def watch(self, state: Callable[[], State]) -> None:
        """Publish the state of this process once a second, while an event loop runs."""
        self._state = state

    def join(self, recorder: SeriesRecorder) -> None:
        """Take a seat, if this process is a worker; see Workers."""
        try:
            self._recorder = ref(recorder)
            if not is_worker(main_calls()) and os.getpid() == self._built_in:
                return
            self._memory = open_shared_memory()
            self._index, memory, contents = self._memory.take_seat(self.name)
            self._seat = seat = Seat(memory, LAYOUT, contents, self._fold)
            seat.occupy(self.name, os.getpid())
            self._last = 0 if contents is None else contents.last
            earlier = Totals({}, Counts(), History()) if contents is None else totals_of(contents)
            recorder.share(earlier, () if contents is None else contents.waiting)
            self._tick()
        except Exception as error:  # never break a request
            self._give_up(error)

    def append(self, kind: Kind, figures: tuple[float, ...]) -> bool:
        """Keep a finished request; see Workers."""
        return self._seat is not None and self._seat.append(kind, figures)

    def take(self) -> Iterable[Waiting]:
        """Return what was appended; see Workers."""
        if self._seat is None:
            return ()
        self._last, waiting = self._seat.take()
        return waiting

    def publish(self, totals: Totals, *, anew: bool) -> None:
        """Share the totals; see Workers."""
        try:
            if self._seat is not None:
                self._seat.publish(self._last, pack_totals(totals), totals.counts, anew=anew)
        except Exception as error:
            self._give_up(error)

    def gather(self, own: Totals) -> Iterable[Totals]:
        """Return the totals of all workers; see Workers."""
        parts = []
        for entry in self._entries():
            if entry.seat == self._index:
                parts.append(own)
            elif entry.contents is not None:
                whole = SeriesRecorder(max(len(entry.contents.frames), 1 << 20))
                try:
                    whole.adopt(totals_of(entry.contents), entry.contents.waiting)
                except MalformedError:
                    continue
                parts.append(whole.read())
        return parts

    def processes(self) -> Processes:
        """Return which processes a snapshot counts."""
        own = os.getpid()
        if self._seat is None:
            return Processes(ONE, (own,), self._note)
        entries = list(self._entries())
        missing = [str(e.process) for e in entries if e.has_left or e.contents is None]
        note = f"without all of pid {', '.join(missing)}" if missing else ""
        pids = tuple(sorted(entry.process for entry in entries if entry.is_alive))
        return Processes(ALL, pids, note)

    def _tick(self) -> None:
        """Tell the other workers the state of this process, now and once a second."""
        recorder = self._recorder and self._recorder()
        if self._seat is None or self._state is None or not recorder:
            return
        try:
            if recorder.fold():
                self._seat.publish_state(pack_state(self._state()))
        except Exception as error:
            self._failures.note(error)
        # Without asyncio the others learn of it when the ring fills up.
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_later(_PERIOD_SECONDS, self._tick)

    def states(self, own: State) -> dict[int, State]:
        """Return the state of each worker that lives, by its process."""
        found = {os.getpid(): own}
        for entry in self._entries():
            if entry.is_alive and entry.seat != self._index and entry.state:
                with suppress(MalformedError):
                    found[entry.process] = unpack_state(entry.state)
        return found

    def _entries(self) -> Iterable[Entry]:
        return () if self._memory is None else self._memory.entries(self.name)

    def _fold(self) -> None:
        recorder = self._recorder and self._recorder()
        if recorder:
            recorder.fold()

    def _give_up(self, error: Exception) -> None:
        """Count for this process alone from now on."""
        seat, self._seat = self._seat, None
        recorder = self._recorder and self._recorder()
        if recorder:
            recorder.part()
        if seat is not None:
            seat.leave()
        if not isinstance(error, UnavailableError):
            self._failures.note(error)
        self._note = f"one of several: {error}"

    def start_over(self) -> None:
        """Forget the process from which this one was forked, and whose seat this is."""
        self._memory = self._seat = None
        self._index = -1
        recorder = self._recorder and self._recorder()
        self._recorder = None
        self._note = ""
        if recorder:
            recorder.start_over()


def pack_totals(totals: Totals) -> dict[SeriesKey | None, bytes]:
    """Return totals as the frames of a seat. Raises: MalformedError."""
    packed: dict[SeriesKey | None, bytes] = {None: pack_history(totals.history)}
    for key, series in totals.series.items():
        packed[key] = pack_series(key, series)
    return packed


def totals_of(contents: Contents) -> Totals:
    """Return the totals that a seat has counted. Raises: MalformedError."""
    frames = {number: data for number, (_, data) in contents.frames.items()}
    packed = frames.pop(HISTORY, None)
    history = History() if packed is None else unpack_history(packed)
    return Totals(dict(map(unpack_series, frames.values())), contents.commit.counts, history)


_PERIOD_SECONDS = 1.0
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Of this process; a process that is forked from it goes on with the same.
_BUILT: Counter[str] = Counter()
_CREWS: WeakSet[Crew] = WeakSet()


def _hold_memory() -> None:
    """Open the memory if this is a worker, so that it stays when others end.

    Not only at the first request: a worker that is killed may be the only one that had any.
    """
    try:
        if is_worker(main_calls()):
            open_shared_memory()
    except UnavailableError:
        pass


@cache
def _watch_forks() -> None:
    """Have each process that is forked from this one count for itself."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for crew in list(_CREWS):
        crew.start_over()
    _hold_memory()
