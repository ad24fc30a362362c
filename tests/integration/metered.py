"""An app whose metrics are scraped; its routes are the paths that clients ask for."""

from asgi_serial import SerialMiddleware

BODY = b'{"title": "Volume"}' * 100


async def answer(scope, receive, send):
    fields = [(b"content-type", b"application/json")]
    if scope["path"] != "/unstored":
        fields.append((b"cache-control", b"max-age=3600"))
    if scope["path"].startswith("/fails"):
        raise RuntimeError("of the app")
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": BODY})


app = SerialMiddleware(answer, route_resolver=lambda scope: scope["path"])
