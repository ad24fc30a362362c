"""Memory that the workers of one server share, and that the system frees with the last of them.

It is a file without a name in memory (`memfd_create`), so nothing stays when all have ended, in
whatever way; its size does not count for `/dev/shm`. A worker finds it among the open files of the
other children of its parent. Each seat in it belongs to the process that holds a lock on its first
byte, which the system releases when the process ends; the next worker takes the seat over.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import NamedTuple

from asgi_serial.timing.workers.packing import FORM, MalformedError
from asgi_serial.timing.workers.seat import (
    NAME_BYTES,
    Contents,
    Layout,
    Read,
    clear,
    read_owner,
    read_seat,
    read_state,
)
from asgi_serial.timing.workers.servers import siblings

LAYOUT = Layout()
MAX_SEATS = 128
_EMPTY = bytes(NAME_BYTES)
_HEAD = Struct("=8s8sqq")  # what this is, its form, the number of seats, the size of each
_HEAD_BYTES = 4096
_MAGIC = b"asgi_ser"
_NAME = f"asgi_serial-{FORM.hex()}"
_FILE_BYTES = _HEAD_BYTES + MAX_SEATS * LAYOUT.size
_PATIENCE_SECONDS = 5.0


class UnavailableError(Exception):
    """The memory of the workers cannot be had; the message says why."""


class Entry(NamedTuple):
    """One seat as another process sees it; `contents` is None if it cannot be read."""

    seat: int
    process: int
    is_alive: bool
    has_left: bool
    contents: Contents | None
    state: bytes


class SharedMemory:
    """The memory of all workers of a server, open in this process."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._own: set[int] = set()  # a process does not conflict with its own locks
        # Each has a copy of the file's descriptor, and to close one of those ends all locks.
        self._maps: list[mmap.mmap] = []
        self._lock = Lock()

    def take_seat(self, name: bytes) -> tuple[int, memoryview, Contents | None]:
        """Take a seat for the app with this name: one that was left, an empty one, an outdated one.

        Returns its number, its memory, and what a worker before has left there.
        Raises: UnavailableError.
        """
        with self._lock:
            owners = [read_owner(self._reader(index))[0] for index in range(MAX_SEATS)]
            left = [index for index, owner in enumerate(owners) if owner == name]
            empty = [index for index, owner in enumerate(owners) if owner == _EMPTY]
            for index in left:
                if self._acquire(index):
                    with suppress(MalformedError):
                        contents = read_seat(self._reader(index), LAYOUT)
                        if not contents.has_left:
                            return index, self._map(index), contents
                    return index, self._map_empty(index), None
            for index in empty:
                if self._acquire(index):
                    return index, self._map_empty(index), None
            for index, owner in enumerate(owners):
                others = [other for other, named in enumerate(owners) if named == owner]
                if not any(self._is_alive(other) for other in others) and self._acquire(index):
                    return index, self._map_empty(index), None
        raise UnavailableError(f"there are only {MAX_SEATS} places for workers in shared memory")

    def entries(self, name: bytes) -> Iterator[Entry]:
        """Yield the seats of the app with this name, in their order."""
        for index in range(MAX_SEATS):
            read = self._reader(index)
            owner, process, has_left = read_owner(read)
            if owner != name:
                continue
            is_alive = self._is_alive(index)
            contents: Contents | None = None
            with suppress(MalformedError):
                contents = read_seat(read, LAYOUT)
            yield Entry(index, process, is_alive, has_left, contents, read_state(read))

    def _reader(self, index: int) -> Read:
        start = _HEAD_BYTES + index * LAYOUT.size

        def read(offset: int, size: int) -> bytes:
            return os.pread(self._file, size, start + offset)

        return read

    def _map(self, index: int) -> memoryview:
        self._own.add(index)
        start = _HEAD_BYTES + index * LAYOUT.size
        self._maps.append(mmap.mmap(self._file, LAYOUT.size, offset=start))
        return memoryview(self._maps[-1])

    def _map_empty(self, index: int) -> memoryview:
        memory = self._map(index)
        clear(memory, LAYOUT)
        return memory

    def _acquire(self, index: int) -> bool:
        """Lock a seat for as long as this process lives; return whether it was free."""
        if index in self._own:
            return False
        try:
            fcntl.lockf(
                self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _HEAD_BYTES + index * LAYOUT.size
            )
        except OSError:
            return False
        return True

    def _is_alive(self, index: int) -> bool:
        if index in self._own:
            return True
        if not self._acquire(index):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _HEAD_BYTES + index * LAYOUT.size)
        return False


_OPENED: dict[int, SharedMemory] = {}


def open_shared_memory() -> SharedMemory:
    """Return the memory of the workers that are children of this process' parent.

    It is opened once in a process, and stays open. Raises: UnavailableError.
    """
    if not hasattr(os, "memfd_create"):
        raise UnavailableError("this system has no memory without a name (memfd_create)")
    try:
        # Alone among the threads of this process, too.
        with _alone_among_siblings():
            memory = _OPENED.get(os.getpid())
            if memory is None:
                file = _find_file()
                memory = SharedMemory(_make_file() if file is None else file)
                _OPENED.clear()  # of the process from which this one was forked
                _OPENED[os.getpid()] = memory
            return memory
    except OSError as error:
        raise UnavailableError(f"shared memory cannot be had ({error})") from None


def _open_common() -> int:
    """Open what the children of one parent have in common, to lock it.

    Only the same user can open the files of a process, while everybody may open its folder, and
    keep a lock on it, for which each worker would wait at its start.
    """
    folder = f"/proc/{os.getppid()}"
    try:
        return os.open(f"{folder}/fd", os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # the parent runs as another user
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def _alone_among_siblings() -> Iterator[None]:
    """Let no other child of the same parent in at the same time."""
    folder = _open_common()
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        yield
    finally:
        os.close(folder)


def _find_file() -> int | None:
    """Open the memory that another worker has open; None if none has."""
    for pid in siblings():
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            if _may_be_worker(pid):
                raise
            continue
        except OSError:  # it has ended
            continue
        for name in names:
            path = f"/proc/{pid}/fd/{name}"
            with suppress(OSError):
                if os.readlink(path).startswith(f"/memfd:{_NAME} "):
                    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                    if _is_ours(file):
                        return file
                    os.close(file)
    return None


def _may_be_worker(pid: int) -> bool:
    """Whether a process whose files this one may not see runs as the same user."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2]) == os.geteuid()
    return False


def _make_file() -> int:
    file = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, _FILE_BYTES)
    os.fchmod(file, 0o600)
    os.pwrite(file, _HEAD.pack(_MAGIC, FORM, MAX_SEATS, LAYOUT.size), 0)
    # Nobody can make it shorter, which would end a process that uses the rest.
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    return file


_SEALS = getattr(fcntl, "F_SEAL_SHRINK", 0) | getattr(fcntl, "F_SEAL_SEAL", 0)


def _is_ours(file: int) -> bool:
    """Whether a file is such memory, was made by the same user, and cannot be made shorter."""
    stat = os.fstat(file)
    return (
        stat.st_uid == os.geteuid()
        and stat.st_size == _FILE_BYTES
        and fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS == _SEALS
        and os.pread(file, _HEAD.size, 0) == _HEAD.pack(_MAGIC, FORM, MAX_SEATS, LAYOUT.size)
    )
