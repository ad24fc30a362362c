"""Names that may end in `*`."""

import pytest

from asgi_serial.http.names import may_be_one, name_matcher


@pytest.mark.parametrize(
    ("name", "other", "may_be"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("ab", "a*", True),
        ("a*", "ab", True),
        ("a", "ab*", False),
        ("a*", "b*", False),
        ("a*", "ab*", True),
        ("ab*", "a*", True),
        ("a*", "a*", True),
    ],
)
def test_two_names_may_be_one(name, other, may_be):
    assert may_be_one(name, other) is may_be


@pytest.mark.parametrize(
    ("name", "is_named"),
    [
        (b"x-id", True),
        (b"x-ids", False),
        (b"x-rate-", True),
        (b"x-rate-limit", True),
        (b"x-rate", False),
        (b"", False),
        (b"X-Id", False),
    ],
)
def test_a_name_is_one_of_several(name, is_named):
    assert name_matcher(["x-id", "x-rate-*"])(name) is is_named


def test_nothing_is_one_of_none():
    assert not name_matcher([])(b"")
