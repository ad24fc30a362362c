"""Paths that an app, or an origin behind it, may take for another path than they say."""

import re
from urllib.parse import unquote

# RFC 3986, 5.2.4 removes dot segments, and servers add their own ways to shorten a path: repeated
# slashes, slashes and backslashes that are encoded, parameters after a semicolon, and all that
# follows an encoded `?`, `#` or control character.
_AMBIGUOUS = re.compile(
    r"//|[\\;\x00-\x1f\x7f]|%(?:2[ef]|5c|3[bf]|23|[01][0-9a-f]|7f)|(?:\A|/)\.{1,2}(?:/|\Z)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[?#\x00-\x1f\x7f]")
_MAX_DECODINGS = 3  # an origin behind a proxy behind a proxy; nobody decodes more often


def is_plain(path: str, raw_path: bytes | None = None) -> bool:
    """Whether every server takes the path for the one that it says.

    `path` is decoded once, `raw_path` is as it was sent, where that is known; a query, which some
    servers leave in it, is no part of it.

    >>> is_plain("/static/a.css"), is_plain("/static/../account")
    (True, False)
    >>> is_plain("/static/../account", b"/static/..%2faccount")
    False
    """
    if _AMBIGUOUS.search(path) or "?" in path or "#" in path:
        return False
    raw = b"" if raw_path is None else raw_path.partition(b"?")[0]
    return _AMBIGUOUS.search(raw.decode("latin-1")) is None


def resolve_path(path: str) -> str:
    """Return the path that a server makes of `path` which shortens it by every way there is.

    >>> resolve_path("/static/..%2f/account;v=1")
    '/account'

    Source: RFC 3986, 5.2.4 (dot segments).
    """
    for _ in range(_MAX_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    path = _ENDS.split(path, maxsplit=1)[0].replace("\\", "/")
    kept: list[str] = []
    segments = [segment.partition(";")[0] for segment in path.split("/")]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    is_folder = kept and segments[-1] in ("", ".", "..")
    return "/" + "/".join(kept) + "/" * bool(is_folder)
