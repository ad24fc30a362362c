"""What a write makes invalid is told to other processes as a purge that covers it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache.key import make_key
from asgi_serial.cache.purges import PurgeTable, find_fault, purge_of_uri

AT = 1_800_000_000.0


def key_of(path="/a", *, raw_path=None, query=b"", host=b"a.example", root_path=""):
    scope = {"scheme": "https", "root_path": root_path, "path": path, "raw_path": raw_path}
    return make_key("2 ", scope, "GET", {b"host": host}, query)


def covers(purge, key):
    table = PurgeTable()
    table.add(purge)
    return table.purged_at((), key, None) == AT


@pytest.mark.parametrize(
    ("key", "told"),
    [
        pytest.param(key_of(), ("uri", "/a", "a.example"), id="a path"),
        pytest.param(key_of(query=b"x=1&y"), ("uri", "/a?x=1&y", "a.example"), id="its query"),
        pytest.param(
            key_of("/?", raw_path=b"/%3F"), ("uri", "/%3F", "a.example"), id="an encoded mark"
        ),
        pytest.param(key_of("/é"), ("uri", "/%C3%A9", "a.example"), id="a decoded path"),
        pytest.param(
            key_of(query=b"\xe9#%41"), ("uri", "/a?%E9%23%41", "a.example"), id="bytes of a query"
        ),
        pytest.param(key_of(host=b""), ("uri", "/a", ""), id="no host"),
        pytest.param(key_of(host=b"\xe9"), ("uri", "/a", None), id="a host in other letters"),
        pytest.param(key_of("*"), ("all", "", None), id="no path"),
    ],
)
def test_how_it_is_told(key, told):
    purge = purge_of_uri(key, AT)
    assert purge == (*told, AT)
    assert covers(purge, key)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key_of(query=b"x" * 4096), id="a query"),
        pytest.param(key_of("/" + "é" * 2000), id="a path"),
    ],
)
def test_what_is_too_long_is_told_by_its_digest(key):
    purge = purge_of_uri(key, AT)
    assert (purge.kind, len(purge.value), purge.host) == ("digest", 32, None)
    assert covers(purge, key)
    assert not covers(purge, key_of(query=b"x" * 4097))


@given(
    st.text(st.characters(), max_size=10) | st.text(min_size=4000, max_size=4100),
    st.none() | st.binary(max_size=10).map(b"/a".__add__),
    st.binary(max_size=10),
    st.binary(max_size=10),
    st.sampled_from(["", "/root"]),
)
def test_every_resource_is_covered_and_never_all_others(path, raw_path, query, host, root_path):
    key = key_of("/a" + path, raw_path=raw_path, query=query, host=host, root_path=root_path)
    purge = purge_of_uri(key, AT)
    assert find_fault(purge) is None
    assert covers(purge, key)
    assert not covers(purge, key_of("/b", host=host))
