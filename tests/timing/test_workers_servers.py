"""The calls by which a worker is recognized, from whichever thread they are read."""

import gc
import sys
from threading import Thread

import pytest

from asgi_serial.timing.workers.servers import main_calls

HERE = (__name__, "found_in")


def found_in(thread):
    """The calls of the main thread, as it or another thread finds them."""
    found = []
    if thread == "the main thread":
        found += main_calls()
    else:
        other = Thread(target=lambda: found.extend(main_calls()))
        other.start()
        other.join()
    return found


@pytest.fixture
def collections(monkeypatch):
    """The garbage collections that could run while the interpreter lists its threads."""
    possible, list_frames = [], sys._current_frames

    def current_frames():
        possible.append(gc.isenabled())
        return list_frames()

    monkeypatch.setattr(sys, "_current_frames", current_frames)
    return possible


@pytest.mark.parametrize("thread", ["the main thread", "another"])
@pytest.mark.parametrize("is_on", [True, False], ids=["garbage is collected", "it is not"])
def test_no_garbage_is_collected_while_the_interpreter_lists_its_threads(
    thread, is_on, collections
):
    (gc.enable if is_on else gc.disable)()
    try:
        assert HERE in found_in(thread)
        assert gc.isenabled() is is_on
    finally:
        gc.enable()
    assert not any(collections)
