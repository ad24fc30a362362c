"""What a write drops out of the cache, and what it has stored itself in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.cache.responses import ResponseCache


class Dropping:
    """The two drops of one write: when its response starts, and when the app is done.

    `has_ended_well` is set once the app has done what it said in its response.
    """

    __slots__ = ("_keys", "_posted", "_responses", "dropped_at", "has_ended_well")

    def __init__(self, responses: ResponseCache, keys: tuple[Key, ...]) -> None:
        self.has_ended_well = False
        self._responses = responses
        self._keys = keys
        self._posted: Entry | None = None  # what this write has stored itself
        self.dropped_at = self._drop()

    def keep(self, posted: Entry, asked: float) -> bool:
        """Store what the write itself has answered, for those who GET it; False if it is not."""
        self._posted = posted
        # Its own drop came after the app was asked; another's since then is not its own.
        return self._responses.keep(posted, asked, own_drop=self.dropped_at)

    def drop_again(self) -> None:
        """Drop what was stored since."""
        # Apps commit after their response, too: what was read since is of the time before. What
        # this write has answered itself is of the time after, if the app has ended well.
        responses, posted = self._responses, self._posted
        holds = self.has_ended_well and posted is not None and responses.holds(posted)
        dropped_at = self._drop()
        if holds and posted is not None:
            responses.keep_again(posted, dropped_at)

    def _drop(self) -> float:
        """Drop all keys; return the time of the target URI's drop, which is the last."""
        # Another of them may be the target URI in another spelling.
        return [self._responses.drop(key) for key in reversed(self._keys)][-1]
