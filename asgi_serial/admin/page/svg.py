"""The pictures of the page, as SVG that scales with its place.

Each has a title, which screen readers read and browsers show. Sizes stand in attributes, since the
page's Content-Security-Policy allows no style in an element; colours come from classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from asgi_serial.admin.page.html import Html, tag

WIDTH = 100


def draw_columns(values: Sequence[int], peak: int, title: str, class_: str) -> Html:
    """Draw one column for each value, as high as its share of `peak`."""
    step, height = 10, 48
    parts = []
    for place, value in enumerate(values):
        if value:
            # A column is never too low to be seen.
            top = height - max(1.5, height * value / peak)
            parts.append(f"M{place * step + 1} {height}V{top:.4g}h8V{height}z")
    box = f"0 0 {step * max(1, len(values))} {height}"
    base = tag("path", d=f"M0 {height}h{step * max(1, len(values))}", class_="axis")
    return _svg(box, title, f"columns {class_}", base, tag("path", d="".join(parts)))


def draw_bar(parts: Sequence[tuple[str, float]], title: str) -> Html:
    """Draw shares of a whole side by side; each has a class and a size."""
    whole = sum(size for _, size in parts)
    drawn, start = [], 0.0
    for class_, size in parts:
        width = WIDTH * size / whole if whole else 0.0
        if width >= 0.1:
            drawn.append(tag("rect", x=start, width=width, height=10, class_=class_))
        start += width
    return _svg(f"0 0 {WIDTH} 10", title, "bar", *drawn)


def draw_share(share: float, title: str | None = None, class_: str = "share") -> Html:
    """Draw a bar that is filled from the left; without a title for the eye only."""
    width = WIDTH * min(1.0, max(0.0, share))
    rect = tag("rect", width=width, height=10) if width >= 0.1 else None
    return _svg(f"0 0 {WIDTH} 10", title, class_, rect)


class LatencyScale:
    """A logarithmic scale that has room for all durations that are shown."""

    def __init__(self, durations_ms: Sequence[float]) -> None:
        known = [duration for duration in durations_ms if duration > 0] or [1.0]
        self._low = floor(log10(min(known)))
        self._high = max(self._low + 1, ceil(log10(max(known))))

    @property
    def ends(self) -> tuple[float, float]:
        """The shortest and the longest duration of the scale in ms."""
        return 10.0**self._low, 10.0**self._high

    def place(self, duration_ms: float) -> float:
        """Return the place of a duration between 0 and WIDTH."""
        if duration_ms <= 0:
            return 0.0
        share = (log10(duration_ms) - self._low) / (self._high - self._low)
        return WIDTH * min(1.0, max(0.0, share))

    def draw(self, percentiles_ms: Sequence[float], title: str) -> Html:
        """Draw three percentiles: a band from the first to the last, and a mark at each."""
        first, middle, last = map(self.place, percentiles_ms)
        decades = range(self._low, self._high + 1)
        grid = "".join(f"M{self.place(10.0**decade):.4g} 0v16" for decade in decades)
        return _svg(
            f"-2 0 {WIDTH + 4} 16",
            title,
            "strip",
            tag("path", d=grid, class_="axis"),
            tag("rect", x=first, y=6, width=max(0.5, last - first), height=4, class_="band"),
            tag("rect", x=first - 1.5, y=3, width=3, height=10, class_="p50"),
            tag("rect", x=middle - 1, y=4, width=2, height=8, class_="p95"),
            tag("rect", x=last - 1, y=4, width=2, height=8, class_="p99"),
        )


def _svg(box: str, title: str | None, class_: str, *content: Html | None) -> Html:
    name = None if title is None else tag("title", title)
    return tag(
        "svg",
        name,
        content,
        viewBox=box,
        preserveAspectRatio="none",
        class_=class_,
        role=None if title is None else "img",
        aria_hidden="true" if title is None else None,
    )
