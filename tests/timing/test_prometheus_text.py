"""Both text formats are what their parsers read back, whatever the labels hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as openmetrics

from asgi_serial.timing.prometheus_text import (
    Family,
    Metric,
    Point,
    format_openmetrics,
    format_plain,
)

CREATED = 1_700_000_000.5
POINTS = {
    "counter": (Point("_total", 3), Point("_created", CREATED)),
    "gauge": (Point("", 2.5),),
    "histogram": (
        *(Point("_bucket", 1, "0.005"), Point("_bucket", 2, "+Inf"), Point("_count", 2)),
        *(Point("_sum", 0.25), Point("_created", CREATED)),
    ),
    "summary": (Point("_count", 2), Point("_sum", 900), Point("_created", CREATED)),
    "info": (Point("_info", 1),),
}


def family(kind, labels=(), unit="seconds", description="Help."):
    name = "work" if kind == "info" or not unit else f"work_{unit}"
    return Family(
        name,
        kind,
        description,
        "" if kind == "info" else unit,
        tuple(name for name, _ in labels),
        [Metric(tuple(value for _, value in labels), POINTS[kind])],
    )


def read(text, parser):
    (found,) = parser.text_string_to_metric_families(text.decode())
    return found


def samples_of(found):
    return [(one.name, one.labels, one.value) for one in found.samples]


def written(kind, labels=(), *, has_created):
    """The samples of a family as a reader should find them."""
    one = family(kind, labels)
    return [
        (one.name + suffix, {**dict(labels), **({"le": bound} if bound else {})}, value)
        for suffix, value, bound in POINTS[kind]
        if has_created or suffix != "_created"
    ]


@pytest.mark.parametrize("kind", POINTS)
def test_openmetrics_gives_type_unit_help_and_times_of_creation(kind):
    text = format_openmetrics([family(kind, (("a", "b"),))])
    found = read(text, openmetrics)
    assert (found.type, found.documentation) == (kind, "Help.")
    assert found.unit == ("" if kind == "info" else "seconds")
    assert samples_of(found) == written(kind, (("a", "b"),), has_created=True)
    assert text.endswith(b"\n# EOF\n")


@pytest.mark.parametrize("kind", POINTS)
def test_the_older_format_gives_type_and_help(kind):
    text = format_plain([family(kind, (("a", "b"),))])
    found = read(text, plain)
    assert (found.type, found.documentation) == ("gauge" if kind == "info" else kind, "Help.")
    assert samples_of(found) == written(kind, (("a", "b"),), has_created=False)
    assert b"_created" not in text
    assert b"EOF" not in text


@pytest.mark.parametrize(
    ("value", "in_text"),
    [
        ("/a/{id}", b'l="/a/{id}"'),
        ('say "hi"', rb'l="say \"hi\""'),
        ("C:\\new", rb'l="C:\\new"'),
        ("two\nlines", rb'l="two\nlines"'),
        ("Größe", 'l="Größe"'.encode()),
        ("\udcff", rb'l="\\udcff"'),
        ('\udcff"', rb'l="\\udcff\""'),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("format_", [format_plain, format_openmetrics])
def test_label_values_are_escaped(value, in_text, format_):
    assert in_text in format_([family("gauge", (("l", value),))])


@pytest.mark.parametrize("format_", [format_plain, format_openmetrics])
def test_a_label_without_a_value_is_left_out(format_):
    assert b"\nwork_seconds 2.5\n" in format_([family("gauge", (("l", ""),))])


@given(value=st.text(min_size=1), other=st.text(min_size=1))
def test_any_label_values_come_back_as_they_were(value, other):
    labels = (("a", value), ("b", other))
    for format_, parser, has_created in (
        (format_plain, plain, False),
        (format_openmetrics, openmetrics, True),
    ):
        found = read(format_([family("histogram", labels)]), parser)
        assert samples_of(found) == written("histogram", labels, has_created=has_created)


@given(description=st.text())
def test_any_description_comes_back_in_openmetrics(description):
    text = format_openmetrics([family("gauge", description=description)])
    assert read(text, openmetrics).documentation == description


def test_a_description_keeps_its_quotes_in_the_older_format():
    text = format_plain([family("gauge", description='a "b" \\ c\nd')])
    assert b'# HELP work_seconds a "b" \\\\ c\\nd\n' in text


@pytest.mark.parametrize(
    ("value", "shown"), [(7, "7"), (0.1, "0.1"), (1e-09, "1e-09"), (float("inf"), "+Inf")]
)
def test_numbers_are_written_so_that_both_formats_read_them(value, shown):
    text = format_openmetrics(
        [Family("x", "gauge", "X.", "", (), [Metric((), (Point("", value),))])]
    )
    assert f"\nx {shown}\n" in text.decode()


def test_nothing_at_all_is_an_empty_document():
    assert format_plain([]) == b""
    assert format_openmetrics([]) == b"# EOF\n"
