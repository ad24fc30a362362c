"""Names, each of which may end in `*` to stand for all that begin with it."""

import re
from collections.abc import Callable, Iterable


def may_be_one(name: str, other: str) -> bool:
    """Whether something may have both names.

    >>> may_be_one("_ga", "_g*"), may_be_one("_ga_*", "_ga")
    (True, False)
    """
    stem, other_stem = name.removesuffix("*"), other.removesuffix("*")
    return (
        name == other
        or (other != other_stem and stem.startswith(other_stem))
        or (name != stem and other_stem.startswith(stem))
    )


def name_matcher(names: Iterable[str]) -> Callable[[bytes], bool]:
    """Return a function that says whether a name is one of these.

    >>> is_named = name_matcher(["x-request-id", "x-ratelimit-*"])
    >>> is_named(b"x-ratelimit-left"), is_named(b"x-request-ids")
    (True, False)
    """
    known = [*names]
    whole = frozenset(name.encode() for name in known if not name.endswith("*"))
    beginnings = tuple(name[:-1].encode() for name in known if name.endswith("*"))
    return lambda name: name in whole or name.startswith(beginnings)


def any_spelling(text: str) -> bytes:
    """Return a pattern for all spellings of a text, as parsers of queries decode them.

    RFC 3986, 2.1 and 2.3: any octet may be percent-encoded, with digits in either case.
    """
    return b"".join(
        rb"(?:%b|%%%b)" % (re.escape(bytes((octet,))), _digits(octet)) for octet in text.encode()
    )


def _digits(octet: int) -> bytes:
    digits = f"{octet:02x}"
    return "".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in digits).encode()
