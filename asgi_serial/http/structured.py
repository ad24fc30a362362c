"""A strict parser for dictionaries of structured fields, and a writer of items (RFC 9651)."""

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

_KEY = re.compile(rb"[a-z*][a-z0-9_\-.*]*+")
# White space and a comma between two members, or the end. A trailing comma is malformed.
_BETWEEN = re.compile(rb"[ \t]*+(?:,[ \t]*+(?!\Z)|\Z)")
_BASE64 = rb"[A-Za-z0-9+/]"
_BARE_ITEM = re.compile(
    b"|".join(
        (
            rb"(?P<decimal>-?[0-9]{1,12}\.[0-9]{1,3})",
            rb"(?P<integer>-?[0-9]{1,15})",
            rb'"(?P<string>(?:[ !\x23-\x5b\x5d-\x7e]++|\\["\\])*+)"',
            rb"(?P<token>[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+)",
            # RFC 9651, 4.2.7: parsers should accept missing padding.
            rb":(?P<binary>(?:" + _BASE64 + rb"{4})*+"
            rb"(?:" + _BASE64 + rb"{3}=?|" + _BASE64 + rb"{2}(?:==)?)?+):",
            rb"\?(?P<boolean>[01])",
            rb"@(?P<date>-?[0-9]{1,15})",
            rb'%"(?P<display>(?:[ !\x23\x24\x26-\x7e]++|%[0-9a-f]{2})*+)"',
        )
    )
)
_ESCAPE = re.compile(r"\\(.)")
_TO_ESCAPE = re.compile(r'["\\]')
_NOT_IN_STRING = re.compile(r"[^ -~]")


class Token(NamedTuple):
    """A token; it differs from a string with the same characters."""

    name: str


class Binary(NamedTuple):
    """A byte sequence, still in base64."""

    base64: bytes


class Date(NamedTuple):
    """A date in epoch seconds."""

    seconds: int


class DisplayString(NamedTuple):
    """A string that may hold any Unicode characters."""

    text: str


BareItem: TypeAlias = bool | int | float | str | Token | Binary | Date | DisplayString

Member: TypeAlias = BareItem | tuple[BareItem, ...]
"""The value of a dictionary's key: an item or an inner list; decimals become floats."""


class _Malformed(ValueError):
    """The value is malformed; never raised beyond this module."""


def parse_dictionary(value: bytes) -> dict[str, Member] | None:
    """Return the members of a dictionary by key; None if any part of it is malformed.

    Several lines must be joined by commas. The last member of a repeated key counts. Parameters
    are checked and dropped.

    >>> parse_dictionary(b'max-age=60, no-cache="set-cookie", immutable;since=@0')
    {'max-age': 60, 'no-cache': 'set-cookie', 'immutable': True}

    Source: RFC 9651, 4.2.2, which reads all that RFC 8941 does.
    """
    try:
        return _read_dictionary(value.strip(b" "))
    except ValueError:
        return None


def format_item(token: str, parameters: Mapping[str, str | int | Token]) -> str:
    """Return a token with its parameters, as a member of a list.

    Characters that a string must not hold are left out.

    >>> format_item("coding", {"did": Token("br"), "of": 'a "b"', "bytes": 3, "whole": True})
    'coding;did=br;of="a \\\\"b\\\\"";bytes=3;whole'

    Source: RFC 9651, 4.1.1.2 and 4.1.3.
    """
    return token + "".join([f";{key}{_format_value(value)}" for key, value in parameters.items()])


def _format_value(value: str | int | Token) -> str:
    if value is True:
        return ""
    if isinstance(value, Token):
        return f"={value.name}"
    if isinstance(value, str):
        return '="' + _TO_ESCAPE.sub(r"\\\g<0>", _NOT_IN_STRING.sub("", value)) + '"'
    return f"={value:d}"


def _read_dictionary(value: bytes) -> dict[str, Member]:
    members: dict[str, Member] = {}
    at = 0
    while at < len(value):
        key, at = _read_key(value, at)
        member: Member = True
        if value.startswith(b"=", at):
            member, at = _read_member(value, at + 1)
        members[key] = member
        between = _BETWEEN.match(value, _skip_parameters(value, at))
        if between is None:
            raise _Malformed
        at = between.end()
    return members


def _read_key(value: bytes, at: int) -> tuple[str, int]:
    match = _KEY.match(value, at)
    if match is None:
        raise _Malformed
    return match[0].decode("ascii"), match.end()


def _read_member(value: bytes, at: int) -> tuple[Member, int]:
    if value.startswith(b"(", at):
        return _read_inner_list(value, at + 1)
    return _read_bare_item(value, at)


def _read_inner_list(value: bytes, at: int) -> tuple[tuple[BareItem, ...], int]:
    items: list[BareItem] = []
    while True:
        start = at
        at = _skip_spaces(value, at)
        if value.startswith(b")", at):
            return tuple(items), at + 1
        if items and at == start:
            raise _Malformed
        item, at = _read_bare_item(value, at)
        at = _skip_parameters(value, at)
        items.append(item)


def _skip_parameters(value: bytes, at: int) -> int:
    while value.startswith(b";", at):
        _, at = _read_key(value, _skip_spaces(value, at + 1))
        if value.startswith(b"=", at):
            _, at = _read_bare_item(value, at + 1)
    return at


def _skip_spaces(value: bytes, at: int) -> int:
    while value.startswith(b" ", at):
        at += 1
    return at


def _read_bare_item(value: bytes, at: int) -> tuple[BareItem, int]:
    match = _BARE_ITEM.match(value, at)
    if match is None or match.lastgroup is None:
        raise _Malformed
    return _convert(match.lastgroup, match[match.lastgroup]), match.end()


def _convert(kind: str, content: bytes) -> BareItem:
    # A number with too many digits matches in part; the caller finds the rest malformed.
    match kind:
        case "integer":
            return int(content)
        case "decimal":
            return float(content)
        case "string":
            return _ESCAPE.sub(r"\1", content.decode("ascii"))
        case "token":
            return Token(content.decode("ascii"))
        case "boolean":
            return content == b"1"
        case "date":
            return Date(int(content))
        case "display":
            return DisplayString(unquote_to_bytes(content).decode("utf-8"))
        case _:
            return Binary(content)
