"""The results as Markdown."""

import platform
from importlib.metadata import PackageNotFoundError, version

from .run import Result

PACKAGES = (
    "starlette", "starlette-compress", "brotli-asgi", "msgpack-asgi", "timing-asgi",
    "starlette-caches", "hishel", "uvicorn", "httptools", "brotli", "backports.zstd", "zstandard",
    "isal", "msgspec", "orjson", "msgpack",
)  # fmt: skip


def as_line(result: Result) -> str:
    """One result, with what it is made of."""
    costs = "  ".join(f"{name} {_cost(result, cost)}" for name, cost in result.costs.items())
    return f"{result.row.name:20} {result.value:8.3f} (at most {result.row.goal:g})  {costs}"


def _cost(result: Result, cost: float) -> str:
    return f"{cost:,.0f}" if result.how == "instructions" else f"{cost * 1e6:,.1f} us"


def as_table(results: list[Result]) -> str:
    """All results, and the versions that gave them."""
    lines = ["| what | measured by | value | at most | met |", "|---|---|---|---|---|"]
    for row, how, value, _ in results:
        met = "yes" if value <= row.goal else "no"
        lines.append(f"| {row.what} | {how} | {value:.3g} | {row.goal:g} | {met} |")
    return "\n".join([*lines, "", _versions()])


def _versions() -> str:
    known = []
    for package in PACKAGES:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()} ({platform.machine()}); {', '.join(known)}."
