"""The parameters of a query on which no response depends."""

import re
from collections.abc import Iterable

from asgi_serial.http.names import any_spelling


class QueryRules:
    """Divides the parameters of a query into those that count, and those that are ignored.

    `ignored` are the names of parameters, or `counted` those of all that are not ignored; a name
    may be the beginning of names, which ends in `*`. The ignored parameters are left out of the key
    and hidden from the app, so that no stored response can depend on them.

    Names are compared as apps read them, with percent-encoding decoded. A parameter with a `;`
    counts, since some apps read it as several.
    """

    def __init__(self, ignored: Iterable[str] = (), counted: Iterable[str] = ()) -> None:
        names = [*counted]
        # Everything to the next separator, in one pass: `*+` never tries a shorter match again.
        rest = rb"[^&;]*+(?![^&])"
        is_ignored = b"(?!%b)" % _name_of(names) if names else _name_of(ignored)
        self._remove_ignored = re.compile(rb"&" + is_ignored + rest).sub

    def find_shown(self, query: bytes) -> bytes | None:
        """Return a query without the ignored parameters; None if it has none.

        The others stay in their order and spelling.

        >>> QueryRules(["utm_*"]).find_shown(b"utm_source=mail&page=2&utm%5Fterm=x")
        b'page=2'
        >>> QueryRules(counted=["page"]).find_shown(b"page=2")
        """
        if type(query) is not bytes:
            return None  # of a server that does not follow ASGI
        shown = self._remove_ignored(b"", b"&" + query)[1:]
        return None if len(shown) == len(query) else shown


def _name_of(names: Iterable[str]) -> bytes:
    """Return a pattern for one of these names, at the beginning of a parameter."""
    patterns = [
        any_spelling(name[:-1]) if name.endswith("*") else any_spelling(name) + rb"(?=[=&]|\Z)"
        for name in names
    ]
    return b"(?:%b)" % b"|".join(patterns) if patterns else rb"(?!)"
