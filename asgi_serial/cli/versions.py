"""The versions of this package and of those that it works with."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    *("asgi-serial", "pydantic", "orjson", "msgpack", "msgspec", "brotli", "backports.zstd"),
    *("isal", "aiocache", "redis", "valkey", "aiomcache", "uvicorn"),
)
_FRAMEWORKS = (
    *("starlette", "fastapi", "litestar", "quart", "django", "falcon", "blacksheep", "sanic"),
)


def own_version() -> str:
    """Return the version of this package."""
    return find_version("asgi-serial") or "unknown"


def find_version(package: str) -> str | None:
    """Return the version of an installed package; None, if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def package_versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that we use, and of imported frameworks."""
    frameworks = [name for name in _FRAMEWORKS if name in sys.modules]
    found = {name: find_version(name) for name in (*_PACKAGES, *frameworks)}
    return {
        "python": platform.python_version(),
        **{name: known for name, known in found.items() if known is not None},
    }
