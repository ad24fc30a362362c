"""What tells users apart, and what says that a response is one user's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.users import find_cookie, make_private, partition_values


@pytest.mark.parametrize(
    ("sources", "fields", "values"),
    [
        pytest.param(["authorization"], {b"authorization": b"x"}, [b"x"], id="a field"),
        pytest.param(["authorization"], {}, None, id="a missing field"),
        pytest.param(["authorization"], {b"authorization": b""}, None, id="an empty field"),
        pytest.param(["cookie:a"], {b"cookie": b"b=1; a=2"}, [b"2"], id="a cookie"),
        pytest.param(["cookie:a"], {b"cookie": b"b=1"}, None, id="another cookie"),
        pytest.param(["cookie:a"], {}, None, id="no cookie at all"),
        pytest.param(["cookie:a"], {b"cookie": b"a=1; a=2"}, None, id="a cookie that stands twice"),
        pytest.param(["cookie:a"], {b"cookie": b"a="}, None, id="an empty cookie"),
        pytest.param(
            ["cookie:a", "x-tenant"],
            {b"cookie": b"a=1", b"x-tenant": b"t"},
            [b"1", b"t"],
            id="both of two",
        ),
        pytest.param(["cookie:a", "x-tenant"], {b"cookie": b"a=1"}, None, id="one of two"),
    ],
)
def test_who_asks(sources, fields, values):
    found = partition_values(sources, fields)
    assert (None if found is None else [value for _, value in found]) == values


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"sid=a", b"a"),
        (b"a=sid; sid=b", b"b"),
        (b"xsid=a", None),
        (b"SID=a", None),
        (b"sid = a ", b"a"),
        (b"sid=a=b", b"a=b"),
        (b"a=1, sid=b", b"b"),
        (b"sid", b""),
    ],
)
def test_cookies_are_found_by_their_whole_name(value, found):
    """Two lines of Cookie come joined by a comma, as other fields do."""
    assert find_cookie(value, b"sid") == found


@given(st.binary(max_size=200), st.binary(max_size=10))
def test_any_bytes_are_a_cookie_field(value, name):
    found = find_cookie(value, name)
    assert found is None or found in value


@pytest.mark.parametrize(
    ("said", "made"),
    [
        (b"", b"private"),
        (b"max-age=60", b"private, max-age=60"),
        (b"public, max-age=60, S-MaxAge=9", b"private, max-age=60"),
        (b'private="x", no-cache', b"private, no-cache"),
        (b"proxy-revalidate, must-revalidate", b"private, must-revalidate"),
    ],
)
def test_a_response_is_made_private(said, made):
    assert make_private(said) == made


@given(st.binary(max_size=100))
def test_whatever_it_said_it_is_private_afterwards(said):
    directives = parse_cache_control(make_private(said))
    assert directives.private
    assert not directives.private_fields
    assert not directives.public
    assert directives.s_maxage is None
