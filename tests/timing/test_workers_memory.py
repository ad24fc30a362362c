"""The memory that workers share is theirs alone: no other user of the machine can hold it up."""

import fcntl
import os

import pytest

from asgi_serial.timing.workers import memory

FOLDER = f"/proc/{os.getpid()}"

pytestmark = pytest.mark.skipif(
    not os.access(f"{FOLDER}/fd", os.R_OK), reason="needs the files of a process in /proc"
)


@pytest.fixture(autouse=True)
def own_parent(monkeypatch):
    """Locks that no other process waits for: this one is its own parent."""
    monkeypatch.setattr(os, "getppid", os.getpid)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(memory, "_PATIENCE_SECONDS", 0.0)


@pytest.fixture
def held(request):
    """A lock that another process has, on a part of what the system tells of a process."""
    folder = os.open(request.param, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield
    os.close(folder)


@pytest.mark.parametrize("held", [FOLDER], ids=["open to all users"], indirect=True)
@pytest.mark.usefixtures("held", "impatient")
def test_a_lock_that_any_user_can_take_holds_no_worker_up():
    with memory._alone_among_siblings():
        pass


@pytest.mark.parametrize("held", [f"{FOLDER}/fd"], ids=["of the same user"], indirect=True)
@pytest.mark.usefixtures("held", "impatient")
def test_a_sibling_that_is_in_is_waited_for():
    with pytest.raises(BlockingIOError), memory._alone_among_siblings():
        pass


def test_the_parent_may_run_as_another_user(monkeypatch):
    opened, open_ = [], os.open

    def refuse_files(path, flags):
        opened.append(path)
        if path.endswith("/fd"):
            raise PermissionError(13, "Permission denied", path)
        return open_(path, flags)

    monkeypatch.setattr(os, "open", refuse_files)
    with memory._alone_among_siblings():
        pass
    assert opened == [f"{FOLDER}/fd", FOLDER]
