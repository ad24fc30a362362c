"""Pages for visitors, cached by `cache_ttl`, which show the Cookie field that the app sees."""

import json
import os

from asgi_serial import SerialMiddleware

CALLS: list[str] = []


async def page(scope, receive, send):
    """Answer with the cookies that the app sees; `/varying` says that they count."""
    if scope["path"] == "/calls":
        body, fields = json.dumps(CALLS).encode(), [(b"cache-control", b"no-store")]
    else:
        CALLS.append(scope["path"])
        cookies = [value.decode() for name, value in scope["headers"] if name == b"cookie"]
        body = json.dumps({"cookies": cookies, "number": len(CALLS)}).encode()
        fields = [(b"vary", b"Cookie")] if scope["path"] == "/varying" else []
    fields += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


app = SerialMiddleware(page, cache_ttl="60s", cache_url=os.environ.get("STORE_URL"))
