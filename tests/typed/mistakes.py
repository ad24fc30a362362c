"""Mistakes that a type checker has to find: an `ignore` that it does not need is one, too."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from asgi_serial import SerialMiddleware, cached, serial, timing_report


async def bare(scope: Scope, receive: Receive, send: Send) -> None: ...


def not_an_app(scope: Scope, receive: Receive, send: Send) -> None: ...


def number(scope: Scope) -> int:
    return 1


app = FastAPI()
app.add_middleware(SerialMiddleware, gzip_level=[])  # type: ignore[arg-type]
SerialMiddleware(bare, cache_tll="60s")  # type: ignore[call-arg]
SerialMiddleware(not_an_app)  # type: ignore[arg-type]
SerialMiddleware(bare, timing=[])  # type: ignore[arg-type]
SerialMiddleware(bare, route_resolver=number)  # type: ignore[arg-type]
SerialMiddleware(bare, recorder=print)  # type: ignore[arg-type]
nothing = timing_report(app).nothing  # type: ignore[attr-defined]


@serial(cache_tll="60s")  # type: ignore[call-overload,untyped-decorator]
async def handler(number: int) -> Any: ...


@serial(cache_ttl="60s")
async def typed(number: int) -> str:
    return ""


@cached(ttl=60)
def kept(number: int) -> str:
    return ""


@cached(tll=60)  # type: ignore[call-overload,untyped-decorator]
def misspelt(number: int) -> str:
    return ""


class Service:
    @cached
    async def kept(self, number: int) -> str:
        return ""


async def call() -> None:
    await typed("one")  # type: ignore[arg-type]
    kept("one")  # type: ignore[arg-type]
    kept.invalidate("one")  # type: ignore[arg-type]
    await Service().kept("one")  # type: ignore[arg-type]
    await Service().kept.refresh("one")  # type: ignore[arg-type]
