"""Which requests share a key, and that no others do."""

from urllib.parse import parse_qs, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache.key import SCHEMA, make_realm, sorted_query
from asgi_serial.cache.packing import digest_key
from asgi_serial.engine.engine import Engine
from asgi_serial.request.plan import plan_request
from asgi_serial.settings.model import Settings

from .keys import make_key_from

REALM = make_realm("")


def key_of(
    *,
    realm=REALM,
    method="GET",
    scheme="http",
    root_path="",
    path="/a",
    raw_path=b"/a",
    query=b"",
    host=b"example.org",
    proto=None,
    port=None,
    origin=None,
    extra=(),
    body=None,
):
    """The key of one request, each part of which has its name here."""
    scope = {"scheme": scheme, "root_path": root_path, "path": path, "raw_path": raw_path}
    fields = {
        b"host": host,
        b"x-forwarded-proto": proto,
        b"x-forwarded-port": port,
        b"origin": origin,
    }
    given_fields = {name: value for name, value in fields.items() if value is not None}
    scope = {name: value for name, value in scope.items() if value is not None}
    return make_key_from(realm, scope, method, given_fields, query, extra, body)


def pairs(*values):
    """What is configured: fields named by their places, with these values."""
    return tuple([(b"x-%d" % place, value) for place, value in enumerate(values)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"method": "HEAD"}, {"method": "GET"}, id="HEAD is answered by GET"),
        pytest.param({"host": b"Example.ORG"}, {}, id="the host in any case"),
        pytest.param({"host": b"EXAMPLE.ORG:80"}, {"host": b"example.org:80"}, id="with a port"),
        # RFC 9112, 3.3: without a Host field the authority of the target is empty.
        pytest.param({"host": None}, {"host": b""}, id="no host and an empty one"),
        pytest.param(
            {"proto": b"https", "port": b"443"}, {"proto": b"https"}, id="the port that is implied"
        ),
        pytest.param({"proto": b"http", "port": b"80"}, {"proto": b"http"}, id="port 80 likewise"),
    ],
)
def test_requests_that_share_a_key(one, other):
    assert key_of(**one) == key_of(**other)
    assert digest_key(key_of(**one)) == digest_key(key_of(**other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"method": "POST"}, {}, id="another method"),
        pytest.param({"method": "get"}, {}, id="methods are told apart by case"),
        pytest.param({"scheme": "https"}, {}, id="another scheme"),
        pytest.param({"host": b"example.com"}, {}, id="another host"),
        pytest.param({"host": b"example.org:80"}, {}, id="another port"),
        pytest.param({"proto": b"https"}, {}, id="another scheme at the proxy"),
        pytest.param({"port": b"8443"}, {}, id="another port at the proxy"),
        pytest.param({"proto": b"1"}, {"port": b"1"}, id="one proxy field for the other"),
        pytest.param({"proto": b"https", "port": b"80"}, {"proto": b"https"}, id="an odd port"),
        pytest.param({"port": b"443"}, {}, id="a port without a scheme"),
        pytest.param({"proto": b"HTTPS"}, {"proto": b"https"}, id="a proxy that shouts"),
        pytest.param({"proto": b"https,http"}, {"proto": b"https"}, id="two proxies"),
        pytest.param({"origin": b"https://a.example"}, {}, id="a request from another origin"),
        pytest.param({"origin": b"https://a"}, {"origin": b"https://b"}, id="another origin"),
        pytest.param({"origin": b""}, {}, id="an empty origin and none"),
        pytest.param({"root_path": "/v1"}, {}, id="mounted elsewhere"),
        pytest.param({"path": "/A", "raw_path": b"/A"}, {}, id="paths are told apart by case"),
        pytest.param(
            {"path": "/a/b", "raw_path": b"/a/b"},
            {"path": "/a/b", "raw_path": b"/a%2Fb"},
            id="a slash and an encoded slash",
        ),
        pytest.param({"raw_path": None}, {"raw_path": b""}, id="no raw path and an empty one"),
        pytest.param(
            {"root_path": "/a", "path": "/b"}, {"root_path": "", "path": "/a/b"}, id="mount + path"
        ),
        pytest.param(
            {"raw_path": b"/ab", "query": b"c"},
            {"raw_path": b"/a", "query": b"bc"},
            id="a path and a query that run together",
        ),
        pytest.param({"query": b"a=1&b=2"}, {"query": b"b=2&a=1"}, id="another order"),
        pytest.param({"extra": pairs(b"x", None)}, {"extra": pairs(None, b"x")}, id="other fields"),
        pytest.param({"extra": pairs(b"")}, {"extra": pairs(None)}, id="none and an empty one"),
        pytest.param(
            {"extra": pairs(b"de, fr")}, {"extra": pairs(b"de", b"fr")}, id="fields run together"
        ),
        pytest.param(
            {"extra": ((b"x-tenant", b"5"),)}, {"extra": ((b"x-user", b"5"),)}, id="another name"
        ),
        pytest.param({"body": (None, None, b"d")}, {}, id="a body"),
        pytest.param({"body": (None, None, b"d")}, {"body": (None, None, b"e")}, id="another body"),
        pytest.param(
            {"body": (b"a", None, b"d")}, {"body": (b"b", None, b"d")}, id="a body of another type"
        ),
        pytest.param(
            {"body": (b"a", b"gzip", b"d")}, {"body": (b"a", None, b"d")}, id="a body left encoded"
        ),
        pytest.param(
            {"body": (b"a", None, b"d")}, {"extra": pairs(b"a", None, b"d")}, id="a body and fields"
        ),
        pytest.param({"realm": make_realm("other")}, {}, id="another namespace"),
    ],
)
def test_requests_that_have_keys_of_their_own(one, other):
    assert key_of(**one) != key_of(**other)
    assert digest_key(key_of(**one)) != digest_key(key_of(**other))


