"""Text for a terminal."""

from collections.abc import Sequence

_WIDEST = 60


def printable(text: str) -> str:
    """Return `text` in one line without control characters, cut to the width of a column.

    >>> printable("/a\\x1b[31m")
    '/a?[31m'
    """
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 3] + "..."


def format_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns under their headings, the first two and the last aligned to the left.

    >>> print(format_table(["a", "b", "n", "z"], [["/x", "GET", "10", "hit 1"]]))
    a   b     n  z
    /x  GET  10  hit 1
    """
    lines = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    aligned = (
        "  ".join(
            cell.ljust(width) if index < 2 or index == last else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)
