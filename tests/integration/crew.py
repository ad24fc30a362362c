"""An app of several processes, each of whose calls is a line in a file that they all write.

Served by the tests as `tests.integration.crew:app`. What a document holds is the number of times
that its path was called for, whichever process was.
"""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

from asgi_serial import SerialMiddleware, purge

FIELDS = [(b"content-type", b"application/json")]
# Divides the bytes of a page.
LINE_BYTES = 64
KEPT = [*FIELDS, (b"cache-control", b"max-age=60")]


async def crew(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    method, path = scope["method"], scope["path"]
    options = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    call = note(method, path)
    if path == "/purge":
        value = await purge(app, **{name: [what] for name, what in options.items()})
        fields = [*FIELDS, (b"cache-control", b"no-store")]
    elif method == "PUT":
        value, fields = call, FIELDS
    else:
        await asyncio.sleep(float(options.get("seconds", "0")))
        value = {"call": call, "process": os.getpid(), "rows": [f"row {row}" for row in range(200)]}
        fields = [*KEPT, (b"cache-tag", path.encode())]
    body = json.dumps(value).encode()
    await send({"type": "http.response.start", "status": 200, "headers": list(fields)})
    await send({"type": "http.response.body", "body": body})


def note(method, path):
    """Write down a call; gives how many there were for this path, of any method."""
    with Path(os.environ["CREW_CALLS"]).open("a+") as file:
        # Of a line that crosses from one page of the file to the next, others may see but a half.
        file.write(f"{os.getpid()} {method} {path}".ljust(LINE_BYTES - 1) + "\n")
        file.flush()
        file.seek(0)
        return sum(line.split()[2] == path for line in file)


app = SerialMiddleware(crew)
