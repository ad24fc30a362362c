"""The versions of what answers requests in this process."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from asgi_serial.version import __version__

if TYPE_CHECKING:
    from asgi_serial.settings.model import Settings

# Distributions by the module that shows that they are in use.
_FRAMEWORKS = {
    **{"starlette": "starlette", "fastapi": "fastapi", "litestar": "litestar", "quart": "quart"},
    **{"django": "django", "falcon": "falcon", "blacksheep": "blacksheep", "sanic": "sanic"},
}
_SERVERS = {
    **{"uvicorn": "uvicorn", "gunicorn": "gunicorn", "granian": "granian"},
    **{"hypercorn": "hypercorn", "daphne": "daphne"},
}
_LIBRARIES = {
    **{"pydantic": "pydantic", "orjson": "orjson", "msgpack": "msgpack", "msgspec": "msgspec"},
    **{"cbor2": "cbor2"},
    **{"aiocache": "aiocache", "redis": "redis", "aiomcache": "aiomcache"},
}
_CODECS = {
    "zstd": {"backports.zstd": "backports.zstd", "compression.zstd": ""},
    "br": {"brotli": "brotli"},
    "gzip": {"isal.isal_zlib": "isal", "zlib": ""},
    "deflate": {"isal.isal_zlib": "isal", "zlib": ""},
}


def find_versions(settings: Settings) -> dict[str, str]:
    """Return the versions of ours, Python's, the codecs' and of whatever else is loaded here."""
    found = {
        "asgi_serial": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for coding in settings.codings:
        used = _find_loaded(_CODECS.get(coding, {}))
        if used:
            found[coding] = used[0]
    for kind, known in (("framework", _FRAMEWORKS), ("server", _SERVERS), ("library", _LIBRARIES)):
        used = _find_loaded(known)
        if used:
            found[kind] = ", ".join(used)
    return found


def _find_loaded(known: dict[str, str]) -> list[str]:
    """Return the names and versions of the distributions that are loaded."""
    return [
        f"{module} {find_version(distribution)}".strip() if distribution else f"{module} of Python"
        for module, distribution in known.items()
        if module in sys.modules
    ]


@cache
def find_version(distribution: str) -> str:
    """Return the version of an installed distribution, or nothing."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
