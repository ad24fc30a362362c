"""`python -m benchmarks.example`: what the app in README.md costs, with the middleware and without.

The time is that of the processor, in process, for a browser's request: the least of many rounds,
which take turns.
"""

import asyncio
import re
from pathlib import Path
from time import process_time
from typing import Any

from .traffic import SAME_ORIGIN

README = Path(__file__).parents[1] / "README.md"
ROUNDS, REQUESTS = 40, 50


def apps() -> dict[str, Any]:
    """The app as it stands there, and without the middleware."""
    found = re.search(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    code = found[1]
    made = {}
    for name, text in (
        ("without", re.sub(r"^app\.add_middleware.*\n", "", code, flags=re.MULTILINE)),
        ("with", code),
    ):
        namespace: dict[str, Any] = {"__name__": "main"}
        exec(text, namespace)
        made[name] = namespace["app"]
    return made


async def ask(app: Any) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/books",
        "raw_path": b"/books",
        "query_string": b"",
        "root_path": "",
        "headers": list(SAME_ORIGIN.items()),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, receive, send)


async def measure(made: dict[str, Any]) -> dict[str, float]:
    """The seconds that a request takes in each app."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, app in made.items():
            began = process_time()
            for _ in range(REQUESTS):
                await ask(app)
            took = (process_time() - began) / REQUESTS
            best[name] = min(took, best.get(name, took))
    return best


if __name__ == "__main__":
    for name, took in asyncio.run(measure(apps())).items():
        print(f"{name:8} {took * 1e6:6.1f} us")
