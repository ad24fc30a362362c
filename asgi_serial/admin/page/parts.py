"""Parts of the page that several sections use: tables, facts, keys of colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from asgi_serial.admin.page.html import Child, Html, tag

LONGEST_TEXT = 200
_MOST_COLUMNS = 7
"""A table of more columns needs a wider screen."""

PHASES = {
    "request-body": ("c1", "request body"),
    "decode": ("c2", "decode"),
    "look-up": ("c3", "look-up"),
    "app-first-byte": ("c4", "app, to its first byte"),
    "app-last-byte": ("c5", "app, to its last byte"),
    "encode": ("c6", "encode"),
    "send": ("c7", "send"),
    "background": ("c8", "background"),
}
"""The class and the words for each phase of a request."""

CACHE = {
    "hit": ("c3", "hit"),
    "validated": ("c2", "validated"),
    "collapsed": ("c5", "collapsed"),
    "stale": ("c8", "stale"),
    "miss": ("c4", "miss"),
    "refresh": ("c7", "refresh"),
    "bypass": ("c1", "bypass"),
}
"""The class and the words for each way in which the cache takes part."""


class Column(NamedTuple):
    """A column of a table; `sort` is the key by which a link sorts the rows."""

    title: str
    kind: str = "text"  # text, n for numbers, whole for what takes the width of a phone
    sort: str = ""


class Cell(NamedTuple):
    """A cell with content under its main one."""

    content: Child
    note: Child = None


def bounded(text: object) -> str:
    """Return text in one line without control characters, and not too long.

    >>> bounded("a\\x00b" + "c" * 300)[:5], len(bounded("c" * 300))
    ('a?bcc', 200)
    """
    shown = "".join(char if char.isprintable() else "?" for char in str(text)[: LONGEST_TEXT + 1])
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[: LONGEST_TEXT - 1]}…"


def section(id_: str, title: str, *content: Child) -> Html:
    """Return a section that its heading names, for links and for screen readers."""
    heading = tag("h2", title, id=f"{id_}-title")
    return tag("section", heading, content, id=id_, aria_labelledby=f"{id_}-title")


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Child | Cell]],
    *,
    sorted_by: str = "",
    link: Any = None,
) -> Html:
    """Return a table whose first column names its rows.

    The roles stand for what a browser forgets when a narrow screen turns rows into cards.
    """
    head = tag("tr", [_heading(one, sorted_by, link) for one in columns], role="row")
    body = [
        tag(
            "tr",
            [
                _cell(one, cell, is_first=one is columns[0])
                for one, cell in zip(columns, row, strict=True)
            ],
            role="row",
        )
        for row in rows
    ]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", head, role="rowgroup"),
        tag("tbody", body, role="rowgroup"),
        role="table",
        class_="wide" if len(columns) > _MOST_COLUMNS else None,
    )


def _heading(column: Column, sorted_by: str, link: Any) -> Html:
    is_sorted = bool(column.sort) and column.sort == sorted_by
    title: Child = column.title
    if column.sort and link is not None:
        title = tag("a", title, " ▾" if is_sorted else None, href=link(column.sort))
    kinds = [column.kind if column.kind == "n" else "", "sortable" if column.sort else ""]
    return tag(
        "th",
        title,
        scope="col",
        role="columnheader",
        class_=" ".join(filter(None, kinds)) or None,
        aria_sort=("ascending" if column.sort == "route" else "descending") if is_sorted else None,
    )


def _cell(column: Column, cell: Child | Cell, *, is_first: bool) -> Html:
    content, note = cell if isinstance(cell, Cell) else (cell, None)
    shown = [content, None if note is None else tag("span", note, class_="note")]
    if is_first:
        return tag("th", shown, scope="row", role="rowheader", class_="text")
    kind = "none" if content is None or content == "" else column.kind
    return tag("td", shown, role="cell", class_=kind, data_label=column.title or None)


def facts(pairs: Iterable[tuple[Child, Child]]) -> Html:
    """Return names with their values."""
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def key(entries: Iterable[tuple[str, Child]]) -> Html:
    """Return the meaning of colours; each entry has a class and its words."""
    square = "0 0 1 1"
    return tag(
        "ul",
        [
            tag(
                "li",
                tag(
                    "svg",
                    tag("rect", width=1, height=1, class_=class_),
                    viewBox=square,
                    aria_hidden="true",
                ),
                words,
            )
            for class_, words in entries
        ],
        class_="key",
    )


def list_shares(parts: Iterable[tuple[str, float]], whole: float) -> str:
    """Return the shares of a whole in words, the largest first, without those under 1 %.

    >>> list_shares([("app", 30), ("encode", 69.5), ("send", 0.5)], 100)
    'encode 70 %, app 30 %'
    """
    ordered = sorted(parts, key=lambda part: -part[1])
    return ", ".join(
        f"{words} {100 * size / whole:.0f} %" for words, size in ordered if size >= 0.01 * whole > 0
    )
