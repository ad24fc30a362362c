"""Templates of routes in one normal form, whose parameters are `{name}`, from each router's own."""

import re

# `<name>`, `<int:name>`, `<any(a, b):name>`.
_ANGLES = re.compile(r"<(?:[^<>:(]*(?:\([^<>]*?\))?:)?([^<>:]+)>")
# `{name}`, `{name:int}`, `{name:int(min=1)}`.
_BRACES = re.compile(r"\{([^{}:]+)(?::[^{}]*)?\}")
_FLAGS = re.compile(r"\(\?[aiLmsux-]+(\)|:)")
_NAMED = re.compile(r"\(\?P[<=](\w+)[>)]")
_REPEATED = re.compile(r"(?:[*+?]|\{\d*,?\d*\})[?+]?")
_AROUND = ("(?=", "(?!", "(?<=", "(?<!", "(?#")
_CLASSES = frozenset("dDwWsSbBAZ")


def from_angles(text: str) -> str:
    """Return a template whose parameters are written `<converter:name>`.

    >>> from_angles("/items/<int(min=1):id>/<name>")
    '/items/{id}/{name}'
    """
    return _ANGLES.sub(r"{\1}", text)


def from_braces(text: str) -> str:
    """Return a template whose parameters are written `{name:converter}`.

    >>> from_braces("/items/{id:int}/{name}")
    '/items/{id}/{name}'
    """
    return _BRACES.sub(r"{\1}", text)


def from_regex(pattern: str) -> str:
    """Return a template from a regular expression: a group is a parameter, and text is text.

    Groups without a name go by their number. A part that is neither is shown as `*`.

    >>> from_regex(r"^items/(?P<id>[0-9]{1,9})(?:/(\\w+))?\\.json$")
    'items/{id}/{2}.json'
    """
    made: list[str] = []
    at = groups = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "(":
            end = _end_of_group(pattern, at)
            text, groups = _of_group(pattern[at:end], groups)
            made.append(text)
            at = end
        elif sign == "[":
            at = _end_of_set(pattern, at)
            made.append("*")
        elif sign == "\\":
            following = pattern[at + 1 : at + 2]
            if following not in ("A", "Z", "b", "B"):
                made.append("*" if following in _CLASSES else following)
            at += 2
        elif (repeated := _REPEATED.match(pattern, at)) is not None:
            at = repeated.end()
        else:
            if sign not in "^$":
                made.append("*" if sign == "." else sign)
            at += 1
    return "".join(made)


def _of_group(group: str, groups: int) -> tuple[str, int]:
    """Return the text that stands for a group, and how many groups are numbered by then."""
    inner = group[1:-1]
    captured = _captures(group)
    if (named := _NAMED.match(group)) is not None:
        return "{" + named[1] + "}", groups + captured
    if group.startswith(_AROUND):
        return "", groups + captured
    if group.startswith("(?:") or group.startswith("(?>"):
        inner = inner[2:]
    elif (flags := _FLAGS.match(group)) is not None:
        inner = group[flags.end() : -1]
    else:
        return "{" + str(groups + 1) + "}", groups + captured
    return ("*" if "|" in inner else _renumbered(inner, groups)), groups + captured


def _renumbered(inner: str, groups: int) -> str:
    """Return the template of what stands in a group that is none itself."""
    text = from_regex(inner)
    return re.sub(r"\{(\d+)\}", lambda found: "{" + str(int(found[1]) + groups) + "}", text)


def _captures(group: str) -> int:
    """Return how many groups are numbered in a part of a pattern."""
    count = at = 0
    while at < len(group):
        if group[at] == "\\":
            at += 2
        elif group[at] == "[":
            at = _end_of_set(group, at)
        else:
            if group[at] == "(" and (
                group[at + 1 : at + 2] != "?" or group[at + 1 : at + 4] == "?P<"
            ):
                count += 1
            at += 1
    return count


def _end_of_group(pattern: str, start: int) -> int:
    """Return where a group ends; at the end of the pattern, if it is not closed."""
    depth, at = 0, start
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "[":
            at = _end_of_set(pattern, at)
            continue
        depth += {"(": 1, ")": -1}.get(pattern[at], 0)
        at += 1
        if depth == 0:
            break
    return at


def _end_of_set(pattern: str, start: int) -> int:
    """Return where a set of characters ends; a `]` that comes first belongs to it."""
    at = start + 1
    if pattern[at : at + 1] == "^":
        at += 1
    at += 1
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1
