"""Writes: whether one invalidates its URI, and whether its response may be stored for GET."""

import re
from urllib.parse import urljoin

# The safe methods of RFC 9110, 9.2.1, and of the IANA registry: they change nothing.
_SAFE_METHODS = frozenset(
    {"GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE"}
)

# A 201 or 202 tells what the POST has done, which is of no use to a client that only GETs.
POSTED_STATUSES = frozenset({200, 203})
"""The statuses of responses to POST that may be stored for GET."""

# RFC 9110, 8.7: Content-Location is a URI without a fragment. Nor may it hold any character that
# a parser would drop silently.
_REFERENCE = re.compile(rb"[!\"$-~]+")


def names_target(value: bytes | None, target: str) -> bool:
    """Whether a Content-Location value is the absolute URI `target`, letter by letter.

    >>> names_target(b"/a?b=c", "http://example.org/a?b=c")
    True

    Source: RFC 9110, 8.7 and 9.3.3: the response is then a representation of the target resource.
    """
    if value is None or len(value) > len(target) or not _REFERENCE.fullmatch(value):
        return False
    try:
        return urljoin(target, value.decode("ascii")) == target
    except ValueError:
        return False


def invalidates(method: str, status: int) -> bool:
    """Whether a response of this status to this method invalidates the stored responses of its URI.

    Source: RFC 9111, 4.4: a non-error response (2xx, 3xx) to a method not known to be safe.
    """
    return method not in _SAFE_METHODS and 200 <= status < 400
