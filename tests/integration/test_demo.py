"""The command `python -m asgi_serial demo`, and each line that it prints to be pasted."""

import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.cache.services import free_port

from .serving import Server, serving


@pytest.fixture(scope="module")
def demo() -> Iterator[Server]:
    port = free_port()
    with serving(["-m", "asgi_serial", "demo", "--port", str(port)], port) as server:
        server.get("/")  # what it prints, it prints before it answers
        yield server
        server.client.close()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(120) == 0
        assert "Traceback" not in server.log()


def read_blocks(text: str) -> dict[str, str]:
    """The commands, by the comment that stands above them."""
    blocks = re.findall(r"^ +# (.+)\n((?: +\S.*\n)+)", text, re.MULTILINE)
    return dict(blocks)


# The app of a miss takes half a second; a busy machine adds to that, and to a hit.
MISS_THEN_HIT = (
    r"fwd=uri-miss; stored[\s\S]*?\n(?:0\.[5-9]|[1-9]\d*\.)\d* s\n"
    r"[\s\S]*?; hit; ttl=\d+[\s\S]*?\n0\.[0-4]\d* s\Z"
)

EXPECTED = {
    "JSON by default, MessagePack on request": [
        r'\A\[\{"id":0,"name":"Lisbon","population":545796',
        r"\n0000000 +334 +\\0 +` +204 +242 +i +d +\\0 +244 +n +a +m +e +246 +L +i",
    ],
    "zstd, br or gzip: each has its own ETag": [
        r'content-encoding: zstd\n(.+\n)*etag: "(\w+)-zstd"',
        r'content-encoding: br\n(.+\n)*etag: "(\w+)-br"',
        r'content-encoding: gzip\n(.+\n)*etag: "(\w+)-gzip"',
    ],
    'a MessagePack upload in gzip: the app gets {"name": "Porto"} as JSON': [
        r'\A\{"content_type":"application/json","got":\{"name":"Porto"\}\}\Z',
    ],
    "a miss, then a hit: compare Cache-Status and the time": [
        MISS_THEN_HIT,
    ],
    "a 304: the client has this city already": [r'\AHTTP/1.1 304 [\s\S]*?etag: "city-3"'],
    "a POST whose body is part of the cache key: a miss, then a hit": [
        MISS_THEN_HIT,
    ],
    "an event stream: compressed, and every event arrives at once": [
        r"\Adata: tick 0\n\ndata: tick 1\n\n"
    ],
    "the report: what each route cost, and why responses were not cached": [
        r"^/cities +GET +200 ",
        r"^/search +POST +200 +2 ",
        r"^/search +POST +200 .* hit 1, miss 1",
        r"^/cities/\{number(:int)?\} +GET +",
    ],
}


def test_every_line_that_is_printed_shows_what_it_says(demo):
    blocks = read_blocks(demo.log())
    assert list(blocks) == list(EXPECTED)
    for title, commands in blocks.items():
        ran = subprocess.run(
            ["bash", "-c", commands], capture_output=True, timeout=300, check=True, text=True
        )
        shown = ran.stdout.strip()
        for pattern in EXPECTED[title]:
            assert re.search(pattern, shown, re.MULTILINE), f"{title}: {pattern}\n{shown}"


def test_what_is_printed_stands_there_once_it_listens(demo):
    assert demo.log().rstrip().endswith("Stop it with Ctrl+C.")
    assert demo.get("/").status == 200
    assert demo.get("/timing", accept="text/html").fields["content-type"].startswith("text/html")
