"""What the second level of the cache promises: bytes under a key, and never an exception."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Store(Protocol):
    """A byte store outside the process, safe to use from several event loops and threads.

    No method raises (but for the cancellation of the caller's own task), and none takes longer
    than the store's time-out: a failure is a miss, a counter, and nothing else. A `ttl` is in
    seconds, rounded up to whole ones.
    """

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`; None where nothing is, or it can not be had.

        The bytes are as somebody wrote them into the store: unpack them with `frame`.
        """

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each of the keys, in their order, by one call.

        A number of `increment` is given in decimal digits. Where the call fails all are None.
        """

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep `value` for `ttl` seconds; it may be gone earlier."""

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool | None:
        """Keep `value` where nothing is stored, and tell whether that was so.

        Of several that add at once one is told True. None: nobody knows, the store was not
        reached or gave no answer; who can not wait goes on as if it were True.
        """

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        """Add `delta` to the number under `key`, which lives `ttl` seconds from now, and return it.

        Where there is none it is `start` that is added to: a store may lose a number before its
        time, and one that must never come again starts from the clock. None where that failed,
        and the number may or may not have grown. `delta` is at least 1, `start` at least 0, and
        the sum below 2**63.
        """

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`; where the store can not be reached, it stays."""

    async def delete_if(self, key: str, token: bytes) -> bool | None:
        """Forget what is stored under `key` if it is `token`, and tell whether it was.

        None where that is not known; what was added for a time is then gone after it.
        """

    async def close(self) -> None:
        """Close the connections; the store opens new ones when it is used again."""

    def statistics(self) -> Mapping[str, int]:
        """Count what was asked and what failed, by kind, since the store was made."""
