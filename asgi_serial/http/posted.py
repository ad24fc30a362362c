"""Which answers to POST stand for what a GET of the same URI would give."""

import re
from urllib.parse import urljoin

# What a client that only GETs can make use of: 201 and 202 tell of what the POST has done.
POSTED_STATUSES = frozenset({200, 203})
"""The statuses of answers to POST that may be kept for GET."""

# RFC 9110, 8.7: a URI without a fragment; what a parser would drop in silence is not in it either.
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
