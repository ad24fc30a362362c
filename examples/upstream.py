"""Persistent connections from `reverse_proxy.py` to its upstream."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import h11

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0  # uvicorn and Node close a connection after 5 s
MAX_IDLE = 64
READ_BYTES = 65_536
MAX_HEAD_BYTES = 65_536


class UpstreamError(Exception):
    """The upstream closed the connection early, or its answer violates HTTP."""


class Connection:
    """One connection to the upstream. It carries one request at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence_seconds: float
    ) -> None:
        self.reader, self.writer, self.silence_seconds = reader, writer, silence_seconds
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.patience: asyncio.Timeout | None = None  # of the current read
        self.is_kept = False
        self.is_ready = asyncio.Event()  # set when content may be sent
        self.idle_since = 0.0

    @property
    def is_through(self) -> bool:
        """Whether the response has been read to its end."""
        return self.http.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    async def send(self, event: h11.Event) -> None:
        """Write a part of the request, and restart the upstream's time to answer."""
        self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()
        if self.patience is not None and not self.patience.expired():
            self.patience.reschedule(asyncio.get_running_loop().time() + self.silence_seconds)

    async def read_head(self) -> h11.InformationalResponse | h11.Response:
        """Return the next head.

        Raises: TimeoutError, UpstreamError, OSError, h11.RemoteProtocolError.
        """
        while (event := self.http.next_event()) is h11.NEED_DATA:
            await self.read()
        if not isinstance(event, h11.InformationalResponse | h11.Response):
            raise UpstreamError("The upstream closed the connection instead of answering.")
        return event

    async def read_content(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Yield the content in pieces as they arrive, each with whether more follow."""
        pieces = []
        # RFC 9110, 6.5.1: trailer fields may be dropped.
        while not isinstance(event := self.http.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                continue
            if pieces:
                yield b"".join(pieces), True
                pieces = []
            await self.read()
        yield b"".join(pieces), False

    async def read(self) -> None:
        async with asyncio.timeout(self.silence_seconds) as self.patience:
            data = await self.reader.read(READ_BYTES)
        self.patience = None
        self.http.receive_data(data)

    async def is_quiet(self) -> bool:
        """Whether an idle connection is still open, with nothing received on it."""
        if time.monotonic() - self.idle_since > IDLE_SECONDS:
            return False
        try:
            async with asyncio.timeout(0):
                await self.reader.read(1)
        except TimeoutError:
            return True
        except OSError:
            pass
        return False

    def reset(self) -> bool:
        """Prepare for the next request. Return False if there can be none."""
        is_done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        # Data after a response belongs to no request.
        if not is_done or self.http.trailing_data != (b"", False):
            return False
        self.http.start_next_cycle()
        self.is_kept, self.idle_since = True, time.monotonic()
        self.is_ready.clear()
        return True


class Pool:
    """The idle connections to one upstream."""

    def __init__(self, upstream: str, silence_seconds: float) -> None:
        url = urlsplit(upstream)
        self.authority = url.netloc.rpartition("@")[2].encode()
        self.is_secure = url.scheme == "https"
        self.host, self.port = url.hostname, url.port or (443 if self.is_secure else 80)
        self.silence_seconds = silence_seconds
        self.idle: list[Connection] = []  # the most recently used one is last
        self.reaper: asyncio.TimerHandle | None = None

    async def take(self, *, new: bool) -> Connection:
        """Return the most recently used connection, or a new one. Raises: OSError."""
        while self.idle and not new:
            connection = self.idle.pop()
            if await connection.is_quiet():
                return connection
            connection.writer.close()
        async with asyncio.timeout(CONNECT_SECONDS):
            streams = await asyncio.open_connection(
                self.host, self.port, ssl=self.is_secure or None
            )
        return Connection(*streams, self.silence_seconds)

    def put_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it."""
        if len(self.idle) < MAX_IDLE and connection.reset():
            self.idle.append(connection)
            self.reap_later()
        else:
            connection.writer.close()

    def reap_later(self) -> None:
        """Schedule the closing of connections that stay idle."""
        if self.reaper is None:
            self.reaper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.reap)

    def reap(self) -> None:
        """Close the connections that have been idle for too long."""
        self.reaper = None
        while self.idle and time.monotonic() - self.idle[0].idle_since >= IDLE_SECONDS:
            self.idle.pop(0).writer.close()
        if self.idle:
            self.reap_later()

    def close(self) -> None:
        """Close all idle connections."""
        if self.reaper is not None:
            self.reaper.cancel()
        for connection in self.idle:
            connection.writer.close()
        self.idle.clear()
