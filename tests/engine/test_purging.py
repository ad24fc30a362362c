"""What a purge over HTTP may ask for, and why another is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.admin.purge_request import MAX_BODY_BYTES, Refusal, read_purge
from asgi_serial.cache.purges import Purge, PurgeTable

from .making import NOW


def read(document):
    """What is read of a document: (kind, value, host) of each purge, or the problem."""
    found = read_purge(json.dumps(document).encode(), NOW)
    if isinstance(found, Refusal):
        return found
    assert all(purge.at == NOW for purge in found)
    return [purge[:3] for purge in found]


@pytest.mark.parametrize(
    ("document", "purges"),
    [
        pytest.param({"tags": ["a", "é"]}, [("tag", "a", None), ("tag", "é", None)], id="tags"),
        pytest.param({"tags": ["http://a/"]}, [("tag", "http://a/", None)], id="a tag like a URI"),
        pytest.param({"uris": ["/a?x=1"]}, [("uri", "/a?x=1", None)], id="a path with a query"),
        pytest.param({"uris": ["//a.b/c"]}, [("uri", "//a.b/c", None)], id="a path of two slashes"),
        pytest.param(
            {"uris": ["https://A.Example/B?c"]}, [("uri", "/B?c", "a.example")], id="a URI"
        ),
        pytest.param({"uris": ["HTTP://a"]}, [("uri", "/", "a")], id="a URI without a path"),
        pytest.param({"uris": ["http://a?b"]}, [("uri", "/?b", "a")], id="and with a query"),
        pytest.param({"uris": ["http://a:80/b"]}, [("uri", "/b", "a")], id="the port of http"),
        pytest.param({"uris": ["https://a:443/"]}, [("uri", "/", "a")], id="the port of https"),
        pytest.param({"uris": ["https://a:/"]}, [("uri", "/", "a")], id="an empty port"),
        pytest.param({"uris": ["http://a:08080"]}, [("uri", "/", "a:8080")], id="another port"),
        pytest.param({"uris": ["http://[::A]:81/"]}, [("uri", "/", "[::a]:81")], id="an address"),
        pytest.param({"uris": ["http://a/b\n@c"]}, [("uri", "/b\n@c", "a")], id="any path"),
        pytest.param({"prefixes": ["/a/"]}, [("prefix", "/a/", None)], id="a prefix"),
        pytest.param({"prefixes": ["http://a"]}, [("prefix", "/", "a")], id="all of a host"),
        pytest.param({"everything": True}, [("all", "", None)], id="everything"),
        pytest.param(
            {"everything": False, "tags": [], "uris": ["/"]}, [("uri", "/", None)], id="empty rest"
        ),
        pytest.param(
            {"tags": ["a"], "prefixes": ["/b"], "everything": True},
            [("tag", "a", None), ("prefix", "/b", None), ("all", "", None)],
            id="several kinds",
        ),
        pytest.param(
            {"tags": [str(n) for n in range(1000)]},
            [("tag", str(n), None) for n in range(1000)],
            id="as many as may be",
        ),
    ],
)
def test_what_is_asked_for(document, purges):
    assert read(document) == purges


@pytest.mark.parametrize(
    ("document", "says"),
    [
        pytest.param({}, "nothing", id="nothing"),
        pytest.param({"tags": [], "everything": False}, "nothing", id="empty lists"),
        pytest.param([], "not a JSON object", id="a list"),
        pytest.param({"tag": ["a"]}, "'tag'", id="an unknown member"),
        pytest.param({"tags": "a"}, "tags is 'a'; expected a list", id="a string for a list"),
        pytest.param({"uris": ["/", 1]}, "uris is ['/', 1.0]", id="a number in a list"),
        pytest.param({"everything": 1}, "everything is 1", id="a number for true"),
        pytest.param({"everything": None}, "everything is None", id="null for true"),
        pytest.param({"tags": [""]}, "The tag '' is empty", id="an empty tag"),
        pytest.param({"uris": [""]}, "'' is neither", id="an empty URI"),
        pytest.param({"uris": ["a/b"]}, "'a/b' is neither", id="a relative path"),
        pytest.param({"uris": ["ftp://a/b"]}, "is neither", id="another scheme"),
        pytest.param({"uris": ["http:///a"]}, "is neither", id="no host"),
        pytest.param({"uris": ["http://u:p@a/"]}, "is neither", id="a user"),
        pytest.param({"uris": ["http://a:b/"]}, "is neither", id="a port that is no number"),
        pytest.param({"uris": ["http://[::1/"]}, "is neither", id="half an address"),
        pytest.param({"uris": ["http://a b/"]}, "is neither", id="a blank in a host"),
        pytest.param({"uris": ["http://ä/"]}, "IDNA", id="a host in other letters"),
        pytest.param({"uris": ["/a#b"]}, "fragment", id="a fragment"),
        pytest.param({"prefixes": ["/a?b"]}, "without a query", id="a prefix with a query"),
        pytest.param({"uris": ["/" * 4097]}, "4097 characters", id="too long a path"),
    ],
)
def test_what_is_refused(document, says):
    refusal = read(document)
    assert refusal.status == 400
    assert says in refusal.detail
    assert len(refusal.detail) < 400


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "not JSON", id="no body"),
        pytest.param(b'{"tags": ["a"]', "not JSON", id="half a document"),
        pytest.param(b'{"tags": ["\xe9"]}', "not JSON", id="Latin-1"),
        pytest.param(json.dumps({"tags": ["a"]}).encode("utf-16"), "not JSON", id="UTF-16"),
        pytest.param(b"[" * 60_000, "not JSON", id="nested without end"),
        pytest.param(b"1" * 60_000, "not a JSON object", id="a number without end"),
        pytest.param(b'{"tags": ["a"], "tags": ["b"]}', "repeats a name", id="a member twice"),
        pytest.param(b'{"tags": [{"a": 1, "a": 2}]}', "repeats a name", id="one within, twice"),
    ],
)
def test_what_is_no_document(body, says):
    refusal = read_purge(body, NOW)
    assert refusal.status == 400
    assert says in refusal.detail


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"tags": ["a"]}'.ljust(MAX_BODY_BYTES + 1), id="too long a body"),
        pytest.param(
            json.dumps({"tags": ["a"] * 600, "uris": ["/"] * 400, "everything": True}).encode(),
            id="too many purges",
        ),
    ],
)
def test_what_is_too_much(body):
    assert read_purge(body, NOW).status == 413


def test_a_body_may_be_as_long_as_the_limit():
    assert read_purge(b'{"tags": ["a"]}'.ljust(MAX_BODY_BYTES), NOW) == [
        Purge("tag", "a", None, NOW)
    ]


_TEXT = st.text(st.characters(), max_size=12)
_URIS = st.lists(_TEXT | _TEXT.map("/".__add__) | _TEXT.map("http://".__add__), max_size=3)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.lists(_TEXT, max_size=3),
        "uris": _URIS,
        "prefixes": _URIS,
        "everything": st.booleans() | st.none(),
        "other": st.none(),
    },
)


@given(st.binary(max_size=200) | _DOCUMENTS.map(lambda document: json.dumps(document).encode()))
def test_any_body_is_purges_that_a_table_takes_or_a_problem(body):
    found = read_purge(body, NOW)
    if isinstance(found, Refusal):
        assert found.status in (400, 413)
    else:
        table = PurgeTable()
        for purge in found:
            table.add(purge)
        assert table.epoch == len(found) > 0
