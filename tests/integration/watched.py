"""An app whose report is looked at in a browser; with a token if REPORT_TOKEN is set."""

import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_serial import SerialMiddleware, serial

ITEMS = [{"id": number, "name": f"item {number}", "price": number / 7} for number in range(200)]


@serial(cache_ttl="60s")
async def list_items(request):
    return JSONResponse(ITEMS)


async def get_item(request):
    return JSONResponse(ITEMS[int(request.path_params["number"]) % 200])


async def fail(request):
    return JSONResponse({"detail": "broken"}, status_code=500)


async def create(request):
    return Response(status_code=204)


TOKENS = {}
if os.environ.get("REPORT_TOKEN"):
    TOKENS = {
        "report_token": os.environ["REPORT_TOKEN"],
        "purge_path": "/-/purge",
        "purge_token": "a-token-for-purging",
    }

app = SerialMiddleware(
    Starlette(
        routes=[
            Route("/items", list_items),
            Route("/items", create, methods=["POST"]),
            Route("/items/{number:int}", get_item),
            Route("/broken", fail),
        ]
    ),
    report_path="/-/timing",
    **TOKENS,
)
