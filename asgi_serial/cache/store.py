"""What the second level of the cache promises: bytes under a key, and never an exception."""

from collections.abc import Mapping
from typing import Protocol


class Store(Protocol):
    """A byte store outside the process, safe to use from several event loops and threads.

    No method raises (but for the cancellation of the caller's own task), and none takes longer
    than the store's time-out: a failure is a miss, a counter, and nothing else.
    """

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`; None where nothing is, or it can not be had.

        The bytes are as somebody wrote them into the store: unpack them with `frame`.
        """

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep `value` for `ttl` seconds, rounded up to whole ones; it may be gone earlier."""

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`; where the store can not be reached, it stays."""

    async def close(self) -> None:
        """Close the connections; the store opens new ones when it is used again."""

    def statistics(self) -> Mapping[str, int]:
        """Count what was asked and what failed, by kind, since the store was made."""
