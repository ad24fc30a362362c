"""`python -m asgi_serial demo`: serve the demonstration API over uvicorn."""

from __future__ import annotations

import argparse

import uvicorn

from asgi_serial.cli.demo import build_demo, print_lines


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m asgi_serial", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="serve a demonstration API and print curl commands")
    demo.add_argument("--host", default="127.0.0.1")
    demo.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(arguments)
    print_lines(given.host, given.port)
    uvicorn.run(build_demo(), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
