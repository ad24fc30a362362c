"""`bench`: what each coding, level and the cache cost and save on an app's own endpoints."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from asgi_serial.cli.bench_plot import draw
from asgi_serial.cli.bench_runs import measure_app, measure_server, server_variants
from asgi_serial.cli.bench_variants import make_variants, sum_up, without_repeats
from asgi_serial.cli.command import FINDINGS, FINE, Command, UsageError, add_json_option
from asgi_serial.cli.loading import add_loading_options, load_app
from asgi_serial.cli.route_list import list_routes
from asgi_serial.cli.settings import load_environment
from asgi_serial.settings.model import PREFIX
from asgi_serial.timing.units import format_bytes, format_duration

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from asgi_serial.cli.bench_runs import Rounds
    from asgi_serial.cli.bench_variants import Figures, Variant
    from asgi_serial.cli.console import Console

_MOST_PATHS = 5
"""The number of routes that are measured if no path is named."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "app",
        metavar="module:app|URL",
        help="the app, which is called in this process, or a URL of a running server",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a path with its query, such as /items?page=1 (the app's routes without parameters)",
    )
    add_loading_options(parser)
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a field that is sent with each request; may be repeated",
    )
    parser.add_argument(
        "--rounds", type=int, default=50, help="how often each variant is measured, at most (50)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="how long a path is measured, at most; at least three rounds are made (10)",
    )
    parser.add_argument("--svg", metavar="FILE", help="draw the result into this file")
    add_json_option(parser)


def _run(given: Namespace, console: Console) -> int:
    headers = _read_headers(given.header)
    if given.rounds < 1:
        raise UsageError(f"--rounds is {given.rounds}; expected at least 1.")
    is_url = given.app.startswith(("http://", "https://"))
    measure = _bench_server if is_url else _bench_app
    paths, variants, measured = measure(given, headers, console)
    panels = [
        (path, sum_up(variants, rounds)) for path, rounds in zip(paths, measured, strict=True)
    ]
    for path, figures in panels:
        _print(path, without_repeats(figures), console)
    if given.svg:
        title = f"asgi-serial bench {given.app}"
        shown = [(path, without_repeats(figures)) for path, figures in panels]
        try:
            Path(given.svg).write_text(draw(shown, title=title), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--svg {given.svg} cannot be written: {error}.") from None
        console.print(f"The plot is in {given.svg}.")
    console.print_json(
        {
            "app": given.app,
            "paths": [
                {"path": path, "variants": [one.to_dict() for one in figures]}
                for path, figures in panels
            ],
        }
    )
    has_failed = any(one.note.startswith("answered ") for _, figures in panels for one in figures)
    return FINDINGS if has_failed else FINE


def _read_headers(given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header {line!r} has no ':'; expected NAME:VALUE.")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _bench_app(
    given: Namespace, headers: list[tuple[str, str]], console: Console
) -> tuple[list[str], list[Variant], list[Rounds]]:
    variants = make_variants(load_environment())
    with console.quiet_app(), _own_middleware_off():
        app = load_app(given).app
        paths = [f"/{path.lstrip('/')}" for path in given.paths] or _paths_of(app, given.app)
        with console.progress("Measuring", 0) as progress:
            measured = measure_app(
                app,
                [f"http://localhost{path}" for path in paths],
                variants,
                headers,
                rounds=given.rounds,
                seconds=given.seconds,
                progress=progress,
            )
    return paths, variants, measured


@contextmanager
def _own_middleware_off() -> Iterator[None]:
    """Have the middleware that an app may have pass everything on.

    What is measured are the variants around the app. Frameworks build their middleware when they
    start.
    """
    name = f"{PREFIX}ENABLED"
    before = os.environ.get(name)
    os.environ[name] = "off"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _paths_of(app: Any, spec: str) -> list[str]:
    try:
        routes = list_routes(app)
    except Exception as error:  # a framework of another version
        raise UsageError(
            f"The routes of {spec} cannot be listed: {error!r}; name a PATH."
        ) from None
    paths = list(dict.fromkeys(route.template for route in routes if route.may_be_asked))
    if not paths:
        raise UsageError(f"{spec} has no routes without parameters that are known; name a PATH.")
    return paths[:_MOST_PATHS]


def _bench_server(
    given: Namespace, headers: list[tuple[str, str]], console: Console
) -> tuple[list[str], list[Variant], list[Rounds]]:
    parts = urlsplit(given.app)
    base = f"{parts.scheme}://{parts.netloc}"
    urls = [base + f"/{path.lstrip('/')}" for path in given.paths] or [given.app]
    variants = server_variants(load_environment().codings)
    with console.progress("Measuring", 0) as progress:
        measured = measure_server(
            urls,
            variants,
            headers,
            rounds=given.rounds,
            seconds=given.seconds,
            progress=progress,
        )
    return [url.removeprefix(base) or "/" for url in urls], variants, measured


def _print(path: str, figures: Sequence[Figures], console: Console) -> None:
    console.print(f"{console.paint(path, 'bold')}: medians of {_counted(figures[0].rounds)}\n")
    has_cpu = any(one.cpu_seconds is not None for one in figures)
    bare = figures[0].size or 1
    heads = ["variant", "bytes", "of all", "time"]
    rows: list[list[str]] = []
    for one in figures:
        row = [
            one.name,
            format_bytes(one.size),
            f"{100 * one.size / bare:.0f} %",
            format_duration(1000 * one.seconds),
        ]
        if has_cpu:
            row += [
                _milliseconds(one.cpu_seconds),
                _milliseconds(one.added_cpu_seconds, sign="+"),
            ]
        rows.append([*row, one.note])
    if has_cpu:
        heads += ["CPU", "added"]
    console.table([*heads, ""], rows, right=tuple(range(1, len(heads))))
    console.print()


def _counted(rounds: int) -> str:
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def _milliseconds(seconds: float | None, *, sign: str = "") -> str:
    if seconds is None:
        return "-"
    text = format_duration(1000 * abs(seconds))
    return f"-{text}" if seconds < 0 else f"{sign}{text}"


COMMAND = Command(
    "bench", "measure codings, levels and the cache on your own endpoints", _add_arguments, _run
)
