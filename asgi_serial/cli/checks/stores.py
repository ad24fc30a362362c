"""The second level: whether it is reached, gives back what it was given, and how fast."""

from __future__ import annotations

import asyncio
import os
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asgi_serial.cli.findings import Code, Finding
from asgi_serial.errors import ConfigurationError
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.url import shown_store_url
from asgi_serial.timing.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.cli.checks.subject import Subject
    from asgi_serial.store.base import GuardedStore

_ROUNDS = 5
_PROBE_BYTES = 1000
_TTL_SECONDS = 10
# A request waits for a get; half of the time-out leaves nothing for a busy moment.
_SLOW_SHARE = 0.5


def check_stores(subject: Subject) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Set, get and delete a key of our own in each store; return the findings and the figures."""
    findings: list[Finding] = []
    figures: list[dict[str, Any]] = []
    timeout = min((engine.settings.cache_store_timeout for engine in subject.engines), default=0.25)
    for target in subject.stores:
        name = shown_store_url(target) if isinstance(target, str) else type(target).__name__
        try:
            # Longer than a request would wait, so that a slow store is told from one that is not
            # there.
            store = open_store(target, timeout=max(2.0, 4 * timeout))
        except ConfigurationError as error:
            findings.append(Finding(Code.STORE_REFUSED, str(error), name))
            continue
        found, known = asyncio.run(_try(store, name, timeout))
        findings += found
        figures.append(known)
    return findings, figures


async def _try(
    store: GuardedStore, name: str, timeout: float
) -> tuple[list[Finding], dict[str, Any]]:
    try:
        return await _round_trips(store, name, timeout)
    finally:
        await store.close()


async def _round_trips(
    store: GuardedStore, name: str, timeout: float
) -> tuple[list[Finding], dict[str, Any]]:
    key, value = f"doctor-{os.urandom(8).hex()}", os.urandom(_PROBE_BYTES)
    taken: dict[str, list[float]] = {"set": [], "get": [], "delete": []}
    findings = []
    is_whole = True

    async def timed(kind: str, call: Any) -> Any:
        began = perf_counter()
        result = await call
        taken[kind].append(perf_counter() - began)
        return result

    for number in range(_ROUNDS + 1):
        await timed("set", store.set(key, value, ttl=_TTL_SECONDS))
        is_whole = is_whole and await timed("get", store.get(key)) == value
        await timed("delete", store.delete(key))
        is_whole = is_whole and await store.get(key) is None
        if number == 0:
            for times in taken.values():
                times.clear()  # the first calls have made the connection
            if not is_whole:
                break
    statistics = store.statistics()
    failures = sum(statistics.get(kind, 0) for kind in ("timeouts", "errors", "skipped_by_breaker"))
    refusals = statistics.get("refusals", 0)
    known = {
        "store": name,
        "is_shared": store.is_shared,
        "reached": not failures,
        "seconds": {kind: median(times) for kind, times in taken.items() if times},
    }
    if failures:
        findings.append(
            Finding(Code.STORE_UNREACHABLE, f"The store {name} cannot be reached.", "cache_url")
        )
    elif refusals:
        findings.append(
            Finding(
                Code.STORE_REFUSED,
                f"The store {name} answers with errors: a password, a full disk or memory, or a "
                "command that is not allowed.",
                "cache_url",
            )
        )
    elif not is_whole:
        findings.append(
            Finding(
                Code.STORE_SPOILS_VALUES,
                f"The store {name} did not give back what it was given.",
                "cache_url",
            )
        )
    else:
        findings += _judge_speed(name, median(taken["get"]), timeout)
        if not store.is_shared:
            findings.append(
                Finding(Code.STORE_NOT_SHARED, f"The store {name} is one of this process only.", "")
            )
    return findings, known


def _judge_speed(name: str, seconds: float, timeout: float) -> Iterator[Finding]:
    if seconds > _SLOW_SHARE * timeout:
        taken, most = (format_duration(1000 * each) for each in (seconds, timeout))
        yield Finding(
            Code.STORE_SLOW,
            f"A get from the store {name} takes {taken}; requests wait for it at most {most}.",
            "cache_store_timeout",
        )
