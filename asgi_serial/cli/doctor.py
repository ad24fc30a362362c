"""`doctor`: look for faults in how an app uses the middleware."""

from __future__ import annotations

import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asgi_serial.admin.versions import find_versions
from asgi_serial.cli.apps import find_engines, layers_of
from asgi_serial.cli.checks.codecs import check_codecs
from asgi_serial.cli.checks.configuration import check_paths, check_settings
from asgi_serial.cli.checks.layers import check_frameworks, check_layers
from asgi_serial.cli.checks.policies import check_decorators
from asgi_serial.cli.checks.requests import ask_routes
from asgi_serial.cli.checks.stores import check_stores
from asgi_serial.cli.checks.subject import Subject
from asgi_serial.cli.command import FINDINGS, FINE, Command, add_json_option
from asgi_serial.cli.findings import Code, Finding, Level
from asgi_serial.cli.loading import add_app_arguments, load_app
from asgi_serial.cli.route_list import list_routes
from asgi_serial.errors import ConfigurationError
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import DECORATIONS
from asgi_serial.timing.table import WIDTH
from asgi_serial.timing.units import format_bytes, format_duration

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Iterator

    from asgi_serial.cli.console import Console
    from asgi_serial.settings.policy import Decoration
    from asgi_serial.store.base import GuardedStore

_CHECKS: tuple[Callable[[Subject], Iterable[Finding]], ...] = (
    check_layers,
    check_frameworks,
    check_decorators,
    check_settings,
    check_codecs,
)
_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "blue"}


def _add_arguments(parser: ArgumentParser) -> None:
    add_app_arguments(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="do not start the app, and send it no requests",
    )
    parser.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="PATH",
        help="ask for this path, too, such as /items/7?page=1; may be repeated",
    )
    parser.add_argument(
        "--no-store", action="store_true", help="do not touch the store, not even with a probe"
    )
    parser.add_argument(
        "--base",
        default="http://localhost",
        metavar="URL",
        help="the scheme and host of the requests (http://localhost)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="the longest that a request may take (10)",
    )
    add_json_option(parser)


def _run(given: Namespace, console: Console) -> int:
    decorations: list[Decoration] = []
    stores: list[object] = []
    findings: list[Finding] = []
    rows: list[dict[str, Any]] = []
    store_figures: list[dict[str, Any]] = []
    DECORATIONS.set(decorations)
    with console.quiet_app(), _without_stores(stores):
        try:
            app = load_app(given).app
        except ConfigurationError as error:
            findings += _of_settings(error)
        else:
            subject = _examine(given.app, app, decorations, findings)
            for check in _CHECKS:
                findings += _safely(check.__name__, lambda check=check: list(check(subject)))  # type: ignore[misc]
            # With settings that are wrong, the app cannot start, which would be the same finding.
            if not given.dry_run and Code.SETTINGS_WRONG not in [one.code for one in findings]:
                with console.progress("Asking routes:", len(subject.routes)) as progress:
                    made = _guarded(
                        "ask_routes",
                        lambda: ask_routes(
                            subject,
                            base=given.base.rstrip("/"),
                            paths=[f"/{path.lstrip('/')}" for path in given.path],
                            timeout=given.timeout,
                            progress=progress,
                        ),
                        findings,
                    )
                rows = made or []
            findings += _safely("check_paths", lambda: list(check_paths(subject)))
            subject.stores += stores
    if not given.no_store and stores:
        with console.progress("Trying the store:") as progress:
            store_figures = _guarded("check_stores", lambda: check_stores(subject), findings) or []
    findings = sorted(dict.fromkeys(findings), key=_order)
    versions = _guarded_value("find_versions", lambda: find_versions(Settings()), findings) or {}
    _print(given.app, versions, rows, store_figures, findings, console)
    console.print_json(
        {
            "app": given.app,
            "versions": versions,
            "stores": store_figures,
            "requests": rows,
            "findings": [finding.to_dict() for finding in findings],
        }
    )
    return FINE if all(finding.code.level is Level.NOTE for finding in findings) else FINDINGS


def _order(finding: Finding) -> int:
    return list(Level).index(finding.code.level)


def _of_settings(error: ConfigurationError) -> list[Finding]:
    return [Finding(Code.SETTINGS_WRONG, line) for line in str(error).splitlines()]


