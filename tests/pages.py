"""The documents of the project, and the blocks of code in them."""

import ast
import builtins
import inspect
import re
import sys
import textwrap
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(r'^```(\w*)(?: title="([^"\n]+)")?[^\n]*\n(.*?)^```', re.MULTILINE | re.DOTALL)


def path_of(name):
    """The only page under docs/ that has this name, in whatever folder it lies, or by its path."""
    (path,) = DOCS.rglob(f"{name}.md")
    return path


def read_page(name):
    return path_of(name).read_text()


CACHING = ("caching", "caching-users", "caching-keys", "caching-levels", "caching-ranges")


def read_caching():
    """The pages about the cache, one after the other."""
    return "\n".join(map(read_page, CACHING))


def name_of(path):
    """A page as it is named in the id of a test."""
    return str(path.relative_to(ROOT))


def blocks_of(text, language="python"):
    """The blocks in a language, but for those that have a title: they are files of a project."""
    return [
        block
        for written, title, block in _BLOCK.findall(text)
        if (written, title) == (language, "")
    ]


def titled_blocks_of(text):
    """The blocks that are files of a project, each by its title."""
    return {title: block for _, title, block in _BLOCK.findall(text) if title}


def is_program(blocks):
    """Whether the blocks of a page can stand in one coroutine only, one after the other."""
    return any(map(_awaits, blocks))


def programs_of(blocks):
    """The programs that a reader makes of the blocks of a page.

    Blocks that await something are one program. Any other one stands alone, or after the first
    block, if it uses names of that.
    """
    if is_program(blocks):
        return ["\n".join(blocks)]
    programs = []
    for block in blocks:
        defined, used = _names_of(ast.parse(block))
        programs.append(block if used <= defined else f"{blocks[0]}\n\n{block}")
    return programs


def modules_of(blocks):
    """The programs as modules that a type checker can read."""
    programs = programs_of(blocks)
    if is_program(blocks):
        return [f"async def page() -> None:\n{textwrap.indent(programs[0], '    ')}"]
    return programs


async def run_program(program, name="page"):
    """Run a program, which may await at its top, as a module of this name; return the module."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        code = compile(program, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, vars(module))
        if inspect.iscoroutine(result):
            await result
    finally:
        del sys.modules[name]
    return module


def anchors_of(path):
    """The anchors of a document's headings, as GitHub and the site name them."""
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _names_of(tree):
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


def _awaits(block):
    """Whether a block can stand in a coroutine only."""
    try:
        compile(block, "block", "exec")
    except SyntaxError:
        return True
    return False
