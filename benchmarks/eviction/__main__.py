"""`python -m benchmarks.eviction`: the table of docs/explanation/eviction.md, and its plot anew."""

from pathlib import Path

from .plot import Lines, Panel, as_svg
from .policies import POLICIES
from .traces import TRACES, Trace

PLOT = Path(__file__).parents[2] / "docs" / "explanation" / "eviction.svg"


def measure(trace: Trace) -> Lines:
    """For each policy, what part of the requests hit at each size of the cache."""
    keys, sizes = trace.make()
    total = sum(dict(zip(keys, sizes, strict=True)).values())

    def ratio(policy: type, share: float) -> float:
        return sum(map(policy(int(share * total)).ask, keys, sizes)) / len(keys)

    return {
        name: tuple([ratio(policy, share) for share in trace.shares])
        for name, policy in POLICIES.items()
    }


def as_rows(panel: Panel) -> str:
    """The rows of a trace in a table of Markdown, in percent."""
    name, shares, lines = panel
    return "\n".join(
        f"| {name}, {share * 100:g} % | " + " | ".join(f"{part * 100:.1f}" for part in parts) + " |"
        for share, *parts in zip(shares, *lines.values(), strict=True)
    )


def main() -> None:
    print(f"| trace, size | {' | '.join(POLICIES)} |\n|---|{'---|' * len(POLICIES)}", flush=True)
    panels = []
    for trace in TRACES:
        panels.append((trace.name, trace.shares, measure(trace)))
        print(as_rows(panels[-1]), flush=True)
    PLOT.write_text(as_svg(panels))


if __name__ == "__main__":
    main()
