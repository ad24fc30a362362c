"""An app of several workers, served by the tests as `tests.integration.staff:app`."""

import os

from asgi_serial import SerialMiddleware


async def staff(scope, receive, send):
    """Answer with the process, at once or after a while."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
    fields = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


app = SerialMiddleware(staff, report_path="/-/report", route_resolver=lambda scope: scope["path"])
