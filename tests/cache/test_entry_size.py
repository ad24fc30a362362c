"""What stored responses really take in memory, against what the first level counts for them."""

import gc
import tracemalloc

import pytest

from asgi_serial.cache import entry
from asgi_serial.cache.encodings import Encoded, Encodings
from asgi_serial.cache.in_flight import MAX_REMEMBERED
from asgi_serial.cache.memory import Memory
from asgi_serial.engine.engine import Engine
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.model import Settings
from tests.engine.driver import Clock, Recording, awaited, document_of

NUMBER = 300
SIZES = {"encodings_cache": False, "cache_memory": "1GB"}


def fresh(value: bytes) -> bytes:
    """An equal object of its own, as a server or an app makes one for each request."""
    return bytes(bytearray(value))


def answering(body: bytes, *fields: tuple[bytes, bytes]):
    async def app(scope, receive, send):
        pairs = [(fresh(name), fresh(value)) for name, value in fields]
        pairs += [(b"content-length", b"%d" % len(body)), (b"x-path", fresh(scope["raw_path"]))]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        await send({"type": "http.response.body", "body": fresh(body)})

    return app


async def fill(serial, first: int, clients: tuple[bytes, ...]) -> None:
    for number in range(first, first + NUMBER):
        path = f"/items/{number:06}"
        for accept_encoding in clients:
            pairs = [(fresh(b"host"), fresh(b"www.example.org"))]
            pairs += [(b"accept-encoding", fresh(accept_encoding))]
            scope = {
                "type": "http",
                "method": "GET",
                "scheme": "http",
                "root_path": "",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"page=%d" % number,
                "headers": pairs,
            }
            await serial(scope, None, Recording().send)


JSON = (b"content-type", b"application/json")
PNG = (b"content-type", b"image/png")
FRESH = (b"cache-control", b"max-age=600")
MANY = [(b"x-field-%d" % number, b"some value") for number in range(8)]
ENTRIES = {
    "a small document": (200, [JSON, FRESH], (b"",)),
    "a small document that was asked for again": (200, [JSON, FRESH], (b"", b"")),
    "a small image": (200, [PNG, FRESH], (b"",)),
    "a document with many fields": (1_000, [JSON, FRESH, *MANY], (b"",)),
    "a document of 10 KB": (10_000, [JSON, FRESH], (b"",)),
    "encoded": (10_000, [JSON, FRESH], (b"br",)),
    "in each coding": (10_000, [JSON, FRESH], (b"gzip", b"br", b"zstd")),
    "in each coding with many fields": (10_000, [JSON, FRESH, *MANY], (b"gzip", b"br", b"zstd")),
    "a variant of its language": (500, [JSON, FRESH, (b"vary", b"accept-language")], (b"",)),
}


@pytest.fixture(autouse=True)
def nothing_is_ready_for_hits(monkeypatch):
    """What is ready for hits is bounded by itself, and counts for no entry."""
    monkeypatch.setattr(entry, "MAX_HIT_STATES", 0)


@pytest.mark.parametrize(("size", "fields", "clients"), ENTRIES.values(), ids=ENTRIES.keys())
@awaited
async def test_an_entry_counts_for_about_what_it_takes(size, fields, clients):
    ratios = []
    # What else the process does meanwhile can only add to what is taken.
    while len(ratios) < 3 and not any(0.75 < ratio < 1.25 for ratio in ratios):
        ratios.append(await counted_to_taken(size, fields, clients))
    assert 0.75 < max(ratios) < 1.25


async def counted_to_taken(size, fields, clients):
    """How what entries count for compares to the memory that they take."""
    settings = Settings.load(SIZES, {})
    engine = Engine(settings, clock=Clock(), label=lambda scope: "/items/{number}")
    serial = SerialMiddleware(answering(document_of(size), *fields), engine=engine)
    await fill(serial, 0, clients)
    for number in range(MAX_REMEMBERED):
        engine.calls.note_storable((str(number),))  # which is bounded by itself, too
    counted_before = engine.memory.size_bytes
    gc.collect()
    tracemalloc.start()
    try:
        await fill(serial, NUMBER, clients)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (engine.memory.size_bytes - counted_before) / taken


def test_an_encoded_body_counts_for_about_what_it_takes():
    memory: Memory[object] = Memory(10_000_000)
    encodings = Encodings(memory, 1_000_000)
    tracemalloc.start()
    try:
        for number in range(NUMBER):
            content = fresh(bytes(1_000))
            kept = Encoded("", "gzip", content, len(content) + number)
            encodings.keep(number.to_bytes(32, "big"), "", "gzip", kept)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.75 < memory.size_bytes / taken < 1.25
