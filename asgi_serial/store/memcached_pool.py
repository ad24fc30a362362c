"""Connections to Memcached on which no command can hang, or read another's answer.

It takes the place of aiomcache's own pool, whose release 0.8.2 has two faults: its loop for an
answer never ends, and never yields, once the server has closed the connection; and a command
that is cancelled leaves its answer on a connection that the next command is given.
"""

import asyncio
import sys
from contextlib import suppress
from typing import NamedTuple

from asgi_serial.store.guard import Oversized, Refusal


class _Reader(asyncio.StreamReader):
    """A stream that knows whether it owes an answer, and breaks rather than give a wrong one."""

    def __init__(self, max_value_bytes: int) -> None:
        super().__init__()
        self._max_value_bytes = max_value_bytes
        self.unread_bytes = 0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # a transport gives bytes
        """Take in what the server sent."""
        self.unread_bytes += len(data)
        super().feed_data(data)

    async def readline(self) -> bytes:
        """Read a whole line. Raises: ConnectionError at the end of the stream; Refusal."""
        line = await super().readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Memcached closed the connection in the middle of an answer")
        self.unread_bytes -= len(line)
        if line.startswith((b"SERVER_ERROR", b"CLIENT_ERROR")):
            raise Refusal(line[:200].decode("ascii", "replace").rstrip())
        return line

    async def readexactly(self, n: int) -> bytes:
        """Read a value and its line's end. Raises: Oversized before anything is read."""
        if n > self._max_value_bytes + 2:
            raise Oversized(f"the value has {n - 2} bytes, of at most {self._max_value_bytes}")
        data = await super().readexactly(n)
        self.unread_bytes -= n
        return data


class Connection(NamedTuple):
    """What aiomcache asks of a connection: the reader first."""

    reader: _Reader
    writer: asyncio.StreamWriter

    @property
    def is_usable(self) -> bool:
        """Whether the next command's answer will be the next thing to be read."""
        reader = self.reader
        return not (
            reader.unread_bytes
            or reader.at_eof()
            or reader.exception() is not None
            or self.writer.is_closing()
        )


class MemcachedPool:
    """At most `size` connections of one event loop, the last one used given out first."""

    def __init__(self, host: str, port: int, *, size: int, max_value_bytes: int) -> None:
        self._host = host
        self._port = port
        self._max_value_bytes = max_value_bytes
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def acquire(self) -> Connection:
        """Give a connection that owes nothing, a new one if need be."""
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
        """Take a connection back; it is closed unless its command ran to the end."""
        self._places.release()
        # aiomcache calls this in a `finally`: an exception in flight, a cancellation above all,
        # means that the answer was not read. (One that the caller is handling itself would be
        # seen as well; that costs a connection, never an answer.)
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
