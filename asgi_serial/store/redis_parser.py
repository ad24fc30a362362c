"""A parser for redis-py that refuses answers of unexpected kind or size."""

from typing import Any

# No valid length has more digits. A line may have 64 KB, which int() should not be given.
_MAX_DIGITS = 20


def bounded_parser(max_value_bytes: int) -> type[Any] | None:
    """Return a parser class for RESP 2; None if redis-py has changed its own.

    redis-py waits for as many bytes as the server announces, and keeps all of them until the
    time-out. A server that announces a list keeps the event loop reading lines for all that time.
    The store never asks for lists, and by GETRANGE for at most one byte more than the limit.
    """
    try:
        from redis._parsers import _AsyncRESP2Parser
    except ImportError:
        return None
    from redis.exceptions import InvalidResponse

    class BoundedParser(_AsyncRESP2Parser):
        async def _readline(self) -> bytes:
            line = await super()._readline()
            kind = line[:1]
            if kind == b"*":
                raise InvalidResponse("an unexpected list")
            if kind == b"$" and (len(line) > _MAX_DIGITS or int(line[1:]) > max_value_bytes + 1):
                raise InvalidResponse(f"a value over {max_value_bytes} bytes: {line[:40]!r}")
            return line

        async def can_read_destructive(self) -> bool:
            # redis-py before 8 overlooks data that nobody asked for; the next command on the
            # connection would take it for its answer.
            stream = self._stream
            unread = bool(self._buffer) or bool(getattr(stream, "_buffer", None))
            return unread or stream is None or stream.at_eof()

    return BoundedParser
