"""The command line, as `python -m asgi_serial` and as the script `asgi-serial`."""

from __future__ import annotations

import sys
from pathlib import Path

from asgi_serial.cli.main import run


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    is_script = Path(sys.argv[0]).stem == "asgi-serial"
    return run(arguments, program="asgi-serial" if is_script else "python -m asgi_serial")


if __name__ == "__main__" and (code := main()):
    raise SystemExit(code)
