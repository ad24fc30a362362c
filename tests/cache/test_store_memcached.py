"""What only a Memcached can do wrong."""

import asyncio

import pytest

from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.guard import Oversized
from asgi_serial.store.memcached_pool import MemcachedPool

from .services import Service, run

KEY = "m" * 32


def test_a_value_that_the_server_finds_too_large_is_refused(memcached: Service) -> None:
    async def main() -> None:
        store = open_store(
            f"memcached://127.0.0.1:{memcached.port}", timeout=20.0, max_value_bytes=1 << 23
        )
        await store.set(KEY, b"value", ttl=60)
        for _ in range(5):
            await store.set(KEY, b"a" * (1 << 22), ttl=60)
            # Memcached drops the value that it could not replace.
            assert await store.get(KEY) is None
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) == b"value"
        counters = store.statistics()
        assert (counters["refusals"], counters["errors"], counters["timeouts"]) == (5, 0, 0)

    run(main())


def test_a_value_with_flags_that_another_client_wrote_is_a_failure(memcached: Service) -> None:
    async def main() -> None:
        store = open_store(f"memcached://127.0.0.1:{memcached.port}", timeout=20.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", memcached.port)
        writer.write(f"set asgi_serial:{KEY} 5 0 3\r\nabc\r\n".encode())
        assert await reader.readline() == b"STORED\r\n"
        writer.close()
        assert await store.get(KEY) is None
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) == b"value"

    run(main())


@pytest.mark.parametrize("key", ["a b", "a\r\nflush_all", "é", "a" * 300, ""])
def test_no_key_can_break_out_of_its_command(memcached: Service, key: str) -> None:
    async def main() -> None:
        store = open_store(f"memcached://127.0.0.1:{memcached.port}", timeout=20.0)
        await store.set(KEY, b"value", ttl=60)
        await store.set(key, b"other", ttl=60)
        await store.get(key)
        assert await store.get(KEY) == b"value"

    run(main())


def test_a_length_over_the_limit_is_refused_before_it_is_read(memcached: Service) -> None:
    async def main() -> None:
        pool = MemcachedPool("127.0.0.1", memcached.port, size=1, max_value_bytes=10)
        connection = await pool.acquire()
        with pytest.raises(Oversized, match="11 bytes; the limit is 10"):
            await connection.reader.readexactly(13)
        pool.release(connection)
        await pool.clear()

    run(main())


def test_a_connection_is_used_again_once_its_answer_was_read(memcached: Service) -> None:
    async def main() -> None:
        pool = MemcachedPool("127.0.0.1", memcached.port, size=1, max_value_bytes=10)
        connection = await pool.acquire()
        connection.writer.write(b"version\r\n")
        await connection.reader.readline()
        pool.release(connection)
        assert await pool.acquire() is connection
        connection.writer.write(b"version\r\n")
        try:
            raise ValueError("in flight while the connection comes back")
        except ValueError:
            pool.release(connection)
        other = await pool.acquire()
        assert other is not connection
        pool.release(other)
        await pool.clear()

    run(main())


def test_a_connection_that_can_not_be_made_gives_its_place_back() -> None:
    async def main() -> None:
        pool = MemcachedPool("127.0.0.1", 1, size=1, max_value_bytes=10)
        for _ in range(3):
            with pytest.raises(OSError, match="Connect call failed"):
                await pool.acquire()

    run(main())