def test_the_realm_holds_the_revision_of_the_key():
    assert make_realm("shop") == f"{SCHEMA} shop"


SHORT = st.text("aAé/%", max_size=3)
BYTES = st.binary(max_size=3) | st.sampled_from([b"a", b"A", b"a,b", b"%61"])
MAYBE = st.none() | BYTES
REQUESTS = st.fixed_dictionaries(
    {
        "realm": st.sampled_from(["", "x", "x y"]).map(make_realm),
        "method": st.sampled_from(["GET", "HEAD", "POST", "QUERY", "get"]),
        "scheme": st.sampled_from(["http", "https"]),
        "root_path": st.none() | SHORT,
        "path": SHORT,
        "raw_path": MAYBE,
        "query": BYTES,
        "host": MAYBE,
        "proto": MAYBE | st.sampled_from([b"http", b"https"]),
        "port": MAYBE | st.sampled_from([b"80", b"443"]),
        "origin": MAYBE,
        "extra": st.just(()) | st.builds(pairs, MAYBE, MAYBE) | st.builds(pairs, MAYBE),
        "body": st.none() | st.tuples(MAYBE, MAYBE, BYTES),
    }
)


def meaning(request):
    """What the request is, with what is the same by the rules made the same."""
    implied = (request["proto"], request["port"]) in ((b"http", b"80"), (b"https", b"443"))
    return {
        **request,
        "host": (request["host"] or b"").lower(),
        "method": request["method"].replace("HEAD", "GET"),
        "port": None if implied else request["port"],
    }


@given(REQUESTS, st.data())
def test_two_requests_share_a_key_only_where_they_mean_the_same(one, data):
    # The other differs in a few parts: two at random would differ in all, and show little.
    names = data.draw(st.sets(st.sampled_from(sorted(one)), max_size=2))
    drawn = data.draw(REQUESTS)
    other = {**one, **{name: drawn[name] for name in names}}
    same = meaning(one) == meaning(other)
    assert (key_of(**one) == key_of(**other)) is same
    assert (digest_key(key_of(**one)) == digest_key(key_of(**other))) is same


ENGINE = Engine(Settings.load({}, {}), clock=lambda: 1.0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", b""),
        (b"a", b"a"),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"tag=z&page=1&tag=a", b"page=1&tag=z&tag=a"),
        (b"a=1&&b=2&", b"&&a=1&b=2"),
        (b"a=1;b=2&a=0", b"a=1;b=2&a=0"),
        (b"a[]=2&a[]=1", b"a[]=2&a[]=1"),
        (b"a=1&%61=2", b"a=1&%61=2"),
        (b"%61=2&a=1", b"%61=2&a=1"),
        (b"x+y=1&x%20y=2&b=3", b"b=3&x+y=1&x%20y=2"),
        (b"%ff=1&%fe=2", b"%fe=2&%ff=1"),
    ],
    ids=lambda query: query.decode() or "empty",
)
def test_the_order_of_a_sorted_query(query, expected):
    assert sorted_query(query) == expected


QUERIES = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"%61", b"A", b"b", b"b+c", b"b%20c", b"b%2", b"%FF", b""]),
        st.sampled_from([b"", b"=", b"=1", b"=2", b"=a=b"]),
    ).map(b"".join),
    max_size=5,
).map(b"&".join)


def by_name(query):
    """The values under each name, in order, as apps read them."""
    return parse_qs(query.decode(), keep_blank_values=True, encoding="latin-1")


@given(QUERIES)
def test_sorting_a_query_changes_nothing_that_a_reader_by_name_sees(query):
    result = sorted_query(query)
    assert by_name(result) == by_name(query)
    assert sorted(result.split(b"&")) == sorted(query.split(b"&"))
    assert sorted_query(result) == result


@given(QUERIES, st.randoms())
def test_queries_that_differ_in_the_order_of_their_names_only_are_sorted_alike(query, random):
    groups: dict[bytes, list[bytes]] = {}
    for pair in query.split(b"&"):
        name = unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
        groups.setdefault(name, []).append(pair)
    names = list(groups)
    random.shuffle(names)
    shuffled = b"&".join(pair for name in names for pair in groups[name])
    assert sorted_query(shuffled) == sorted_query(query)


@pytest.mark.parametrize("sort", [True, False])
def test_the_setting_decides_whether_the_order_of_a_query_matters(sort):
    engine = Engine(Settings.load({"cache_sort_query": sort}, {}), clock=lambda: 1.0)

    def key_for(query):
        scope = {"method": "GET", "path": "/", "query_string": query, "headers": []}
        return plan_request(engine, scope, {}).key

    assert (key_for(b"a=1&b=2") == key_for(b"b=2&a=1")) is sort


def test_the_configured_fields_take_part():
    engine = Engine(Settings.load({"cache_key_fields": "x-tenant"}, {}), clock=lambda: 1.0)

    def key_for(fields):
        scope = {"method": "GET", "path": "/", "query_string": b"", "headers": list(fields.items())}
        return plan_request(engine, scope, fields).key

    keys = {key_for({b"x-tenant": b"a"}), key_for({b"x-tenant": b"b"}), key_for({})}
    assert len(keys) == 3
