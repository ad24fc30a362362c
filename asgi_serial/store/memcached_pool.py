"""Connections to Memcached on which no command hangs or reads the answer of another.

This pool replaces that of aiomcache, whose release 0.8.2 has two faults. Once the server has closed
the connection, its loop for an answer neither ends nor yields. And a cancelled command leaves its
answer on the connection, which the next command uses.
"""

import asyncio
import sys
from contextlib import suppress
from typing import NamedTuple

from asgi_serial.store.guard import Oversized, Refusal


class _Reader(asyncio.StreamReader):
    """A stream that tracks unread bytes, and fails rather than return a wrong answer."""

    def __init__(self, max_value_bytes: int) -> None:
        super().__init__()
        self._max_value_bytes = max_value_bytes
        self.unread_bytes = 0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # a transport gives bytes
        """Count and buffer data from the server."""
        self.unread_bytes += len(data)
        super().feed_data(data)

    async def readline(self) -> bytes:
        """Return a whole line. Raises: ConnectionError at the end of the stream; Refusal."""
        line = await super().readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Memcached closed the connection in the middle of an answer")
        self.unread_bytes -= len(line)
        if line.startswith((b"SERVER_ERROR", b"CLIENT_ERROR")):
            raise Refusal(line[:200].decode("ascii", "replace").rstrip())
        return line

    async def readexactly(self, n: int) -> bytes:
        """Return a value with its line end. Raises: Oversized, before anything is read."""
        if n > self._max_value_bytes + 2:
            raise Oversized(f"the value has {n - 2} bytes; the limit is {self._max_value_bytes}")
        data = await super().readexactly(n)
        self.unread_bytes -= n
        return data


class Connection(NamedTuple):
    """A connection in the form that aiomcache expects: the reader first."""

    reader: _Reader
    writer: asyncio.StreamWriter

    @property
    def is_usable(self) -> bool:
        """Whether the next data to read will be the answer to the next command."""
        reader = self.reader
        return not (
            reader.unread_bytes
            or reader.at_eof()
            or reader.exception() is not None
            or self.writer.is_closing()
        )


class MemcachedPool:
    """At most `size` connections of one event loop; the most recently used one is reused first."""

    def __init__(self, host: str, port: int, *, size: int, max_value_bytes: int) -> None:
        self._host = host
        self._port = port
        self._max_value_bytes = max_value_bytes
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def acquire(self) -> Connection:
        """Return a usable connection, a new one if necessary."""
        await self._places.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable:
                    return connection
                connection.writer.transport.abort()
            return await self._connect()
        except BaseException:
            self._places.release()
            raise

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        reader = _Reader(self._max_value_bytes)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_connection(lambda: protocol, self._host, self._port)
        return Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    def release(self, connection: Connection) -> None:
        """Take a connection back, and close it unless its command was completed."""
        self._places.release()
        # aiomcache calls this in a `finally`. An exception in flight, such as a cancellation, means
        # that the answer was not read. An exception that the caller is handling is seen here as
        # well; that costs a connection, but never mixes up answers.
        if sys.exc_info()[0] is None and connection.is_usable:
            self._idle.append(connection)
        else:
            connection.writer.transport.abort()

    async def clear(self) -> None:
        """Close the connections that are not in use."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.writer.close()
        for connection in idle:
            with suppress(OSError):
                await connection.writer.wait_closed()
