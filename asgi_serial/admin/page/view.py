"""The choices about the page that a request makes in its query."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

SORTS = ("time", "count", "route", "p50", "p95", "p99", "sent", "errors")
REFRESHES = (5, 30, 60)
_LONGEST_QUERY = 1000


class View(NamedTuple):
    """The order of the routes, the seconds between refreshes, and what was just done."""

    sort: str = "time"
    refresh: int = 0
    done: str = ""

    def link(self, **changes: str | int) -> str:
        """Return a link to the page with some choices changed.

        >>> View(refresh=5).link(sort="p95"), View(sort="p95").link(sort="time")
        ('?sort=p95&refresh=5', '?')
        """
        chosen = self._replace(done="", **changes)  # type: ignore[arg-type]
        different = {
            name: value
            for name, value in chosen._asdict().items()
            if value != View._field_defaults[name]
        }
        return f"?{urlencode(different)}"


def read_view(query: bytes) -> View:
    """Return the choices in a query; what is not known is left out.

    >>> read_view(b"sort=p95&refresh=30&x=1"), read_view(b"sort=%3Cscript%3E&refresh=1")
    (View(sort='p95', refresh=30, done=''), View(sort='time', refresh=0, done=''))
    """
    chosen = read_query(query)
    sort, refresh, done = (chosen.get(name, "") for name in ("sort", "refresh", "done"))
    return View(
        sort if sort in SORTS else "time",
        int(refresh) if refresh in map(str, REFRESHES) else 0,
        done if done in MESSAGES else "",
    )


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, the last of each name; none if it is too long."""
    if len(query) > _LONGEST_QUERY:
        return {}
    return dict(parse_qsl(query.decode("latin-1"), errors="replace"))


MESSAGES = {
    "purged": (True, "The stored responses are purged."),
    "not-told": (
        False,
        "The responses are purged in this process, but the second level did not accept it for the "
        "others; purge again.",
    ),
    "refused": (False, "Nothing was purged: the token is not the right one."),
    "wrong": (False, "Nothing was purged: name one tag, path or URI."),
}
"""The results of actions, by the word for each in the query: whether it is good, and a sentence."""
