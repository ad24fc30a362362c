"""Paths that an app, or an origin behind it, may read as a different path."""

import re
from urllib.parse import unquote

# RFC 3986, 5.2.4 removes dot segments. Servers also collapse repeated slashes, decode `%2f` and
# `%5c`, drop parameters after a semicolon, and cut the path at an encoded `?`, `#` or control
# character.
_AMBIGUOUS = re.compile(
    r"//|[\\;\x00-\x1f\x7f]|%(?:2[ef]|5c|3[bf]|23|[01][0-9a-f]|7f)|(?:\A|/)\.{1,2}(?:/|\Z)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[?#\x00-\x1f\x7f]")
# An origin behind two proxies, each of which decodes once. A bound also keeps the work linear: a
# path such as `%2525...` could otherwise be decoded once for every three bytes.
_MAX_DECODINGS = 3


def is_plain(path: str, raw_path: bytes | None = None) -> bool:
    """Whether every server reads the path in the same way.

    `path` has been decoded once; `raw_path` is the path as sent, if known. Some servers leave the
    query in `raw_path`; it is ignored.

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
    """Return the path that remains when every known way to shorten it is applied.

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
