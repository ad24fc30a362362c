"""Bounds on what a request crosses of the package; `python -m tests.walk` prints the files."""

import threading
from pathlib import Path

import pytest

from .walk import Steps, count_walk

# The number of files to reach for each kind.
GOALS = {"pass": 8, "hit": 8, "miss": 20, "revalidation": 22}

# Files, calls and changes of file; none may grow.
BOUNDS = {
    ("pass", "bare"): (15, 34, 25),
    ("pass", "browser"): (16, 43, 30),
    ("hit", "bare"): (8, 9, 8),
    ("hit", "browser"): (8, 9, 8),
    ("miss", "bare"): (29, 196, 108),
    ("miss", "browser"): (31, 222, 114),
    ("revalidation", "bare"): (34, 270, 152),
    ("revalidation", "browser"): (34, 272, 145),
}


@pytest.mark.parametrize(("kind", "client"), BOUNDS)
def test_a_request_crosses_no_more_than_it_did(kind, client):
    walk, bound = count_walk(kind, client), BOUNDS[kind, client]
    found = (len(walk.files), walk.calls, walk.changes)
    explained = f"{found} files, calls, changes; at most {bound}; {GOALS[kind]} files to reach"
    assert all(number <= most for number, most in zip(found, bound, strict=True)), "\n  ".join(
        [explained, *walk.files]
    )


# Where no file is: the coverage of a file of the package would be looked for.
ELSEWHERE = Path("/a package elsewhere")


def load(name, source):
    """Run `source` as if it stood in a file of that package, and return its names."""
    names = {}
    exec(compile(source, ELSEWHERE / name, "exec"), names)
    return names


WALKED = load("walked.py", "def one(): pass\ndef two(): return [one() for _ in 'ab']")
RESUMED = load("http/resumed.py", "def numbers():\n yield 1\n yield 2")


@pytest.mark.parametrize(
    ("act", "files", "calls", "changes"),
    [
        (lambda: None, (), 0, 0),
        (WALKED["one"], ("walked.py",), 1, 0),
        (WALKED["two"], ("walked.py",), 3, 0),
        (lambda: list(RESUMED["numbers"]()), ("http/resumed.py",), 1, 0),
        (
            lambda: (WALKED["one"](), *RESUMED["numbers"](), WALKED["one"]()),
            ("walked.py", "http/resumed.py"),
            3,
            2,
        ),
    ],
    ids=["nothing", "a call", "calls in a comprehension", "a generator once", "files by turns"],
)
def test_a_walk_counts_calls_of_the_package(act, files, calls, changes):
    steps = Steps(ELSEWHERE)
    with steps.noted():
        act()
    assert steps.sum_up() == (files, calls, changes)


def test_a_walk_counts_the_calls_of_threads_that_start_meanwhile():
    steps = Steps(ELSEWHERE)
    with steps.noted():
        thread = threading.Thread(target=WALKED["one"])
        thread.start()
        thread.join()
    WALKED["one"]()
    assert steps.sum_up() == (("walked.py",), 1, 0)
