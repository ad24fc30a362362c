"""The results as Markdown."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from .run import Result

PACKAGES = (
    "starlette", "starlette-compress", "brotli-asgi", "msgpack-asgi", "timing-asgi",
    "starlette-caches", "hishel", "aiocache", "uvicorn", "httptools", "brotli", "backports.zstd",
    "zstandard", "isal", "msgspec", "orjson", "msgpack",
)  # fmt: skip


def as_line(result: Result) -> str:
    """One result, with what it is made of."""
    costs = "  ".join(f"{name} {_cost(result, cost)}" for name, cost in result.costs.items())
    goal = "" if result.row.goal is None else f"(at most {result.row.goal:g})"
    return f"{result.row.name:18} {result.value:8.3f} {goal:14} {costs}"


def _cost(result: Result, cost: float) -> str:
    return f"{cost:,.0f}" if result.how == "instructions" else f"{cost * 1e6:,.1f} us"


def as_table(results: list[tuple[Result, Result | None]]) -> str:
    """All rows: the result by their own measure and, where that is another, by CPU time."""
    lines = ["| what | at most | value | met | by | by CPU time |", "|---|---|---|---|---|---|"]
    for result, by_cpu in results:
        goal = "" if result.row.goal is None else f"{result.row.goal:g}"
        met = "" if result.row.goal is None else "yes" if result.is_met else "no"
        other = "" if by_cpu is None else f"{by_cpu.value:.3g}"
        cells = (result.row.what, goal, _number(result.value), met, result.how, other)
        lines.append(f"| {' | '.join(cells)} |")
    known = ", ".join([f"Python {platform.python_version()}", *_versions()])
    return "\n".join([*lines, "", f"{known}."])


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        # Which libraries are there depends on the Python and the machine.
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
