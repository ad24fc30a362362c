"""Fields are taken out of a message by name, whatever the number of their lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.headers import combine_fields, without, without_fields

NAMES = frozenset({b"accept", b"content-length", b"content-encoding"})

lines = st.lists(
    st.tuples(
        st.sampled_from([b"accept", b"content-length", b"host", b"cookie"]),
        st.sampled_from([b"", b"5", b"5, 5", b"a, b", b"a", b"b"]),
    )
)


@pytest.mark.parametrize(
    ("pairs", "left"),
    [
        pytest.param([], [], id="no field"),
        pytest.param([(b"host", b"a")], [(b"host", b"a")], id="none of them"),
        pytest.param([(b"accept", b"a"), (b"host", b"a")], [(b"host", b"a")], id="a line of one"),
        pytest.param(
            [(b"accept", b"a"), (b"host", b"a"), (b"accept", b"b"), (b"content-length", b"5")],
            [(b"host", b"a")],
            id="several lines of one",
        ),
        pytest.param(
            [(b"accept", b"a"), (b"accept", b"a")], [], id="equal lines, which the value combines"
        ),
    ],
)
def test_fields_are_taken_out_by_name(pairs, left):
    given_pairs = list(pairs)
    assert without_fields(pairs, NAMES, combine_fields(pairs)) == left
    assert pairs == given_pairs


@given(lines)
def test_lines_found_by_value_are_those_found_by_name(pairs):
    assert without_fields(pairs, NAMES, combine_fields(pairs)) == without(pairs, NAMES)
