"""Draw the figures of `bench` as SVG: bars for bytes and for time, from zero, with their values."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from asgi_serial.timing.units import format_bytes, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asgi_serial.cli.bench_variants import Figures

_WIDTH = 960
_LABEL, _BAR, _VALUE = 200, 250, 110
_ROW, _HEAD, _FOOT = 22, 64, 26

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.head { font-weight: 600; font-size: 15px; }
.axis { fill: #59636e; font-size: 12px; }
.identity { fill: #8c959f; } .gzip, .deflate { fill: #bf8700; }
.br { fill: #1a7f37; } .zstd { fill: #0969da; }
.faint { opacity: .35; }
.line { stroke: #d1d9e0; } .dashed { stroke-dasharray: 3 3; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .axis { fill: #9198a1; } .line { stroke: #3d444d; }
  .paper { fill: #0d1117; } .identity { fill: #7d8590; } .gzip, .deflate { fill: #d29922; }
  .br { fill: #3fb950; } .zstd { fill: #4493f8; }
}
"""


def draw(panels: Sequence[tuple[str, Sequence[Figures]]], *, title: str) -> str:
    """Return an SVG with one panel for each path.

    The second column is the CPU time of a request, if it is known, else the time that it takes.
    """
    parts: list[str] = []
    top = 44
    for path, figures in panels:
        parts.append(_panel(path, figures, top))
        top += _HEAD + _ROW * len(figures) + _FOOT
    summary = f"Bytes and time of {len(panels)} path{'' if len(panels) == 1 else 's'}: {title}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        f'width="{_WIDTH}" height="{top}" role="img">\n<title>{_written(summary)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDTH}" height="{top}"/>\n'
        f'<text class="head" x="16" y="28">{_written(title)}</text>\n{"".join(parts)}</svg>\n'
    )


def _panel(path: str, figures: Sequence[Figures], top: int) -> str:
    has_cpu = all(one.cpu_seconds is not None for one in figures)
    times = [one.cpu_seconds if has_cpu and one.cpu_seconds else one.seconds for one in figures]
    widest, longest = max(one.size for one in figures) or 1, max(times) or 1.0
    bytes_x, time_x = 16 + _LABEL, 16 + _LABEL + _BAR + _VALUE
    what = "CPU time of a request, the app's included" if has_cpu else "time of a request"
    bottom = top + _HEAD + _ROW * len(figures)
    rows = [
        f'<text class="head" x="16" y="{top + 24}">{_written(path)}</text>\n'
        f'<text class="axis" x="{bytes_x}" y="{top + 48}">bytes of the body as sent</text>\n'
        f'<text class="axis" x="{time_x}" y="{top + 48}">{what}</text>\n'
        f'<line class="line" x1="16" x2="{_WIDTH - 16}" y1="{top + 56}" y2="{top + 56}"/>\n'
    ]
    for x, share in ((bytes_x, figures[0].size / widest), (time_x, times[0] / longest)):
        # The first variant, to which the others are compared.
        at = f"{x + share * _BAR:.1f}"
        rows.append(
            f'<line class="line dashed" x1="{at}" x2="{at}" y1="{top + 60}" y2="{bottom}"/>\n'
        )
    for number, (one, seconds) in enumerate(zip(figures, times, strict=True)):
        y = top + _HEAD + number * _ROW
        css = f"{_written(one.coding)}{' faint' if one.note else ''}"
        shown = one.note.partition(": too")[0] or format_duration(1000 * seconds)
        rows.append(
            f'<text x="16" y="{y + 13}">{_written(one.name)}</text>'
            + _bar(bytes_x, y, one.size / widest, css, format_bytes(one.size))
            + _bar(time_x, y, seconds / longest, css, shown)
        )
    return "".join(rows)


def _written(text: str) -> str:
    """Return text as it stands in an XML document, which has no control characters."""
    return escape("".join(char if char.isprintable() else "?" for char in text))


def _bar(x: float, y: float, share: float, css: str, text: str) -> str:
    width = max(1.0, share * _BAR)
    return (
        f'<rect class="{css}" x="{x}" y="{y + 2}" width="{width:.1f}" height="14" rx="2"/>'
        f'<text class="axis" x="{x + width + 6:.1f}" y="{y + 13}">{_written(text)}</text>\n'
    )
