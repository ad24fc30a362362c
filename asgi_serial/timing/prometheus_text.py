"""Metrics as text: the Prometheus text format 0.0.4, and OpenMetrics 1.0.0."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

Values: TypeAlias = tuple[str | int, ...]
"""The values of a family's labels, in their order; an empty one stands for a missing label."""

COUNTER, GAUGE, HISTOGRAM, SUMMARY, INFO = "counter", "gauge", "histogram", "summary", "info"
"""The types of families, as OpenMetrics names them."""

PLAIN_TYPE = "text/plain; version=0.0.4"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0"
"""The media types of the two formats, both of them in UTF-8."""

# OpenMetrics, "Escaping": backslash, line feed and double quote, in label values and in HELP.
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
# Text format, "Comments, help text, and type information": HELP leaves double quotes as they are.
_PLAIN_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

# OpenMetrics, "Counter", "Info": the suffixes that the names of samples have. The older format has
# no notion of a family's name apart from that of its samples.
_SUFFIXES = {COUNTER: "_total", INFO: "_info"}


class Point(NamedTuple):
    """One sample of a metric: the suffix of its name, its value, and the bound of a bucket."""

    suffix: str
    value: float
    bound: str = ""


class Metric(NamedTuple):
    """The samples that share one set of labels."""

    values: Values
    points: tuple[Point, ...]


class Family(NamedTuple):
    """The metrics of one name, without the suffix of its samples, and the names of their labels.

    If there is a unit, the name ends with it.
    """

    name: str
    type: str
    help: str
    unit: str
    labels: tuple[str, ...]
    metrics: list[Metric]

    def label(self, values: Values) -> dict[str, str]:
        """Return the labels that a metric has.

        >>> Family("x", GAUGE, "X.", "", ("a", "b"), []).label((200, ""))
        {'a': '200'}
        """
        pairs = zip(self.labels, values, strict=True)
        return {name: str(value) for name, value in pairs if value != ""}


def format_plain(families: Iterable[Family]) -> bytes:
    """Return families in the text format 0.0.4, which knows no times of creation, units or infos.

    Source: Prometheus, Exposition formats, "Text-based format".
    """
    lines: list[str] = []
    for family in families:
        name = family.name + _SUFFIXES.get(family.type, "")
        kind = GAUGE if family.type == INFO else family.type
        lines.append(f"# HELP {name} {family.help.translate(_PLAIN_HELP_ESCAPES)}")
        lines.append(f"# TYPE {name} {kind}")
        lines += _format_points(family, has_created=False)
    return _encode(lines)


def format_openmetrics(families: Iterable[Family]) -> bytes:
    """Return families in the text format of OpenMetrics 1.0.0.

    Source: OpenMetrics 1.0.0, "Text format".
    """
    lines: list[str] = []
    for family in families:
        lines.append(f"# TYPE {family.name} {family.type}")
        if family.unit:
            lines.append(f"# UNIT {family.name} {family.unit}")
        lines.append(f"# HELP {family.name} {family.help.translate(_ESCAPES)}")
        lines += _format_points(family, has_created=True)
    # "The last line MUST be '# EOF'."
    lines.append("# EOF")
    return _encode(lines)


def format_number(value: float) -> str:
    """Return a number as both formats write it.

    >>> [format_number(value) for value in (3, 0.005, 1.0, float("inf"))]
    ['3', '0.005', '1.0', '+Inf']
    """
    return "+Inf" if value == float("inf") else repr(value)


def _format_points(family: Family, *, has_created: bool) -> Iterator[str]:
    for values, points in family.metrics:
        labels = family.label(values)
        written = ",".join([f'{name}="{_escape(value)}"' for name, value in labels.items()])
        in_braces = f"{{{written}}}" if written else ""
        comma = "," if written else ""
        for suffix, value, bound in points:
            if suffix == "_created" and not has_created:
                continue
            braces = f'{{{written}{comma}le="{bound}"}}' if bound else in_braces
            yield f"{family.name}{suffix}{braces} {format_number(value)}"


def _escape(value: str) -> str:
    if not value.isascii():
        # A path may hold bytes that are no UTF-8, which servers hand over as lone surrogates.
        value = value.encode("utf-8", "backslashreplace").decode()
    return value.translate(_ESCAPES)


def _encode(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
