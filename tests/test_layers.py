"""Imports and coroutines stand where docs/explanation/architecture.md says that they may."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "asgi_serial"

# From the bottom up. A module imports from the rows above its own in this table, or from its own
# folder; rows that share a line are peers and import nothing from one another.
ROWS = (
    ("types", "errors", "reasons", "version"),
    ("bounds", "concurrency"),
    ("http",),
    ("formats", "codecs", "store", "timing"),
    ("cache",),
    ("settings",),
    ("engine",),
    ("representation",),
    ("request",),
    ("caching",),
    ("response",),
    ("asgi",),
    ("admin",),
    ("middleware", "serialization"),
    ("openapi",),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}

# Beside the shell, the stores; the policy only wraps handlers in functions of their own kind.
COROUTINES_MAY_STAND_IN = {
    *("concurrency", "store", "cache", "asgi", "admin", "middleware", "serialization", "cli"),
    "settings/policy",
}
PURE_PARTS_OF_THE_CACHE = {
    "cache/drops",
    "cache/entry",
    "cache/packing",
    "cache/key",
    "cache/purges",
}

FRAMEWORKS = {
    *("blacksheep", "django", "falcon", "fastapi", "litestar", "quart", "sanic", "starlette"),
}

MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}
each_module = pytest.mark.parametrize("module", MODULES)


def unit(module):
    """The name by which the table knows a module: its folder's, or its own."""
    return module.split("/")[0]


def imports(module, tree):
    """Every module that `tree` imports, by its full dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = ["asgi_serial", *module.split("/")][: -node.level] if node.level else []
            base = ".".join([*folder, *([node.module] if node.module else [])])
            # `from . import x` may name a module as well as a value.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def units_imported(module, tree):
    names = (name.split(".") for name in imports(module, tree))
    inside = [parts for parts in names if parts[0] == "asgi_serial"]
    return {parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__" for parts in inside}


def breaches(module, tree):
    """What `module` imports that does not stand above it in the table."""
    own = unit(module)
    return {name for name in units_imported(module, tree) - {own} if RANK[name] >= RANK[own]}


def roots(module):
    return {name.split(".")[0] for name in imports(module, MODULES[module])}


@each_module
def test_every_module_has_its_row(module):
    assert unit(module) in RANK


@each_module
def test_imports_go_down_the_layers(module):
    assert breaches(module, MODULES[module]) == set()


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("http/fields", "from ..types import Field", set()),
        ("http/fields", "from . import mediatypes", set()),
        ("http/fields", "from ..settings import Settings", {"settings"}),
        ("http/fields", "from asgi_serial.settings.model import Settings", {"settings"}),
        ("http/fields", "import asgi_serial.settings.model", {"settings"}),
        ("http/fields", "import asgi_serial", {"__init__"}),
        ("http/fields", "from .. import settings", {"settings"}),
        ("http/fields", "from .. import serial", {"__init__"}),
        ("timing/routes/starlette", "from ...cache.entry import Entry", {"cache"}),
        ("timing/routes/starlette", "from ..recorder import Recorder", set()),
        ("http/fields", "def f():\n    from ..settings import model", {"settings"}),
        ("request/plan", "import os, json\nfrom os import path", set()),
    ],
)
def test_the_reader_of_imports_sees_each_form(module, line, wrong):
    assert breaches(module, ast.parse(line)) == wrong


def imported_modules(module):
    """The modules of the package that a module imports, for type checkers, too."""
    for name in imports(module, MODULES[module]):
        path = name.removeprefix("asgi_serial").strip(".").replace(".", "/")
        # The last part may be a module, or a value of one.
        yield from ({path, path.rpartition("/")[0]} & MODULES.keys()) - {module}


def find_circle(module, path=()):
    """Return a way along imports from a module back to itself, or None."""
    if module in path:
        return path[path.index(module) :]
    if module in FREE_OF_CIRCLES:
        return None
    for imported in imported_modules(module):
        circle = find_circle(imported, (*path, module))
        if circle:
            return circle
    FREE_OF_CIRCLES.add(module)
    return None


FREE_OF_CIRCLES = set()


def test_the_modules_that_one_imports_are_found():
    found = set(imported_modules("asgi/delivery"))
    assert {"asgi/send_queue", "response/flow", "request/plan"} <= found


@each_module
def test_no_import_leads_back_to_its_module(module):
    assert find_circle(module) is None


@each_module
def test_coroutines_stand_in_the_shells_only(module):
    if not {module, unit(module)} & COROUTINES_MAY_STAND_IN or module in PURE_PARTS_OF_THE_CACHE:
        found = [
            node
            for node in ast.walk(MODULES[module])
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
            and not is_declaration(node)
        ]
        assert found == []


def is_declaration(node):
    """Whether `node` only declares a coroutine, as a protocol does: a docstring or `...`."""
    return isinstance(node, ast.AsyncFunctionDef) and all(
        isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body
    )


def test_aiocache_is_imported_in_one_module():
    assert [name for name in MODULES if "aiocache" in roots(name)] == ["store/target"]


@each_module
def test_pure_semantics_need_the_standard_library_only(module):
    pure = {"types", "errors", "reasons", "bounds", "http", "settings/values", "settings/policy"}
    if {module, unit(module)} & pure:
        assert roots(module) <= sys.stdlib_module_names | {"asgi_serial"}


@each_module
def test_frameworks_are_imported_at_the_top_only(module):
    if unit(module) not in {"middleware", "serialization", "admin", "cli"}:
        assert not roots(module) & FRAMEWORKS


@each_module
def test_only_the_settings_and_constructors_of_the_shell_read_the_environment(module):
    if unit(module) not in {
        "settings",
        "middleware",
        "serialization",
        "openapi",
        "cli",
        "__main__",
    }:
        named = {node.attr for node in ast.walk(MODULES[module]) if isinstance(node, ast.Attribute)}
        assert not named & {"environ", "getenv"}


PLAN = MODULES["request/plan"]
ATTRIBUTES_OF_A_PLAN = {
    statement.target.id if isinstance(statement, ast.AnnAssign) else statement.targets[0].id
    for each in PLAN.body
    if isinstance(each, ast.ClassDef) and each.name == "RequestPlan"
    for statement in each.body
    if isinstance(statement, ast.AnnAssign | ast.Assign)
}
PLANS = {"plan", "request", "again", "get"}
"""The names under which functions and objects know the plan of a request."""


def written(tree):
    """The attributes that are written, each with the name of the object it is an attribute of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield name.lstrip("_"), node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("setattr", "vars"):
            yield ast.unparse(node.args[0]).split(".")[-1].lstrip("_"), "scope"


def test_the_attributes_of_a_plan_are_known():
    assert {"scope", "lines", "key", "forward", "bypass", "asked"} <= ATTRIBUTES_OF_A_PLAN
    tree = ast.parse("self._plan.key = plan.bypass, request.a = x; del get.b; setattr(plan, y, z)")
    found = {("plan", "key"), ("plan", "bypass"), ("request", "a"), ("get", "b"), ("plan", "scope")}
    assert set(written(tree)) == found


@each_module
def test_only_the_module_of_the_plan_writes_to_one(module):
    """A stage that learns more returns another plan: see `RequestPlan.with_`."""
    if module == "request/plan":
        return
    found = {
        f"{owner}.{name}"
        for owner, name in written(MODULES[module])
        if owner in PLANS and name in ATTRIBUTES_OF_A_PLAN
    }
    assert not found
