"""Writes that invalidate their URI, and whose response may be stored for GET."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.writes import invalidates, names_target

TARGET = "http://example.org/a/b?c=d"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"http://example.org/a/b?c=d", id="the URI"),
        pytest.param(b"//example.org/a/b?c=d", id="without its scheme"),
        pytest.param(b"/a/b?c=d", id="its path and query"),
        pytest.param(b"b?c=d", id="relative to it"),
        pytest.param(b"?c=d", id="its query"),
        pytest.param(b"../a/b?c=d", id="by way of another"),
    ],
)
def test_a_location_is_that_of_the_target(value):
    """RFC 9110, 8.7."""
    assert names_target(value, TARGET)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="an empty one"),
        pytest.param(b"https://example.org/a/b?c=d", id="another scheme"),
        pytest.param(b"http://other.org/a/b?c=d", id="another host"),
        pytest.param(b"http://example.org:80/a/b?c=d", id="a port that says nothing"),
        pytest.param(b"http://u@example.org/a/b?c=d", id="a user"),
        pytest.param(b"/a/b", id="no query"),
        pytest.param(b"/a/b?c=e", id="another query"),
        pytest.param(b"/a/B?c=d", id="another path"),
        pytest.param(b"/a/%62?c=d", id="the path written otherwise"),
        pytest.param(b"/a/b/?c=d", id="a slash more"),
        pytest.param(b"/a/b?c=d#e", id="a fragment"),
        pytest.param(b"/a/b?c=d, /a/b?c=d", id="two of them"),
        pytest.param(b"/a/\tb?c=d", id="a tab that parsers drop"),
        pytest.param(b" /a/b?c=d", id="a blank that parsers drop"),
        pytest.param(b"//[/a/b?c=d", id="no URI"),
        pytest.param("/a/b?c=d\u00e9".encode(), id="letters that no URI has"),
        pytest.param(b"./" * 50 + b"b?c=d", id="a longer one"),
    ],
)
def test_a_location_is_another(value):
    assert not names_target(value, TARGET)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_location_or_none(value):
    assert names_target(value, "http://a/") in (True, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "FROBNICATE", "get"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, True), (204, True), (303, True), (399, True), (199, False), (400, False), (500, False)],
)
def test_unsafe_methods_invalidate_where_they_succeed(
    method: str, status: int, expected: bool
) -> None:
    assert invalidates(method, status) is expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND"])
def test_safe_methods_invalidate_nothing(method: str) -> None:
    assert not invalidates(method, 200)
