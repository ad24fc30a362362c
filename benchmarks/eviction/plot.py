"""Hit ratios as one SVG: a panel for each trace, a line for each policy."""

from html import escape
from math import ceil, floor

COLUMNS = 4
WIDTH, HEIGHT = 250, 210  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 42, 20, 34, 34  # the margins of what is drawn in it
COLOURS = ("#d62728", "#ff9896", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#999999", "#000000")

Lines = dict[str, tuple[float, ...]]
Panel = tuple[str, tuple[float, ...], Lines]


def as_svg(panels: list[Panel]) -> str:
    """A picture of the panels (name, shares, ratios by policy), and of what the colours mean."""
    rows = ceil((len(panels) + 1) / COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT
    places = [(i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT) for i in range(len(panels) + 1)]
    drawn = [draw_panel(panel) for panel in panels]
    drawn.append(draw_legend(list(panels[0][2])))
    body = "\n".join(
        f'<g transform="translate({x} {y})">\n{panel}\n</g>'
        for (x, y), panel in zip(places, drawn, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


def draw_panel(panel: Panel) -> str:
    name, shares, lines = panel
    ratios = [ratio for line in lines.values() for ratio in line]
    bottom, top = floor(min(ratios) * 10) / 10, ceil(max(ratios) * 10) / 10
    step = (WIDTH - LEFT - RIGHT) / (len(shares) - 1)

    def down(ratio: float) -> float:
        return HEIGHT - BOTTOM - (ratio - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="{TOP - 12}" font-size="13">{escape(name)}</text>']
    for tenth in range(round(bottom * 10), round(top * 10) + 1):
        y = down(tenth / 10)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{tenth * 10} %</text>'
        )
    for place, share in enumerate(shares):
        parts.append(
            f'<text x="{LEFT + place * step:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{share * 100:g} %</text>"
        )
    for colour, (policy, line) in zip(COLOURS, lines.items(), strict=True):
        points = " ".join(
            f"{LEFT + place * step:.1f},{down(ratio):.1f}" for place, ratio in enumerate(line)
        )
        parts.append(f'<polyline points="{points}" {pen(policy, colour)}/>')
    return "\n".join(parts)


def draw_legend(policies: list[str]) -> str:
    parts = [
        f'<text x="{LEFT}" y="{TOP - 12}">requests that hit, by size of the cache</text>'
        f'<text x="{LEFT}" y="{TOP + 2}">as a share of all bytes asked for</text>'
    ]
    for place, (colour, policy) in enumerate(zip(COLOURS, policies, strict=True)):
        y = TOP + 20 + 16 * place
        parts.append(
            f'<path d="M{LEFT} {y}h24" {pen(policy, colour)}/>'
            f'<text x="{LEFT + 32}" y="{y + 4}">{escape(policy)}</text>'
        )
    return "\n".join(parts)


def pen(policy: str, colour: str) -> str:
    """How a policy's line is drawn: ours with dots, so that what it lies on is seen."""
    dots = ' stroke-dasharray="1 5" stroke-linecap="round"' if policy == "asgi_serial" else ""
    width = 3.5 if dots else 1.6
    return f'fill="none" stroke="{colour}" stroke-width="{width}"{dots}'
