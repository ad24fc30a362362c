"""The results as Markdown."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from .rows import How
from .run import Change, Result

PACKAGES = (
    "starlette", "starlette-compress", "brotli-asgi", "msgpack-asgi", "timing-asgi",
    "starlette-caches", "hishel", "aiocache", "uvicorn", "httptools", "brotli", "backports.zstd",
    "zstandard", "isal", "msgspec", "orjson", "msgpack",
)  # fmt: skip

NOISE: dict[How, float] = {"instructions": 1.02, "cpu": 1.1, "figure": 1.1}
"""The ratio up to which a row with another package is called as good."""


def as_line(result: Result) -> str:
    """One result, with what it is made of."""
    costs = "  ".join(f"{name} {_cost(result, cost)}" for name, cost in result.costs.items())
    goal = "" if result.row.goal is None else f"(at most {result.row.goal:g})"
    return f"{result.row.name:30} {or_failed(result.value):>8} {goal:14} {costs}"


def as_change(change: Change | None) -> str:
    """One row before and after, or the line above them all."""
    if change is None:
        return f"{'row':30} {'before':>10} {'after':>10} {'after/before':>12}"
    ratio = "" if change.ratio is None else f"{change.ratio:.3f}"
    numbers = f"{or_failed(change.before):>10} {or_failed(change.after):>10} {ratio:>12}"
    is_worse = change.ratio is not None and change.ratio > NOISE[change.how]
    return f"{change.row.name:30} {numbers}  {change.how}{'  WORSE' if is_worse else ''}"


def or_failed(value: float | None) -> str:
    """Return the value, or the word for a row that could not be measured."""
    return "failed" if value is None else f"{value:.4g}"


def _cost(result: Result, cost: float) -> str:
    return f"{cost:,.0f}" if result.how == "instructions" else f"{cost * 1e6:,.1f} us"


def as_table(results: list[tuple[Result, Result | None]]) -> str:
    """All rows: the result by their own measure and, where that is another, by CPU time."""
    lines = ["| what | at most | value | met | by | by CPU time |", "|---|---|---|---|---|---|"]
    for result, by_cpu in results:
        goal = "" if result.row.goal is None else f"{result.row.goal:g}"
        met = "" if result.row.goal is None else "yes" if result.is_met else "no"
        other = "" if by_cpu is None else _number(by_cpu.value)
        cells = (result.row.what, goal, _number(result.value), met, result.how, other)
        lines.append(f"| {' | '.join(cells)} |")
    known = ", ".join([f"Python {platform.python_version()}", *_versions()])
    return "\n".join([*lines, "", f"{known}."])


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        # Which libraries are there depends on the Python and the machine.
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


def _number(value: float | None) -> str:
    if value is None:
        return "failed"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
