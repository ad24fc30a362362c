"""Which URIs a write makes invalid (RFC 9111, 4.4)."""

import pytest

from asgi_serial.cache.key import uri_digest
from asgi_serial.caching.invalidation import invalid_keys

from .making import make_engine, make_plan, make_scope


def paths_of(fields, *headers, **scope):
    """The paths and queries of what a PUT of /a/b has made invalid beside itself."""
    engine = make_engine()
    plan = make_plan(engine, make_scope("PUT", path="/a/b", headers=headers, **scope))
    own, *others = invalid_keys(engine, plan, fields)
    assert own[6] == "/a/b"
    return [f"{key[6]}?{key[8].decode()}" for key in others]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(b"/c", ["/c?"], id="an absolute path"),
        pytest.param(b"c?x=1", ["/a/c?x=1"], id="a relative path with a query"),
        pytest.param(b"?x=1", ["/a/b?x=1"], id="a query alone"),
        pytest.param(b"http://a.example/c", ["/c?"], id="a URI"),
        pytest.param(b"http://A.EXAMPLE/c", ["/c?"], id="a host in capitals"),
        pytest.param(b"http://a.example", ["/?"], id="a URI without a path"),
        pytest.param(b"//a.example/c", ["/c?"], id="a URI without a scheme"),
        pytest.param(b"https://a.example/c", [], id="another scheme"),
        pytest.param(b"http://b.example/c", [], id="another host"),
        pytest.param(b"http://a.example:81/c", [], id="another port"),
        pytest.param(b"http://[x", [], id="no URI at all"),
        pytest.param(b"mailto:a@a.example", [], id="no URI of HTTP"),
        pytest.param(b"/c" * 5000, [], id="too long a URI"),
        pytest.param(b"/c%20d", ["/c d?"], id="an encoded path"),
        pytest.param(b"/\xff", ["/\xff?"], id="bytes that are no ASCII"),
    ],
)
@pytest.mark.parametrize("name", [b"location", b"content-location"])
def test_the_uri_that_a_field_names(name, value, found):
    assert paths_of({name: value}) == found


def test_the_proxy_knows_the_scheme():
    https = (b"x-forwarded-proto", b"https")
    assert paths_of({b"location": b"https://a.example/c"}, https) == ["/c?"]
    assert paths_of({b"location": b"http://a.example/c"}, https) == []


def test_a_server_that_gives_no_raw_path():
    assert paths_of({b"location": b"/c%20d"}, raw_path=None) == ["/c d?"]


def test_both_fields_count():
    fields = {b"location": b"/c", b"content-location": b"/d"}
    assert paths_of(fields) == ["/c?", "/d?"]


def test_the_key_is_that_of_a_request_for_the_uri():
    engine = make_engine()
    plan = make_plan(engine, make_scope("PUT"))
    _, named = invalid_keys(engine, plan, {b"location": b"/c%20d?x=1"})
    scope = make_scope(path="/c d", raw_path=b"/c%20d", query_string=b"x=1")
    asked = make_plan(engine, scope).key
    assert uri_digest(named) == uri_digest(asked)
