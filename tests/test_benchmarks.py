"""The benchmarks measure another version of the package in place of this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.packages import ROOT, package_of
from benchmarks.report import as_change
from benchmarks.rows import Row
from benchmarks.run import Change, ratio_of


async def nothing():
    return 0.0


ROW = Row("a_row", "some row", None, nothing)


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A repository whose package says 1 in its commit `old`, and 2 in its files."""
    (tmp_path / "asgi_serial").mkdir()
    module = tmp_path / "asgi_serial" / "__init__.py"
    module.write_text("NUMBER = 1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "asgi_serial")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    git(tmp_path, "tag", "old")
    module.write_text("NUMBER = 2")
    return tmp_path


def imported(folder):
    """What a process gives that imports the package from `folder`, though run in this checkout."""
    path = os.pathsep.join([folder, ROOT])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", "import asgi_serial; print(asgi_serial.NUMBER)"]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return int(done.stdout)


def test_the_package_of_a_path_is_that_of_its_files(checkout):
    with package_of(str(checkout)) as folder:
        assert imported(folder) == 2


def test_the_package_of_a_commit_is_that_which_was_committed(checkout):
    with package_of("old", str(checkout)) as folder:
        assert imported(folder) == 1
    assert not Path(folder).exists()


def test_what_is_neither_a_checkout_nor_a_commit_is_named(checkout):
    with (
        pytest.raises(ValueError, match="'new' is no checkout of asgi_serial and no commit"),
        package_of("new", str(checkout)),
    ):
        pass


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [(2.0, 1.0, 0.5), (1.0, 2.0, 2.0), (0.0, 0.0, 1.0), (0.0, 3.0, float("inf"))],
)
def test_a_row_is_compared_by_the_ratio_of_its_values(before, after, ratio):
    assert ratio_of(before, after) == ratio


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Change(ROW, "instructions", 2.0, 2.02, 1.01), ["a_row", "2", "2.02", "1.010"]),
        (Change(ROW, "instructions", 2.0, 2.2, 1.1), ["a_row", "2", "2.2", "1.100"]),
        (Change(ROW, "cpu", 2.0, 2.1, 1.05), ["a_row", "2", "2.1", "1.050"]),
        (Change(ROW, "figure", None, 2.0, None), ["a_row", "failed", "2"]),
    ],
)
def test_a_change_is_a_line(change, line):
    words = as_change(change).split()
    is_worse = change.ratio == 1.1
    assert words == [*line, change.how, *["WORSE"] * is_worse]
