"""Measure variants one after the other, round by round, so that they share all disturbances."""

from __future__ import annotations

import asyncio
import http.client
import random
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from asgi_serial.cli.bench_variants import Measured, Variant
from asgi_serial.cli.command import UsageError
from asgi_serial.cli.in_process import Answer, StartupFailed, ask, lifespan_of, make_scope
from asgi_serial.engine.engine import Engine
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.model import Settings
from asgi_serial.timing.routes.resolver import build_resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asgi_serial.cli.console import Progress

MIN_ROUNDS = 3
_TIMEOUT_SECONDS = 60.0

Rounds = list[list[Measured]]


def measure_app(
    app: Any,
    urls: Sequence[str],
    variants: Sequence[Variant],
    headers: Sequence[tuple[str, str]],
    *,
    rounds: int,
    seconds: float,
    progress: Progress,
) -> list[Rounds]:
    """Measure each URL with each variant around an app, in this process; one list for each URL.

    Raises: UsageError, if the app does not start.
    """
    wrapped = [_wrap(app, variant) for variant in variants]

    async def run() -> list[Rounds]:
        async with lifespan_of(app, timeout=_TIMEOUT_SECONDS) as state:
            return [await of_url(url, state) for url in urls]

    async def of_url(url: str, state: dict[str, Any]) -> Rounds:
        async def one(place: int) -> Measured:
            fields = _fields_for(variants[place], headers)
            scope = make_scope(url, headers=fields, state=state)
            return _measured_of(await ask(wrapped[place], scope, timeout=_TIMEOUT_SECONDS))

        for place in range(len(variants)):
            await one(place)  # imports, caches of the app's own, and the response to be stored
        done: Rounds = []
        began = perf_counter()
        while len(done) < rounds:
            if len(done) >= MIN_ROUNDS and perf_counter() - began > seconds:
                break
            progress.step(f"{urlsplit(url).path} round {len(done) + 1}")
            order = list(range(len(variants)))
            random.shuffle(order)
            taken = {place: await one(place) for place in order}
            done.append([taken[place] for place in range(len(variants))])
        return done

    try:
        return asyncio.run(run())
    except StartupFailed as error:
        raise UsageError(f"The app refuses to start: {error}") from None


def _wrap(app: Any, variant: Variant) -> Any:
    """Return the app with the middleware of a variant, which takes nothing from the environment."""
    if variant.settings is None:
        return app
    settings = Settings.load(variant.settings, {})
    return SerialMiddleware(app, engine=Engine(settings, label=build_resolver(app=app)))


def _fields_for(variant: Variant, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("accept", "*/*"),
        ("accept-encoding", variant.coding),
        ("user-agent", "asgi-serial-bench"),
        *headers,
    ]


def _measured_of(answer: Answer) -> Measured:
    if answer.fault:
        raise UsageError(f"The app cannot be measured: {answer.fault}.")
    return Measured(
        answer.seconds,
        answer.cpu_seconds,
        len(answer.body),
        answer.one(b"content-encoding") or "identity",
        answer.one(b"cache-status"),
        answer.status,
    )


def measure_server(
    urls: Sequence[str],
    variants: Sequence[Variant],
    headers: Sequence[tuple[str, str]],
    *,
    rounds: int,
    seconds: float,
    progress: Progress,
) -> list[Rounds]:
    """Measure URLs of a running server over one connection each; its CPU time is not known.

    Raises: UsageError, if it cannot be reached.
    """
    return [
        _measure_url(
            url,
            variants,
            headers,
            rounds=rounds,
            seconds=seconds,
            step=progress.step,
        )
        for url in urls
    ]


def server_variants(codings: Sequence[str]) -> list[Variant]:
    """Return the variants that a client can ask a server for."""
    return [
        Variant(f"{coding}{', cached' if is_hit else ''}", coding, {}, is_hit=is_hit)
        for is_hit in (False, True)
        for coding in ("identity", *codings)
    ]


def _measure_url(
    url: str,
    variants: Sequence[Variant],
    headers: Sequence[tuple[str, str]],
    *,
    rounds: int,
    seconds: float,
    step: Callable[[str], None],
) -> Rounds:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def one(variant: Variant) -> Measured:
        fields = dict(_fields_for(variant, headers))
        if not variant.is_hit:
            # RFC 9111, 5.2.1.4: a stored response is not used without validation.
            fields["cache-control"] = "no-cache"
        began = perf_counter()
        connection.request("GET", path, headers=fields)
        response = connection.getresponse()
        body = response.read()
        return Measured(
            perf_counter() - began,
            None,
            len(body),
            response.getheader("content-encoding") or "identity",
            response.getheader("cache-status") or "",
            response.status,
        )

    try:
        for variant in variants:
            one(variant)
        done: Rounds = []
        began = perf_counter()
        while len(done) < rounds:
            if len(done) >= MIN_ROUNDS and perf_counter() - began > seconds:
                break
            step(f"{path} round {len(done) + 1}")
            order = list(range(len(variants)))
            random.shuffle(order)
            taken = {place: one(variants[place]) for place in order}
            done.append([taken[place] for place in range(len(variants))])
        return done
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(f"{parts.netloc} cannot be measured: {error!r}.") from None
    finally:
        connection.close()
