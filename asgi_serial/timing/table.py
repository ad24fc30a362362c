"""Text for a terminal, in at most `WIDTH` columns."""

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
_WIDEST = 60
_NARROWEST = 12
_GAP = "  "
_BLOCKS = "▁▂▃▄▅▆▇█"


def printable(text: str, most: int = _WIDEST) -> str:
    """Return `text` in one line without control characters, cut in its middle to `most`.

    >>> printable("/a\\x1b[31m"), printable("/a/long/path/{id}", 11)
    ('/a?[31m', '/a/lo…/{id}')
    """
    shown = "".join(char if char.isprintable() else "?" for char in text)
    if len(shown) <= most:
        return shown
    head = most // 2
    return f"{shown[:head]}…{shown[len(shown) - (most - head - 1) :]}"


def format_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, ends_in_text: bool = True
) -> str:
    """Return columns under their headings, numbers aligned to the right.

    The first two columns are text, and the last one if `ends_in_text`. If they are wider than WIDTH
    together, the first is cut, and the text in the last one continues on further lines.

    >>> print(format_table(["a", "b", "n", "z"], [["/x", "GET", "10", "hit 1"]]))
    a   b     n  z
    /x  GET  10  hit 1
    """
    lines = [list(headings), *([printable(cell, 1000) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rest = sum(widths[1:-1]) + len(_GAP) * (len(widths) - 1)
    excess = rest + widths[0] + widths[-1] - WIDTH
    if excess > 0 and ends_in_text:
        # A sentence reads well in several lines, a name does not.
        widths[-1] = max(min(widths[-1], _NARROWEST), widths[-1] - excess)
    widths[0] = min(widths[0], max(_NARROWEST, WIDTH - rest - widths[-1]))
    return "\n".join(_line(line, widths, ends_in_text=ends_in_text) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], *, ends_in_text: bool) -> str:
    first, second, *between = [
        printable(cell, width).ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    if not ends_in_text:
        return _GAP.join([first, second, *between]).rstrip()
    start = _GAP.join([first, second, *between[:-1], ""])
    last = textwrap.wrap(cells[-1], widths[-1] or 1) or [""]
    indent = " " * len(start)
    return "\n".join(f"{indent if n else start}{part}".rstrip() for n, part in enumerate(last))


def format_section(title: str, lines: Iterable[str]) -> str:
    """Return a title with its lines below it, each wrapped; nothing if there are none.

    >>> print(format_section("Reasons", ["four " * 20]))
    Reasons
      four four four four four four four four four four four four four four four four four four four
        four
    """
    shown = [
        textwrap.fill(
            # A number stays with its unit.
            line.replace(" %", "\N{NO-BREAK SPACE}%"),
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        ).replace("\N{NO-BREAK SPACE}", " ")
        for line in lines
        if line.strip()
    ]
    return "\n".join([title, *shown]) if shown else ""


def format_columns(values: Sequence[int]) -> str:
    """Return a column for each value, as high as its share of the largest.

    >>> format_columns([0, 1, 8, 4])
    ' ▁█▄'
    """
    peak = max(values, default=0)
    # Rounded up: a column of one request is seen beside one of a million.
    return "".join(
        _BLOCKS[-(-value * len(_BLOCKS) // peak) - 1] if value else " " for value in values
    )
