"""The lines of the documents pass mypy --strict and pyright, with the types of the frameworks."""

import ast
import builtins
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TYPED = ["examples", "tests/typed"]


def names_of(tree):
    """The names that a block defines, and those that it uses."""
    defined, used = set(dir(builtins)) | {"__name__"}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).partition(".")[0])
    return defined, used


def awaits(block):
    """Whether a block can stand in a coroutine only."""
    try:
        compile(block, "block", "exec")
    except SyntaxError:
        return True
    return False


def modules_of(blocks):
    """The modules that a reader makes of the blocks of a page.

    Blocks that await something are one program. Any other one stands alone, or after the first
    block, if it uses names of that.
    """
    if any(map(awaits, blocks)):
        whole = "\n".join(blocks)
        return [f"async def page() -> None:\n{textwrap.indent(whole, '    ')}"]
    modules = []
    for block in blocks:
        defined, used = names_of(ast.parse(block))
        modules.append(block if used <= defined else f"{blocks[0]}\n\n{block}")
    return modules


@pytest.fixture(scope="session")
def blocks(tmp_path_factory):
    """A folder with a module for each Python block of the documents."""
    folder = tmp_path_factory.mktemp("blocks")
    for page in PAGES:
        found = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for place, module in enumerate(modules_of(found)):
            (folder / f"{page.stem}_{place}.py").write_text(module)
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
