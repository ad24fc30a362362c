"""The interface of the second level: bytes by key."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias


class Store(Protocol):
    """A byte store outside the process: what `SerialMiddleware(store=...)` takes.

    All methods are coroutines. Keys are strings of at most 64 ASCII letters, digits, and `:_.-`.
    Values are `bytes`. A `ttl` is in whole seconds, at least 1, and a value must not be returned
    after it. Several event loops may use one store at a time, and `add`, `increment` and
    `delete_if` should be atomic over all who share it.

    A store of your own may fail in any way. Each call is cut off after `cache_store_timeout`, an
    exception is counted, and a result of another type or above the size limit is dropped: all of
    this is a miss. After three failures in a row no calls are made for a while.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`; None if there is none, or if it cannot be read.

        The bytes are not trusted: anybody may have written them into the store.
        """

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of several keys, in their order, by one call.

        A number of `increment` comes as decimal digits. If the call fails, all values are None.
        """

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Store `value` for `ttl` seconds; the store may drop it earlier."""

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool | None:
        """Store `value` if the key has none, and return whether it was stored.

        Of several concurrent calls exactly one returns True. None means that the outcome is
        unknown, because the store was not reached or did not answer; callers that cannot wait
        proceed as if it were True.
        """

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        """Add `delta` to the number of `key`, extend its lifetime to `ttl` seconds, and return it.

        If there is none, `delta` is added to `start`. A store may lose a number before its time, so
        a number that must never repeat starts from the clock. None means that the call failed, and
        that the number may or may not have grown. `delta` is at least 1, `start` at least 0, and
        the sum below 2**63.
        """

    async def delete(self, key: str) -> None:
        """Delete the value of `key`; it stays if the store cannot be reached."""

    async def delete_if(self, key: str, token: bytes) -> bool | None:
        """Delete the value of `key` if it equals `token`, and return whether it did.

        None means that the outcome is unknown; the value then expires by its ttl at the latest.
        """


STORE_METHODS = ("get", "get_many", "set", "add", "increment", "delete", "delete_if")
"""The methods of `Store`."""


class Claim(NamedTuple):
    """A value to be added while others are read: `token` under `key`, for `ttl` seconds."""

    key: str
    token: bytes
    ttl: float


class SetValue(NamedTuple):
    """The arguments of `Store.set`."""

    key: str
    value: bytes
    ttl: float


class DeleteValue(NamedTuple):
    """The argument of `Store.delete`."""

    key: str


class DeleteToken(NamedTuple):
    """The arguments of `Store.delete_if`."""

    key: str
    token: bytes


Write: TypeAlias = SetValue | DeleteValue | DeleteToken
"""One of several writes that are made together."""


class GuardedStore(Store, Protocol):
    """A store whose methods never raise, and never take longer than its time-out.

    Only the cancellation of the caller's own task goes through. A failure is counted, and a failed
    read is a miss. A `ttl` may be any number of seconds; it is rounded up.
    """

    is_shared: bool
    """Whether other processes may use it, too."""

    async def get_or_add(
        self, keys: Sequence[str], claim: Claim
    ) -> tuple[list[bytes | None], bool | None]:
        """Return the values of several keys; if the last has none, add the claim in the same step.

        Also return whether the claim was added: True if it was, or if the same token was there
        already; False if another was. None means that it was not tried, because the last key has a
        value, or because the store cannot do both at once. A call that failed counts as a claim
        that was added, since nobody can have another.

        In a Redis Cluster, keys of the form `group-rest` with the same group are on one node.
        """

    async def write(self, writes: Sequence[Write]) -> None:
        """Make several writes, each `DeleteToken` after all others; in one call if possible."""

    @property
    def open_breakers(self) -> int:
        """The number of the store's places, such as nodes, whose calls are held back."""

    async def close(self) -> None:
        """Close the connections; the store opens new ones on its next use."""

    def statistics(self) -> Mapping[str, int]:
        """Return the numbers of calls and failures by kind, since the store was made."""

    def state(self) -> Mapping[str, Any]:
        """Return the `target`, the `state` of its breaker, and the `last_failure`.

        The state is `closed` (the store is asked), `open` (it is not, except for a probe now and
        then, because it failed), or `partly open` (some nodes of a cluster are not). A failure has
        its `kind` (a counter of `statistics`), the `error`, and how many `seconds_ago` it was.
        """
