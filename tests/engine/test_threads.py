"""The threads for what would hold up an event loop."""

import os
import threading

from asgi_serial.concurrency.threads import Threads

from .driver import awaited


@awaited
async def test_work_is_done_in_a_thread_of_that_name():
    name = await Threads(1, "at_work").run(lambda: threading.current_thread().name)
    assert name.startswith("at_work")


@awaited
async def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    threads = Threads(1, "at_work")
    here = await threads.run(threading.get_ident)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert await threads.run(threading.get_ident) != here
    assert await threads.run(threading.get_ident) != here
