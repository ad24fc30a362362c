"""Proactive negotiation of a response's format and content coding (RFC 9110, 12.1)."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from asgi_serial.http.fields import is_token, split_first, split_parameters
from asgi_serial.http.mediatypes import (
    MAX_PARAMETERS,
    MediaType,
    parse_media_type,
    parse_parameter,
    split_essence,
)

_WEIGHT = re.compile(rb"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")

_WEIGHT_NAMES = (b"q=", b"Q=")

# Browsers send at most ten elements. Further ones are ignored, which bounds the cost of a hostile
# field.
MAX_ELEMENTS = 128

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})

# The precedence of a range (RFC 9110, 12.5.1); among equals the one with more parameters wins.
_NAMES_ANY = 0
_NAMES_TYPE = 1
_NAMES_SUBTYPE = 2


class MediaRange(NamedTuple):
    """One element of Accept; `type` and `subtype` may be `*`, `weight` is 0 to 1000."""

    type: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    weight: int


class FormatChoice(NamedTuple):
    """The media type of the response, and whether the client accepts it."""

    media_type: str
    acceptable: bool


class _Match(NamedTuple):
    """The range that decides the weight of a media type; the greatest `closeness` wins."""

    closeness: tuple[int, int]
    position: int
    weight: int


def parse_weight(value: bytes) -> int | None:
    """Return a quality value in thousandths, 0 to 1000; None if it is malformed.

    Source: RFC 9110, 12.4.2.
    """
    if _WEIGHT.fullmatch(value) is None:
        return None
    whole, _, fraction = value.partition(b".")
    return int(whole) * 1000 + int(fraction.ljust(3, b"0"))


def parse_accept(value: bytes) -> tuple[MediaRange, ...]:
    """Return the media ranges of an Accept value in order; malformed ones are skipped.

    Source: RFC 9110, 12.5.1.
    """
    ranges = (_parse_range(element) for element in split_first(value, MAX_ELEMENTS))
    return tuple(one for one in ranges if one is not None)


def _parse_range(element: bytes) -> MediaRange | None:
    names = split_essence(element)
    if names is None or (names[0] == b"*" and names[1] != b"*"):
        return None
    parts = split_parameters(element)[1:] if b";" in element else []
    if len(parts) > MAX_PARAMETERS:
        return None
    parameters = []
    weight: int | None = 1000
    for part in parts:
        # RFC 9110, 12.5.1: a parameter named "q" is the weight, whatever its place. The parameters
        # after it were extensions in RFC 7231, 5.3.2, and have no meaning now.
        if part[:2] in _WEIGHT_NAMES:
            weight = parse_weight(part[2:])
            break
        parameter = parse_parameter(part)
        if parameter is None:
            return None
        parameters.append(parameter)
    return MediaRange(*names, tuple(parameters), weight) if weight is not None else None


def media_weight(ranges: tuple[MediaRange, ...], media_type: MediaType) -> int:
    """Return the weight that the most specific matching range gives; 0 if none matches.

    The lower weight of a repeated range counts, so that no refusal is overlooked. A range with
    `charset=utf-8` matches JSON without a charset, because JSON is always UTF-8.

    Source: RFC 9110, 12.5.1.
    """
    match = _closest(ranges, media_type)
    return match.weight if match is not None else 0


def _closest(ranges: tuple[MediaRange, ...], media_type: MediaType) -> _Match | None:
    best: _Match | None = None
    for position, one in enumerate(ranges):
        closeness = _closeness(one, media_type)
        if closeness is None or (best is not None and closeness < best.closeness):
            continue
        if best is None or closeness > best.closeness or one.weight < best.weight:
            best = _Match(closeness, position, one.weight)
    return best


def _closeness(one: MediaRange, media_type: MediaType) -> tuple[int, int] | None:
    if one.type == b"*":
        kind = _NAMES_ANY
    elif one.type != media_type.type:
        return None
    elif one.subtype == b"*":
        kind = _NAMES_TYPE
    elif one.subtype != media_type.subtype:
        return None
    else:
        kind = _NAMES_SUBTYPE
    for parameter in one.parameters:
        if parameter not in media_type.parameters and not _is_implied(parameter, media_type):
            return None
    return kind, len(one.parameters)


def _is_implied(parameter: tuple[bytes, bytes], media_type: MediaType) -> bool:
    if parameter not in ((b"charset", b"utf-8"), (b"charset", b"utf8")):
        return False
    if media_type.subtype != b"json" and not media_type.subtype.endswith(b"+json"):
        return False
    return all(
        text in (b"utf-8", b"utf8") for name, text in media_type.parameters if name == b"charset"
    )


def choose_format(
    accept: bytes | None, sent: str, offers: tuple[tuple[str, ...], ...]
) -> FormatChoice:
    """Choose the media type of the response: `sent`, or another format that the client prefers.

    `sent` is the media type that the app produces. Each of `offers` holds the names of one other
    format, the canonical name first. Ties go to `sent`, then to the earlier offer.

    A format is offered by the name that the client used: the one with the highest weight, then the
    first in the field, or the canonical name if only a wildcard matched. Naming a format by one
    name covers its other names: a wildcard does not admit under one name a format that the client
    has refused, or ranked lower, by another.

    A missing, empty or entirely malformed field accepts everything. If nothing is acceptable, the
    choice is `sent` with `acceptable` false.

    Source: RFC 9110, 12.5.1.
    """
    ranges = parse_accept(accept) if accept else ()
    sent_type = parse_media_type(sent.encode("latin-1", "replace"))
    if not ranges or sent_type is None:
        return FormatChoice(sent, acceptable=True)
    choice, weight = sent, media_weight(ranges, sent_type)
    for names in offers:
        name, offered = _choose_name(ranges, names)
        if offered > weight:
            choice, weight = name, offered
    return FormatChoice(choice, acceptable=weight > 0)


def prefers(accept: bytes, wanted: tuple[str, ...], sent: tuple[str, ...]) -> bool:
    """Whether a client prefers a format to the one that the app sends.

    Each format is given by all of its names, which are weighed as in `choose_format`. The app's
    format wins a tie, also if the client accepts neither.

    >>> prefers(b"application/json, */*;q=0.5", ("application/json",), ("application/msgpack",))
    True

    Source: RFC 9110, 12.5.1.
    """
    ranges = parse_accept(accept)
    return _choose_name(ranges, wanted)[1] > _choose_name(ranges, sent)[1]


def _choose_name(ranges: tuple[MediaRange, ...], names: tuple[str, ...]) -> tuple[str, int]:
    named: list[tuple[int, int, str]] = []
    by_wildcard: list[tuple[str, int]] = []
    for name in names:
        media_type = parse_media_type(name.encode("latin-1", "replace"))
        match = _closest(ranges, media_type) if media_type is not None else None
        if match is None:
            continue
        if match.closeness[0] == _NAMES_SUBTYPE:
            named.append((-match.weight, match.position, name))
        else:
            by_wildcard.append((name, match.weight))
    if named:
        weight, _, name = min(named)
        return name, -weight
    return by_wildcard[0] if by_wildcard else ("", 0)


def parse_accept_encoding(
    value: bytes, aliases: Mapping[str, str] = _NO_ALIASES
) -> dict[bytes, int]:
    """Return the weight of each coding in an Accept-Encoding value, including `*` and `identity`.

    Names are in lower case, and `aliases` are resolved. Malformed elements are skipped. The lower
    weight of a repeated coding counts, so that no refusal is overlooked.

    >>> parse_accept_encoding(b"GZip;q=0.8, br, *;q=0")
    {b'gzip': 800, b'br': 1000, b'*': 0}

    Source: RFC 9110, 12.5.3.
    """
    weights: dict[bytes, int] = {}
    for element in split_first(value, MAX_ELEMENTS):
        coding, *parameters = split_parameters(element) or (b"",)
        weight = element_weight(parameters)
        if weight is None or not is_token(coding):
            continue
        coding = coding.lower()
        # RFC 9110, 8.4.1.3: a recipient should consider "x-gzip" to be equivalent to "gzip".
        alias = aliases.get(coding.decode("ascii"))
        if alias is not None:
            coding = alias.encode()
        weights[coding] = min(weight, weights.get(coding, 1000))
    return weights


def element_weight(parameters: list[bytes]) -> int | None:
    """Return the weight that the parameters of an element state; None if they are malformed."""
    if not parameters:
        return 1000
    if len(parameters) > 1 or parameters[0][:2] not in _WEIGHT_NAMES:
        return None
    return parse_weight(parameters[0][2:])


def choose_coding(
    value: bytes | None, available: tuple[str, ...], aliases: Mapping[str, str] = _NO_ALIASES
) -> str:
    """Choose one of the `available` codings, which are in the server's order; "" for none.

    `aliases` maps other names of codings to the names in `available`.

    The highest weight wins; the server's order decides among equals. `*` stands for the codings
    that are not named. Identity is used if no coding is accepted, or if it is named with a higher
    weight. A client without the field has not asked for a coding, and gets none, though RFC 9110
    would allow any.

    Source: RFC 9110, 12.5.3.
    """
    if not value:
        return ""
    weights = parse_accept_encoding(value, aliases)
    others = weights.get(b"*", 0)
    best, best_weight = "", 0
    for coding in available:
        weight = weights.get(coding.encode(), others)
        if weight > best_weight:
            best, best_weight = coding, weight
    return best if best_weight >= weights.get(b"identity", 0) else ""


def refuses_identity(value: bytes) -> bool:
    """Whether a client with this Accept-Encoding refuses a response without a content coding.

    >>> refuses_identity(b"gzip, *;q=0"), refuses_identity(b"gzip, identity, *;q=0")
    (True, False)

    Source: RFC 9110, 12.5.3: identity is acceptable unless `identity;q=0` excludes it, or `*;q=0`
    without a more specific entry for identity.
    """
    weights = parse_accept_encoding(value)
    return weights.get(b"identity", weights.get(b"*", 1000)) == 0
