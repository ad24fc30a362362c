"""The lines of the documents pass mypy --strict and pyright, with the types of the frameworks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import DOCUMENTS, ROOT, blocks_of, modules_of

TYPED = ["examples", "tests/typed"]


@pytest.fixture(scope="session")
def blocks(tmp_path_factory):
    """A folder with a module for each Python block of the documents."""
    folder = tmp_path_factory.mktemp("blocks")
    for page in DOCUMENTS:
        name = "_".join(page.relative_to(ROOT).with_suffix("").parts)
        for place, module in enumerate(modules_of(blocks_of(page.read_text()))):
            (folder / f"{name}_{place}.py").write_text(module)
    return folder


def run(*arguments):
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return ran.returncode, ran.stdout


def test_mypy_finds_nothing_in_what_users_write(blocks):
    modules = [str(path) for path in sorted(blocks.iterdir())]
    code, output = run("mypy", "--strict", "--no-error-summary", *TYPED, *modules)
    assert (code, output) == (0, "")


def test_pyright_finds_nothing_in_what_users_write(blocks):
    _, output = run("pyright", "--pythonpath", sys.executable, "--outputjson", *TYPED, str(blocks))
    report = json.loads(output)
    assert report["summary"]["filesAnalyzed"] > 30
    assert [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in report["generalDiagnostics"]
    ] == []
