"""Servers that claim, and send, what nobody asked for: it ends at once, and nothing is held."""

import asyncio
import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.redis_parser import bounded_parser

from .services import Service, longest_stall, run

KEY = "l" * 32
TIMEOUT_SECONDS = 20.0
# What a busy machine may take the loop away for; a flood that is read to its end never ends.
STALL_SECONDS = 20.0
# What the kernel and the transport take in before anybody has looked at the first line.
MOST_BYTES = 2_000_000


@asynccontextmanager
async def flood(head: bytes, body: bytes) -> AsyncIterator[int]:
    """The port of a server that answers with `head`, and with `body` for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(head)
            while True:
                writer.write(body)
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


X = b"x" * 65536
VALUE = f"VALUE asgi_serial:{KEY} 0 ".encode()


@pytest.mark.parametrize(
    ("scheme", "head", "body"),
    [
        pytest.param("redis", b"$99999999999\r\n", X, id="Redis: 100 GB"),
        pytest.param("redis", b"$1002\r\n", X, id="Redis: a byte over the limit"),
        pytest.param("redis", b"$" + b"9" * 60000 + b"\r\n", X, id="Redis: a length without end"),
        pytest.param("redis", b"$-7\r\n", X, id="Redis: a length below none"),
        pytest.param("redis", b"*1000000000\r\n", b":1\r\n" * 9999, id="Redis: a list"),
        pytest.param("redis", b"", b"*1\r\n" * 9999, id="Redis: lists in lists"),
        pytest.param("redis", b"%99\r\n", b"+a\r\n" * 9999, id="Redis: a map, in RESP 3"),
        pytest.param("redis", b"+", X, id="Redis: a line without end"),
        pytest.param("redis", b":", b"9" * 65536, id="Redis: a number without end"),
        pytest.param("redis", b"-", X, id="Redis: an error without end"),
        pytest.param("memcached", VALUE + b"99999999999\r\n", X, id="Memcached: 100 GB"),
        pytest.param("memcached", VALUE + b"1001\r\n", X, id="Memcached: a byte over the limit"),
        pytest.param("memcached", VALUE + b"-7\r\n", X, id="Memcached: a length below none"),
        pytest.param("memcached", VALUE, X, id="Memcached: a line without end"),
        pytest.param(
            "memcached", b"", (VALUE + b"1\r\nx\r\n") * 999, id="Memcached: one value for ever"
        ),
    ],
)
def test_a_flood_is_left_at_once(scheme: str, head: bytes, body: bytes) -> None:
    async def main() -> None:
        async with flood(head, body) as port:
            store = open_store(
                f"{scheme}://127.0.0.1:{port}", timeout=TIMEOUT_SECONDS, max_value_bytes=1000
            )
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            async with longest_stall() as stall:
                assert await store.get(KEY) is None
            grown = tracemalloc.get_traced_memory()[1] - before
            tracemalloc.stop()
            counters = store.statistics()
            assert counters["errors"] + counters["oversized"] == 1
            assert grown < MOST_BYTES
            assert stall[0] < STALL_SECONDS
            await store.close()

    run(main())


def test_the_largest_value_that_may_be_is_read(redis: Service) -> None:
    async def main() -> None:
        store = open_store(f"redis://127.0.0.1:{redis.port}", timeout=20.0, max_value_bytes=1000)
        await store.set(KEY, b"a" * 1000, ttl=60)
        assert await store.get(KEY) == b"a" * 1000
        wide = open_store(f"redis://127.0.0.1:{redis.port}", timeout=20.0)
        await wide.set(KEY, b"a" * 1001, ttl=60)
        assert await store.get(KEY) is None
        counters = store.statistics()
        assert (counters["oversized"], counters["errors"]) == (1, 0)
        await store.delete(KEY)

    run(main())


def test_a_redis_py_without_such_a_parser_is_used_with_its_own(
    redis: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis._parsers", None)
    assert bounded_parser(1000) is None

    async def main() -> None:
        store = open_store(f"redis://127.0.0.1:{redis.port}", timeout=20.0)
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) == b"value"
        await store.delete(KEY)

    run(main())


@pytest.mark.parametrize(
    ("came", "is_over", "is_dirty"),
    [(b"", False, False), (b"+OK\r\n", False, True), (b"", True, True), (None, False, True)],
    ids=["nothing", "an answer", "the end", "no connection"],
)
def test_a_connection_on_which_anything_came_unasked_is_not_used_again(
    came: bytes | None, is_over: bool, is_dirty: bool
) -> None:
    async def main() -> None:
        parser_class = bounded_parser(1000)
        assert parser_class is not None
        parser = parser_class(65536)
        if came is not None:
            parser._stream = asyncio.StreamReader()
            parser._stream.feed_data(came)
            if is_over:
                parser._stream.feed_eof()
        assert await parser.can_read_destructive() is is_dirty
        parser._stream = None

    run(main())
