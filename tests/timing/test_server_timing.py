import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.timing.server_timing import format_server_timing


@pytest.mark.parametrize(
    ("durations", "descriptions", "expected"),
    [
        pytest.param({}, {}, b"", id="nothing"),
        pytest.param({"app": 1_234_567}, {}, b"app;dur=1.235", id="a duration in ns"),
        pytest.param({"app": 0}, {}, b"app;dur=0.000", id="no time at all"),
        pytest.param({}, {"cache": "hit"}, b"cache;desc=hit", id="a description"),
        pytest.param(
            {"a": 1_000_000, "b": 2_000_000},
            {"b": "two words", "c": ""},
            b'a;dur=1.000, b;desc="two words";dur=2.000, c;desc=""',
            id="both, in order",
        ),
        pytest.param({"a b,c": 0}, {}, b"a-b-c;dur=0.000", id="a name that is no token"),
        pytest.param({"": 0}, {}, b"-;dur=0.000", id="an empty name"),
        pytest.param({}, {"a": 'x"\r\nSet-Cookie: y\\'}, b'a;desc="xSet-Cookie: y"', id="a line"),
    ],
)
def test_metrics_are_written_as_the_field_wants_them(durations, descriptions, expected):
    assert format_server_timing(durations, descriptions) == expected


@given(st.dictionaries(st.text(), st.integers(0)), st.dictionaries(st.text(), st.text()))
def test_any_names_and_descriptions_make_a_printable_line(durations, descriptions):
    assert all(32 <= byte < 127 for byte in format_server_timing(durations, descriptions))
