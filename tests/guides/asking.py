"""The app of a page, and what it answers."""

import asyncio
import re
from contextlib import asynccontextmanager

import httpx

from tests.pages import blocks_of, programs_of, read_page, run_program

NOTHING = {"accept-encoding": "identity", "accept": "*/*"}


async def module_of(page, place=0):
    """The module that a reader makes of a block of a page."""
    return await run_program(programs_of(blocks_of(read_page(page)))[place], "page")


@asynccontextmanager
async def serving(app):
    """A client of an app that has been started, if it wants to be."""
    orders, answers = asyncio.Queue(), asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, orders.get, answers.put))
    answer = asyncio.ensure_future(answers.get())
    await orders.put({"type": "lifespan.startup"})
    # An app that knows no lifespan ends at once, by an exception or without one.
    await asyncio.wait((life, answer), return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        answer.cancel()
        life.exception()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost:8000", headers=NOTHING
    ) as client:
        yield client
    if not life.done():
        await orders.put({"type": "lifespan.shutdown"})
        await life


async def ask(client, method, path, content=None, **fields):
    """An answer; cookies that it sets are not kept."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    answer = await client.request(method, path, headers=headers, content=content)
    client.cookies.clear()
    return answer


def part_of_cache(answer):
    """How the cache took part, in the words of the pages: `hit`, `stored` or the detail."""
    line = answer.headers.get("cache-status", "")
    detail = re.search(r"detail=([\w:-]+)", line)
    if detail:
        return detail[1]
    return next((word for word in ("hit", "stored") if f"; {word}" in line), line)


def rows_of(page, head):
    """The cells of a table of a page, whose first line is this one."""
    table = read_page(page).partition(f"{head}\n")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table.splitlines()[1:]
    ]
