"""The result of a lookup that has found no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Representation


@dataclass(frozen=True, slots=True)
class Forward:
    """The reason why the app is called, and the stored response that the call concerns."""

    reason: Reason
    stored: Entry | None = None  # was selected, but may not be used as it is
    validates: bool = False  # the app is asked whether `stored` is still valid
    underived: Entry | None = None  # may answer in a form that has yet to be derived
    form: Representation | None = None  # of `stored`, answers once that may be used
    completes: Entry | None = None  # the stored part for which the app is asked for the rest
    waited: bool = False  # for another request's call of the app

    def without_stored(self) -> Forward:
        """Return the same for a call that concerns no stored response."""
        return Forward(self.reason, form=self.form, waited=self.waited)


FORWARD_MISS = Forward(Reason.MISS)
