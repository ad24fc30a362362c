"""A Starlette app that knows nothing of the middleware."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route


async def page(request):
    return PlainTextResponse("page " * 1000)


async def moved(request):
    return RedirectResponse("/-/r", 302)


async def broken(request):
    return PlainTextResponse("broken", 500)


app = Starlette(routes=[Route("/page", page), Route("/moved", moved), Route("/broken", broken)])
