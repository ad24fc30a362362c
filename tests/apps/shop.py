"""Pages of several sizes, for measurements."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

ITEMS = [
    {"id": number, "name": f"item {number * 7919 % 1000}", "price": number * 31 % 997 / 10}
    for number in range(500)
]


async def items(request):
    return JSONResponse(ITEMS)


async def tiny(request):
    return PlainTextResponse("tiny")


async def private(request):
    return JSONResponse(ITEMS, headers={"cache-control": "private, no-store"})


async def picture(request):
    return Response(bytes(range(256)) * 20, media_type="image/png")


async def gone(request):
    return PlainTextResponse("gone", 410)


async def mine(request):
    if request.headers.get("authorization") != "Bearer right":
        return PlainTextResponse("no", 401)
    return JSONResponse(ITEMS)


app = Starlette(
    routes=[
        *(Route("/items", items), Route("/tiny", tiny), Route("/private", private)),
        *(Route("/picture", picture), Route("/gone", gone), Route("/mine", mine)),
    ]
)
