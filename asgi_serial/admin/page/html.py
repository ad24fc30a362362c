"""Write HTML from Python values; the only place where text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

# HTML forbids most of these, and terminals that show the page's source obey some.
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {9, 10}, "\N{REPLACEMENT CHARACTER}")

_VOID = frozenset({"meta", "link", "input", "br", "hr"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Html | Iterable[Child] | None"
"""Text, which is escaped; HTML; several of both; None for nothing."""

Value: TypeAlias = str | int | float | None
"""The value of an attribute: True for one without a value, False or None to leave it out."""


def tag(element: str, /, *children: Child, **attributes: Value) -> Html:
    """Return an element.

    Underscores in the names of attributes stand for hyphens, one at their end for nothing.

    >>> tag("a", "<b>", href='/?a="1"', class_="x", hidden=False)
    '<a href="/?a=&quot;1&quot;" class="x">&lt;b&gt;</a>'
    """
    opening = f"<{element}{''.join(map(_attribute, attributes, attributes.values()))}>"
    if element in _VOID:
        return Html(opening)
    return Html(f"{opening}{join(children)}</{element}>")


def join(children: Child) -> Html:
    """Return children behind each other.

    >>> join(["1 < 2", tag("br"), None, 3])
    '1 &lt; 2<br>3'
    """
    if children is None:
        return Html()
    if isinstance(children, Html):
        return children
    if isinstance(children, str | int):
        return _escape(str(children))
    return Html("".join(map(join, children)))


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f' {name}="{_escape(shown)}"'


def _escape(text: str) -> Html:
    return Html(escape(text.translate(_CONTROLS)))
