"""An app that prints when it is imported, started and asked."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_serial import SerialMiddleware

print("imported")  # noqa: T201


async def home(request):
    print("asked")  # noqa: T201
    return PlainTextResponse("home")


app = Starlette(routes=[Route("/", home)])
app.add_middleware(SerialMiddleware)
