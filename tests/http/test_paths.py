import posixpath
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.paths import is_plain, resolve_path


@pytest.mark.parametrize(
    "raw",
    [
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/.%2E/account",
        "/static/../account",
        "/static/./account",
        "/static/..",
        "/..",
        "/.",
        "/static//account",
        "//account",
        "/static/%2Faccount",
        "/static%2f..%2faccount",
        "/static%5c..%5caccount",
        "/static\\..\\account",
        "/static/%252e%252e/account",
        "/static/..%252faccount",
        "/static/%255caccount",
        "/static/..;/account",
        "/account;/a.css",
        "/account;a.css",
        "/account%3ba.css",
        "/account%3fa.css",
        "/account%23a.css",
        "/account%00a.css",
        "/account%0aa.css",
        "/account%7f.css",
        "/account%253fa.css",
    ],
)
def test_a_path_that_a_server_may_take_for_another_is_not_plain(raw: str) -> None:
    assert not is_plain(unquote(raw), raw.encode())


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "/",
        "/static/a.css",
        "/a/b/",
        "/.well-known/security.txt",
        "/a..b/...",
        "/users/ann%40x.org",
        "/caf%C3%A9/two%20words",
        "/100%25",
        "/a+b,c=(d)!$&'*~:@",
        "/items/2024-01-01T00:00:00Z",
    ],
)
def test_an_ordinary_path_is_plain(raw: str) -> None:
    assert is_plain(unquote(raw), raw.encode())
    assert is_plain(unquote(raw))


def test_a_query_that_a_server_leaves_in_the_raw_path_is_no_part_of_it() -> None:
    assert is_plain("/search", b"/search?next=%2Fa%2Fb//../c;d")


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/static/../account", "/account"),
        ("/static/../../../account", "/account"),
        ("/static/..%2faccount", "/account"),
        ("/static/%252e%252e%252faccount", "/account"),
        ("/%2525252e", "/%2e"),
        ("/static\\..\\account", "/account"),
        ("/static/..;x=1/account;v=2", "/account"),
        ("//account", "/account"),
        ("/a/./b/.", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/account?a.css", "/account"),
        ("/account%23a.css", "/account"),
        ("/account\0.css", "/account"),
    ],
)
def test_the_path_that_it_may_be_taken_for(path: str, resolved: str) -> None:
    assert resolve_path(path) == resolved


segments = st.sampled_from(["a", "b.css", "..", ".", "", "..;x", "%2e%2e", "a%2fb", "\\", "é", ";"])
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))


@given(paths)
def test_what_is_plain_is_what_it_resolves_to(path: str) -> None:
    """Dot segments as posixpath removes them (RFC 3986, 5.2.4)."""
    if is_plain(path):
        assert (
            resolve_path(path)
            == path
            == posixpath.normpath(path) + "/" * (path.endswith("/") and path != "/")
        )
    resolved = resolve_path(path)
    assert is_plain(resolved)
    assert resolve_path(resolved) == resolved


@given(st.text(max_size=40))
def test_any_path_resolves_to_a_plain_one(text: str) -> None:
    resolved = resolve_path("/" + text)
    assert resolved.startswith("/")
    if not is_plain(resolved):
        # Decoded as often as anybody does, and still encoded.
        assert "%" in resolved


@given(paths)
def test_encoding_a_path_wholly_does_not_hide_it(path: str) -> None:
    raw = quote(path, safe="/")
    if not is_plain(unquote(raw)):
        assert not is_plain(unquote(raw), raw.encode())