def _examine(
    spec: str, app: Any, decorations: list[Decoration], findings: list[Finding]
) -> Subject:
    """Gather what is known of an app without calling it."""
    subject = Subject(spec, app, [], [], [], decorations)
    subject.layers = _guarded_value("layers_of", lambda: layers_of(app), findings) or []
    try:
        subject.engines = find_engines(app)
        if not subject.engines:
            findings.append(
                Finding(Code.NO_MIDDLEWARE, f"{spec} has no SerialMiddleware that can be seen.")
            )
    except ConfigurationError as error:
        findings += _of_settings(error)
    except Exception as error:
        findings.append(_failed("find_engines", error))
    subject.routes = _guarded_value("list_routes", lambda: list_routes(app), findings) or []
    if not subject.routes:
        findings.append(
            Finding(Code.ROUTES_UNKNOWN, f"The routes of {spec} are not known, or it has none.")
        )
    return subject


def _failed(name: str, error: Exception) -> Finding:
    return Finding(Code.CHECK_FAILED, f"The check {name} has failed: {error!r}.")


def _safely(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Exception as error:
        return [_failed(name, error)]


def _guarded_value(name: str, make: Callable[[], Any], findings: list[Finding]) -> Any:
    try:
        return make()
    except Exception as error:
        findings.append(_failed(name, error))
        return None


def _guarded(
    name: str, make: Callable[[], tuple[list[Finding], Any]], findings: list[Finding]
) -> Any:
    made = _guarded_value(name, make, findings)
    if made is None:
        return None
    findings += made[0]
    return made[1]


@contextmanager
def _without_stores(targets: list[object]) -> Iterator[None]:
    """Build engines without their second levels, which are gathered in `targets`.

    The requests of `doctor` must not be stored where other processes would find them.
    """
    builder: Any = sys.modules["asgi_serial.middleware"]
    original = builder.open_store

    def gather(target: object, **options: object) -> GuardedStore | None:
        if not any(target is known or target == known for known in targets):
            targets.append(target)
        return None

    builder.open_store = gather
    try:
        yield
    finally:
        builder.open_store = original


def _print(
    spec: str,
    versions: dict[str, str],
    rows: list[dict[str, Any]],
    stores: list[dict[str, Any]],
    findings: list[Finding],
    console: Console,
) -> None:
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    head = textwrap.fill(
        f"{spec}: {shown}", WIDTH, subsequent_indent="    ", break_on_hyphens=False
    )
    console.print(head.replace(spec, console.paint(spec, "bold"), 1) + "\n")
    for store in stores:
        times = ", ".join(
            f"{kind} {format_duration(1000 * seconds)}"
            for kind, seconds in store["seconds"].items()
        )
        console.print(f"Store {store['store']}: {times if store['reached'] else 'not reached'}\n")
    if rows:
        console.print("One GET of each route without parameters:\n")
        console.table(
            ("route", "status", "cache", "coding", "size", "time"),
            [
                (
                    row["route"],
                    row["status"] or "-",
                    row["cache"],
                    row["coding"],
                    format_bytes(row["bytes"]),
                    format_duration(1000 * row["seconds"]),
                )
                for row in rows
            ],
            right=(1, 4, 5),
        )
        console.print()
        _print_reasons(rows, console)
    for finding in findings:
        level = finding.code.level
        where = f"  ({finding.where})" if finding.where else ""
        console.print(f"{console.paint(level.value, _COLOURS[level])} {finding.code.value}{where}")
        console.print(f"    {finding.sentence}")
        console.print(f"    To do: {finding.code.remedy}.")
    counts = [
        f"{count} {level.value}{'' if count == 1 else 's'}"
        for level in Level
        if (count := sum(finding.code.level is level for finding in findings))
    ]
    console.print(", ".join(counts) + "." if counts else console.paint("Nothing found.", "green"))


def _print_reasons(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a line for each reason that was given, with the routes that it is about."""
    routes: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        for reason in row["reasons"]:
            key = (reason["about"], reason["name"], reason["sentence"])
            routes.setdefault(key, []).append(row["route"])
    for (about, name, sentence), paths in sorted(routes.items()):
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        console.print(f"{about}: {name}: {shown}")
        console.print(f"    {sentence[0].upper()}{sentence[1:]}.")
    if routes:
        console.print()


COMMAND = Command(
    "doctor", "look for faults in how an app uses the middleware", _add_arguments, _run
)
