"""Answers of Redis that are read only if they were asked for, in their kind and their size."""

from typing import Any

# No length has more digits; a line may have 64 KB.
_MAX_DIGITS = 20


def bounded_parser(max_value_bytes: int) -> type[Any] | None:
    """Give a parser class for a connection of redis-py that speaks RESP 2; None: it has changed.

    redis-py waits for as many bytes as a server claims, and holds on to what comes until the
    time-out; a server that claims a list has the event loop read lines all the while. The store
    asks for no lists, and by GETRANGE for no more than the limit and one byte.
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
                raise InvalidResponse("a list, which was not asked for")
            if kind == b"$" and (len(line) > _MAX_DIGITS or int(line[1:]) > max_value_bytes + 1):
                raise InvalidResponse(f"a value over {max_value_bytes} bytes: {line[:40]!r}")
            return line

        async def can_read_destructive(self) -> bool:
            # redis-py before 8 does not see what has come unasked, and lets the next command of
            # the connection take it for its answer.
            stream = self._stream
            unread = bool(self._buffer) or bool(getattr(stream, "_buffer", None))
            return unread or stream is None or stream.at_eof()

    return BoundedParser
