"""Choose one of a few values for a request field, so that few variants of a response are stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asgi_serial.http.field_names import (
    HARMLESS_PREFIXES,
    OF_BROWSERS,
    OF_CLIENTS,
    REQUEST_FIELDS,
)
from asgi_serial.http.fields import split_first, split_parameters
from asgi_serial.http.negotiation import MAX_ELEMENTS, element_weight
from asgi_serial.http.request_fields import Meaning, canonical_name, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LANGUAGES = b"accept-language"

# RFC 4647, 2.1: a language range is a tag of letters and digits, or `*`.
_RANGE = re.compile(rb"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*+|\*")

# RFC 8470: an app that must not act on early data has to see this.
_UNCHANGED = frozenset({b"accept-charset", b"accept-datetime", b"early-data"})


def may_be_chosen(name: bytes) -> bool:
    """Whether the app may be shown one of a few values of this request field.

    Not if the middleware reads the field itself, if it identifies users or routes the request, or
    if it is about one message, connection or path of proxies.
    """
    if name in REQUEST_FIELDS or name in _UNCHANGED or name != canonical_name(name):
        return False
    if name in OF_CLIENTS or name in OF_BROWSERS or name.startswith(HARMLESS_PREFIXES):
        return True
    return meaning_of(name) is Meaning.UNKNOWN


def choose_value(name: bytes, offered: tuple[bytes, ...], value: bytes | None) -> bytes:
    """Return the offered value that stands for a field's combined value; None if it is missing.

    The languages of Accept-Language are negotiated. The value of any other field is the one that is
    equal to it, in any case. The first stands for all that is not offered.

    >>> choose_value(b"x-country", (b"US", b"DE"), b"de")
    b'DE'
    """
    if name == LANGUAGES:
        return choose_language(offered, value or b"")
    sent = b"" if value is None else value.strip(b" \t").lower()
    return next((one for one in offered if one.lower() == sent), offered[0])


def choose_language(offered: tuple[bytes, ...], value: bytes) -> bytes:
    """Return the offered language tag that an Accept-Language value asks for, or the first.

    Each range is tried in the order of the weights: as it is, then truncated from its end, then as
    the beginning of a tag. So `de-AT` gets `de`, and `de` gets `de-DE` if there is no `de`.

    >>> choose_language((b"en", b"de"), b"fr, de-CH;q=0.8, en;q=0.5")
    b'de'

    Source: RFC 4647, 3.4 (Lookup) and 3.3.1 (Basic Filtering); RFC 9110, 12.5.4.
    """
    weights = parse_accept_language(value)
    tags = [(tag.lower(), tag) for tag in offered]
    # RFC 9110, 12.4.2: "a value of 0 means 'not acceptable'".
    if 0 in weights.values():
        tags = [(key, tag) for key, tag in tags if not _is_refused(key, weights)]
    # RFC 4647, 3.4: `*` is skipped; if nothing else is found, there is the default.
    ranges = [one for one, weight in weights.items() if weight and one != b"*"]
    most = max([key.count(b"-") for key, _ in tags], default=0) + 1
    known = dict(tags)
    for one in sorted(ranges, key=weights.__getitem__, reverse=True):
        steps = list(_truncations(one, most))
        for step in steps:
            if step in known:
                return known[step]
        for step in steps:
            for key, tag in tags:
                if key.startswith(step + b"-"):
                    return tag
    return tags[0][1] if tags else offered[0]


def parse_accept_language(value: bytes) -> dict[bytes, int]:
    """Return the weight of each language range in an Accept-Language value, in lower case.

    Malformed elements are skipped. The lower weight of a repeated range counts, so that no refusal
    is overlooked. Only the first MAX_ELEMENTS ranges of a long value are read.

    >>> parse_accept_language(b"de-CH, de;q=0.9, *;q=0")
    {b'de-ch': 1000, b'de': 900, b'*': 0}

    Source: RFC 9110, 12.5.4.
    """
    weights: dict[bytes, int] = {}
    for element in split_first(value, MAX_ELEMENTS):
        one, *parameters = split_parameters(element) or (b"",)
        weight = element_weight(parameters)
        if weight is not None and _RANGE.fullmatch(one):
            one = one.lower()
            weights[one] = min(weight, weights.get(one, 1000))
    return weights


def _truncations(one: bytes, most: int) -> Iterator[bytes]:
    """Yield a range, then what is left of it without its last subtags; at most `most` subtags.

    RFC 4647, 3.4: "Single letter or digit subtags (including both the letter 'x', which introduces
    private-use sequences, and the subtags that introduce extensions) are removed at the same time
    as their closest trailing subtag."
    """
    subtags: Sequence[bytes] = one.split(b"-")
    for count in range(min(len(subtags), most), 0, -1):
        if count == 1 or len(subtags[count - 1]) > 1:
            yield b"-".join(subtags[:count])


def _is_refused(tag: bytes, weights: dict[bytes, int]) -> bool:
    """Whether the closest range that matches a tag has the weight 0 (RFC 4647, 3.3.1)."""
    subtags = tag.split(b"-")
    for count in range(len(subtags), 0, -1):
        weight = weights.get(b"-".join(subtags[:count]))
        if weight is not None:
            return weight == 0
    return weights.get(b"*") == 0
