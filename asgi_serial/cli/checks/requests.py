"""One request through each route that can be asked without knowing any parameter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asgi_serial.admin.state import engine_report
from asgi_serial.cli.findings import Code, Finding
from asgi_serial.cli.in_process import StartupFailed, ask, lifespan_of, make_scope
from asgi_serial.engine.app_engines import engines_of
from asgi_serial.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asgi_serial.cli.checks.subject import Subject
    from asgi_serial.cli.console import Progress
    from asgi_serial.cli.in_process import Answer

_HEADERS = (
    ("accept", "*/*"),
    ("accept-encoding", "zstd, br, gzip"),
    ("user-agent", "asgi-serial-doctor"),
)


def ask_routes(
    subject: Subject, *, base: str, paths: Sequence[str], timeout: float, progress: Progress
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Run the lifespan of the app, and ask each route for a GET; return findings and answers.

    `paths` are asked in addition. RFC 9110, 9.2.1: GET is safe, "the client does not request, and
    does not expect, any state change". No other method is used.
    """
    return asyncio.run(_ask_routes(subject, base, paths, timeout, progress))


async def _ask_routes(
    subject: Subject, base: str, paths: Sequence[str], timeout: float, progress: Progress
) -> tuple[list[Finding], list[dict[str, Any]]]:
    findings: list[Finding] = []
    rows: list[dict[str, Any]] = []
    try:
        async with lifespan_of(subject.app, timeout=max(timeout, 30.0)) as state:
            for path in dict.fromkeys((*_paths_of(subject), *paths)):
                progress.step(path)
                scope = make_scope(base + path, headers=_HEADERS, state=state)
                before, stored = _reason_counts(subject), _stored(subject)
                answer = await ask(subject.app, scope, timeout=timeout)
                reasons = _new_reasons(before, _reason_counts(subject))
                is_stored = _stored(subject) > stored
                rows.append(_row(subject, path, answer, reasons, is_stored=is_stored))
                findings += _judge(path, answer, rows[-1])
    except StartupFailed as error:
        lines = str(error).strip().splitlines() or [""]
        findings.append(
            Finding(Code.STARTUP_FAILED, f"The app refuses to start: {lines[-1]}", subject.spec)
        )
    except ConfigurationError as error:
        findings += [Finding(Code.SETTINGS_WRONG, line) for line in str(error).splitlines()]
    return findings, rows


def _paths_of(subject: Subject) -> Iterator[str]:
    """Yield the paths of the app's routes that take GET and have no parameters."""
    ours = {
        getattr(engine.settings, name, None)
        for engine in subject.engines
        for name in ("report_path", "metrics_path", "purge_path")
    }
    for route in subject.routes:
        if route.may_be_asked and route.template not in ours:
            yield route.template


def _stored(subject: Subject) -> int:
    return sum(engine.responses.stored for engine in engines_of(subject.app))


def _reason_counts(subject: Subject) -> dict[tuple[str, str], tuple[int, str]]:
    """Return how often each reason was counted so far, by its subject and name."""
    counts: dict[tuple[str, str], tuple[int, str]] = {}
    for engine in engines_of(subject.app):
        if engine.series is None:
            continue
        for row in engine_report(engine).routes:
            for reason in row["reasons"]:
                key = (reason["about"], reason["name"])
                count = counts.get(key, (0, ""))[0] + reason["count"]
                counts[key] = (count, reason["sentence"])
    return counts


def _new_reasons(
    before: Mapping[tuple[str, str], tuple[int, str]],
    after: Mapping[tuple[str, str], tuple[int, str]],
) -> list[dict[str, str]]:
    return [
        {"about": about, "name": name, "sentence": sentence}
        for (about, name), (count, sentence) in after.items()
        if count > before.get((about, name), (0, ""))[0]
    ]


def _row(
    subject: Subject,
    path: str,
    answer: Answer,
    reasons: list[dict[str, str]],
    *,
    is_stored: bool,
) -> dict[str, Any]:
    return {
        "route": path,
        "status": answer.status,
        # A response without a length is stored once the app has returned, after its head was sent.
        "cache": "stored" if is_stored else _verdict(subject, answer),
        "coding": answer.one(b"content-encoding") or "identity",
        "content_type": answer.one(b"content-type"),
        "bytes": len(answer.body),
        "seconds": answer.seconds,
        "fault": answer.fault,
        "reasons": reasons,
    }


def _verdict(subject: Subject, answer: Answer) -> str:
    """Return what the cache would do with the response: `stored`, or why it would not."""
    names = {engine.settings.cache_name for engine in engines_of(subject.app)} or {"asgi_serial"}
    for member in reversed(answer.one(b"cache-status").split(",")):
        name, *parameters = (part.strip() for part in member.split(";"))
        if name in names:
            if "stored" in parameters or "hit" in parameters:
                return "stored"
            said = dict(part.partition("=")[::2] for part in parameters)
            return said.get("detail") or said.get("fwd") or "not stored"
    # An app that raises is answered for by something outside the middleware.
    return "failed" if answer.fault else "not asked"


def _judge(path: str, answer: Answer, row: dict[str, Any]) -> Iterator[Finding]:
    is_stream = row["content_type"].startswith("text/event-stream")
    if answer.status >= 500 or (answer.fault and not is_stream):
        said = answer.fault or f"its status is {answer.status}"
        yield Finding(Code.ROUTE_FAILS, f"GET {path} fails: {said}.", path)
    names = {reason["name"] for reason in row["reasons"]} | {row["cache"]}
    if "already-encoded" in names:
        yield Finding(
            Code.COMPRESSED_INSIDE,
            f"The app has encoded the response of {path} itself ({row['coding']}).",
            path,
        )
    if "policy-not-heard" in names:
        yield Finding(
            Code.POLICY_NOT_ROUTED,
            f"The policy of @serial on a function of {path} is not heard, because it is "
            "not known to be the handler.",
            path,
        )
