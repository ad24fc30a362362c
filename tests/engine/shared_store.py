"""A second level of which nothing is ever lost, for processes that are none."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cache.entries import OneByOne


class SharedStore(OneByOne):
    """All that a store promises, in a dict; nothing leaves before its time, or after it."""

    is_shared = True

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        """What is there."""
        return self.kept.get(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is there under each."""
        return [self.kept.get(key) for key in keys]

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep it."""
        self.kept[key] = value

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool | None:
        """Keep it, as the first."""
        return self.kept.setdefault(key, value) is value

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        """Count."""
        number = int(self.kept.get(key, start)) + delta
        self.kept[key] = b"%d" % number
        return number

    async def delete(self, key: str) -> None:
        """Forget it."""
        self.kept.pop(key, None)

    async def delete_if(self, key: str, token: bytes) -> bool | None:
        """Forget what is one's own."""
        if self.kept.get(key) != token:
            return False
        del self.kept[key]
        return True

    async def close(self) -> None:
        """Nothing is open."""

    def statistics(self) -> Mapping[str, int]:
        """Nothing is counted."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """It never fails."""
        return {"target": "a dict", "state": "closed", "last_failure": None}
