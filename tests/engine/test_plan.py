"""What is decided about a request by its head."""

import tracemalloc
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.asgi.record import cache_part_in_call
from asgi_serial.engine.engine import Engine
from asgi_serial.reasons import Reason
from asgi_serial.request.app_call import RequestCopy
from asgi_serial.request.body import body_part
from asgi_serial.request.forward import Forward
from asgi_serial.request.plan import RequestPlan, choose, find_wants, request_key
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import RoutePolicy

from .making import MSGPACK, Clock, make_engine, make_plan, make_scope

ENGINE = make_engine()
KEPT_BODIES = {"POST /search": {"cache_body": True}}


def planned(*headers, engine=ENGINE, method="GET", path="/", **scope):
    return make_plan(engine, make_scope(method, path, headers, **scope))


@pytest.mark.parametrize(
    ("accept", "accept_encoding", "expected"),
    [
        pytest.param(None, None, ("", "", True), id="nothing said: the app's own"),
        pytest.param(b"*/*", b"", ("", "", True), id="anything, no coding: the app's own"),
        pytest.param(None, b"gzip, br;q=0.5", ("gzip", "", True), id="a coding by weight"),
        pytest.param(None, b"gzip, br, zstd", ("zstd", "", True), id="the server's favourite"),
        pytest.param(None, b"identity, gzip;q=0.5", ("", "", True), id="identity is preferred"),
        pytest.param(MSGPACK.encode(), None, ("", MSGPACK, True), id="another format"),
        pytest.param(b"application/x-msgpack", None, ("", "application/x-msgpack", True)),
        pytest.param(b"text/html", None, ("", "", False), id="no format that there is"),
        pytest.param(b"text/html", b"br", ("br", "", False), id="each axis by itself"),
    ],
)
def test_what_a_client_wants(accept, accept_encoding, expected):
    wants = ENGINE.negotiator.wants[accept, accept_encoding]
    assert (wants.coding, wants.media_type, wants.acceptable) == expected
    assert wants.offers


@pytest.mark.parametrize(
    ("accept", "media_type", "as_json"),
    [
        pytest.param(b"application/json", "", {"msgpack", "cbor"}, id="JSON, also of others"),
        pytest.param(b"application/json, */*;q=0.1", "", {"msgpack", "cbor"}, id="by weight"),
        pytest.param(b"application/json, */*", "", set(), id="either: the app's own"),
        pytest.param(b"text/html, */*;q=0.8", "", set(), id="a browser: the app's own"),
        pytest.param(MSGPACK.encode(), MSGPACK, set(), id="MessagePack"),
    ],
)
def test_what_is_sent_in_place_of_either_format(accept, media_type, as_json):
    wants = ENGINE.negotiator.wants[accept, None]
    assert (wants.media_type, wants.as_json) == (media_type, as_json)


def test_clients_that_want_the_same_share_one_object():
    assert (
        ENGINE.negotiator.wants[b"*/*", b"gzip"]
        is ENGINE.negotiator.wants[None, b"GZip;q=0.9, br;q=0"]
    )


@pytest.mark.parametrize(
    ("options", "offers"),
    [
        ({"formats": False}, True),
        ({"compression": False}, True),
        ({"formats": False, "compression": False}, False),
    ],
)
def test_what_is_switched_off_is_not_wanted(options, offers):
    wants = make_engine(**options).negotiator.wants[MSGPACK.encode(), b"gzip"]
    assert wants.offers is offers
    assert bool(wants.coding) is ("compression" not in options)
    assert bool(wants.media_type) is ("formats" not in options)


def test_a_client_that_forbids_transforming_gets_the_apps_own():
    plan = planned(
        (b"cache-control", b"no-transform"),
        (b"accept", MSGPACK.encode()),
        (b"accept-encoding", b"gzip"),
    )
    assert (plan.wants.coding, plan.wants.media_type, plan.wants.as_json) == ("", "", set())
    assert plan.wants.compression  # another client could have got another: Vary says so
    assert plan.wants.formats


def test_what_a_route_turns_on_is_not_for_a_client_that_forbids_transforming():
    engine = make_engine(compression=False, routes={"/*": {"compression": True}})
    gzip = (b"accept-encoding", b"gzip")
    assert planned(gzip, engine=engine).wants.coding == "gzip"
    assert planned(gzip, (b"cache-control", b"no-transform"), engine=engine).wants.coding == ""


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no fields"),
        pytest.param([(bytearray(b"accept"), b"*/*")], id="a name without a hash"),
        pytest.param([(b"accept", b"text/*"), (b"accept", b"*/*")], id="two lines of a name"),
        pytest.param([[b"accept", b"*/*"]], id="pairs that are lists"),
        pytest.param(iter([(b"accept", b"*/*")]), id="read once"),
    ],
)
def test_a_head_of_any_shape_is_read(headers):
    plan = make_plan(ENGINE, {**make_scope(), "headers": headers})
    lines = list(plan.scope["headers"])
    assert plan.fields.get(b"accept") in (None, b"*/*", b"text/*, */*")
    assert (b"accept" in plan.fields) is bool(lines)
    assert plan.key is not None


NO_CACHE = (b"cache-control", b"no-cache")


@pytest.mark.parametrize(
    ("method", "headers", "bypass"),
    [
        pytest.param("GET", [], None, id="a GET is looked up"),
        pytest.param("HEAD", [], None, id="a HEAD is looked up"),
        pytest.param("GET", [(b"content-length", b"0")], None, id="an empty body is none"),
        pytest.param("GET", [(b"content-length", b"7")], Reason.REQUEST_HAS_BODY),
        pytest.param("GET", [(b"transfer-encoding", b"chunked")], Reason.REQUEST_HAS_BODY),
        pytest.param("GET", [(b"range", b"bytes=0-9")], None, id="a range"),
        pytest.param("GET", [(b"cache-control", b"no-store")], Reason.REQUEST_NO_STORE),
        pytest.param("GET", [NO_CACHE], None, id="no-cache is looked up, and then refused"),
        pytest.param("GET", [(b"x-original-url", b"/admin")], Reason.REQUEST_HAS_UNKEYED_FIELD),
        pytest.param("GET", [(b"cookie", b"a=b")], None, id="what credentials allow comes later"),
        pytest.param("POST", [], Reason.METHOD_NOT_CACHED),
        pytest.param("QUERY", [], Reason.METHOD_NOT_CACHED),
        pytest.param("DELETE", [], Reason.METHOD_NOT_CACHED),
        pytest.param("POST", [(b"content-length", b"99999")], Reason.REQUEST_TOO_LARGE_TO_KEY),
    ],
)
def test_whether_the_cache_takes_part(method, headers, bypass):
    plan = planned(*headers, method=method)
    assert plan.caching
    assert plan.bypass is bypass
    assert (plan.key is not None) is (bypass is None)
    assert cache_part_in_call(plan) == ("miss" if bypass is None else "bypass")


@pytest.mark.parametrize(
    ("header", "refresh"),
    [
        (NO_CACHE, True),
        ((b"cache-control", b"max-age=0"), True),
        ((b"pragma", b"no-cache"), True),
        ((b"cache-control", b"max-age=5"), False),
        ((b"pragma", b"public"), False),
    ],
)
def test_a_client_may_refuse_what_is_stored(header, refresh):
    assert planned(header).profile.forces_revalidation is refresh


def test_the_cache_takes_no_part_where_it_is_off():
    plan = planned(engine=make_engine(cache=False))
    assert (plan.caching, plan.key, cache_part_in_call(plan), plan.may_end_early) == (
        False,
        None,
        "",
        False,
    )


@pytest.mark.parametrize(
    ("cache", "route", "caching"),
    [
        pytest.param(False, True, True, id="a route turns it on"),
        pytest.param(True, False, False, id="a route turns it off"),
        pytest.param(True, None, True, id="a route says nothing of it"),
    ],
)
def test_a_route_speaks_before_the_settings(cache, route, caching):
    engine = make_engine(cache=cache, routes={"/here": {"cache": route}, "/there": {}})
    assert planned(engine=engine, path="/here").caching is caching
    assert planned(engine=engine, path="/there").caching is cache
    assert planned(engine=engine, path="/elsewhere").caching is cache


@pytest.mark.parametrize(
    "why",
    [
        Reason.REQUEST_HAS_CREDENTIALS,
        Reason.REQUEST_HAS_UNKEYED_FIELD,
        Reason.REQUEST_HAS_UNKNOWN_FIELD,
    ],
)
def test_a_request_that_what_is_stored_is_not_for_is_counted_as_a_bypass(why):
    plan = planned((b"authorization", b"Basic eDp5"))
    assert cache_part_in_call(plan.with_(forward=Forward(why))) == "bypass"


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        pytest.param([], set(), id="nothing"),
        pytest.param([(b"cookie", b"")], {b"cookie"}, id="a cookie, even an empty one"),
        pytest.param([(b"authorization", b"x")], {b"authorization"}, id="Authorization"),
        pytest.param([(b"x-api-key", b"x")], {b"cookie"}, id="a key counts as a cookie"),
        pytest.param(
            [(b"authorization", b"x"), (b"x-user-id", b"1")],
            {b"authorization", b"cookie"},
            id="both kinds",
        ),
    ],
)
def test_the_kinds_of_credentials_that_a_request_carries(fields, kinds):
    assert planned(*fields).user.credentials == kinds


def test_a_field_that_takes_part_in_the_key_is_no_credential():
    engine = make_engine(cache_key_fields="x-api-key")
    assert planned((b"x-api-key", b"x"), engine=engine).user.credentials == set()


def test_the_clock_is_read_once_where_the_cache_takes_part():
    engine = make_engine(Clock(77.0), cache_sort_query=True)
    assert planned(engine=engine).asked == 77.0
    assert planned(engine=make_engine(Clock(78.0))).asked == 78.0


@pytest.mark.parametrize(
    ("headers", "codings", "body_format"),
    [
        pytest.param([(b"content-type", b"application/json")], (), "", id="JSON as it is"),
        pytest.param([(b"content-type", MSGPACK.encode())], (), "msgpack", id="MessagePack"),
        pytest.param([(b"content-type", b"Application/X-MsgPack; a=b")], (), "msgpack"),
        pytest.param([(b"content-encoding", b"gzip, br")], ("gzip", "br"), "", id="stacked"),
        pytest.param([(b"content-encoding", b"identity")], (), "", id="identity is none"),
        pytest.param(
            [(b"content-encoding", b"gzip"), (b"content-type", MSGPACK.encode())],
            ("gzip",),
            "msgpack",
            id="compressed MessagePack",
        ),
    ],
)
def test_what_is_done_to_the_body(headers, codings, body_format):
    plan = planned(*headers, method="POST")
    assert (plan.content_codings, plan.body_format) == (codings, body_format)
    assert plan.may_end_early is bool(codings or body_format)


PACKED = ((b"content-encoding", b"gzip"), (b"content-type", MSGPACK.encode()))


@pytest.mark.parametrize(
    ("options", "codings", "body_format"),
    [
        ({"decoding": False}, (), ""),
        ({"formats": False}, ("gzip",), ""),
        ({"routes": {"/": {"decoding": False}}}, (), ""),
        ({"decoding": False, "routes": {"/": {"decoding": True}}}, ("gzip",), "msgpack"),
        ({"routes": {"/": {"formats": False}}}, ("gzip",), ""),
    ],
)
def test_what_stays_encoded_is_not_read(options, codings, body_format):
    plan = planned(*PACKED, method="POST", engine=make_engine(**options))
    assert (plan.content_codings, plan.body_format) == (codings, body_format)


def test_an_unencoded_document_is_translated_where_nothing_is_decoded():
    plan = planned(PACKED[1], method="POST", engine=make_engine(decoding=False))
    assert plan.body_format == "msgpack"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({}, (False, False), id="it may read MessagePack"),
        pytest.param({"format_uploads": "on"}, (True, False), id="translated where possible"),
        pytest.param({"format_uploads": "off"}, (False, False), id="nothing is translated"),
        pytest.param(
            {"routes": {"/": {"format_uploads": True}}}, (True, True), id="the route reads JSON"
        ),
    ],
)
def test_an_app_of_which_nothing_is_known(said, expected):
    """Its label names no routes, as one of a user's own may not."""
    engine = Engine(Settings.load(said, {}), label=lambda scope: scope["path"])
    plan = planned(PACKED[1], method="POST", engine=engine)
    assert (bool(plan.body_format), plan.reads_json) == expected


@pytest.mark.parametrize(
    ("route", "learned", "keys", "may_key"),
    [
        pytest.param({}, None, False, True, id="the handler may yet ask"),
        pytest.param({"cache_body": True}, None, True, False, id="the route asks"),
        pytest.param({"cache_body": False}, None, False, False, id="the route forbids"),
        pytest.param({}, True, True, False, id="the handler has asked before"),
        pytest.param({"cache_body": True}, False, False, False, id="the handler goes first"),
    ],
)
def test_who_lets_a_body_be_a_part_of_the_key(route, learned, keys, may_key):
    engine = make_engine(routes={"/": route})
    if learned is not None:
        scope = make_scope("POST")
        engine.learned.learn(scope, {b"host": b"a.example"}, RoutePolicy(cache_body=learned))
    plan = planned(engine=engine, method="POST")
    assert (plan.keys_on_body, plan.may_key_on_body) == (keys, may_key)
    assert plan.bypass is (None if keys else Reason.METHOD_NOT_CACHED)
    assert plan.key is None  # until the body has come


def test_what_handlers_have_said_is_bounded():
    engine = make_engine()
    for number in range(3000):
        scope = make_scope("POST", f"/{number}")
        engine.learned.learn(scope, {}, RoutePolicy(cache_body=True))
    assert 0 < len(engine.learned.policies) <= 1024
    assert engine.learned.find_policy(scope, {}) == RoutePolicy(cache_body=True)


def test_a_handlers_word_changes_what_is_wanted():
    plan = planned((b"accept", MSGPACK.encode()), (b"accept-encoding", b"gzip"))
    plan = plan.with_(policy=RoutePolicy(compression=False))
    wants = find_wants(ENGINE, plan)
    assert (wants.compression, wants.coding, wants.media_type) == (False, "", MSGPACK)


@pytest.mark.parametrize(
    ("said", "word"),
    [((None, True), True), ((None, False), False), ((False, True), False), ((), False)],
)
def test_the_first_word_that_is_said_holds(said, word):
    assert choose(*said) is word


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"method": "HEAD"}, {}, id="HEAD is answered from GET"),
        pytest.param(
            {"headers": [(b"host", b"A.Example")]},
            {"headers": [(b"host", b"a.example")]},
            id="a host is the same in any case",
        ),
        pytest.param(
            {"headers": [(b"host", b"a.example"), (b"cookie", b"a=b")]},
            {},
            id="what is not keyed does not count",
        ),
    ],
)
def test_requests_for_one_resource(one, other):
    assert _key(one) == _key(other)


@pytest.mark.parametrize(
    "other",
    [
        {"method": "POST"},
        {"path": "/b"},
        {"raw_path": b"/%61"},
        {"root_path": "/v1"},
        {"scheme": "https"},
        {"query_string": b"a=1"},
        {"headers": [(b"host", b"b.example")]},
        {"headers": [(b"x-forwarded-proto", b"https")]},
        {"headers": [(b"x-forwarded-port", b"81")]},
    ],
    ids=lambda other: f"{next(iter(other))} tells apart",
)
def test_requests_for_two_resources(other):
    assert _key(other) != _key({})


def _key(scope, engine=ENGINE):
    scope = make_scope() | scope
    plan = make_plan(engine, scope)
    return request_key(engine, plan, None)


def test_parameters_may_come_in_any_order_where_it_is_set():
    one, other = {"query_string": b"b=2&a=1"}, {"query_string": b"a=1&b=2"}
    assert _key(one) != _key(other)
    engine = make_engine(cache_sort_query=True)
    assert _key(one, engine) == _key(other, engine)


def test_configured_fields_take_part_in_the_key():
    engine = make_engine(cache_key_fields="X-Tenant, X-Original-Url")
    one = planned((b"x-tenant", b"one"), engine=engine)
    other = planned((b"x-tenant", b"two"), engine=engine)
    routed = planned((b"x-original-url", b"/admin"), engine=engine)
    assert one.bypass is other.bypass is routed.bypass is None
    assert len({one.key, other.key, routed.key, planned(engine=engine).key}) == 4


def test_namespaces_are_kept_apart():
    assert _key({}, make_engine(cache_namespace="a")) != _key({}, make_engine(cache_namespace="b"))


def test_a_body_stands_in_the_key_with_its_type():
    def part(content_type, content):
        return body_part(planned((b"content-type", content_type), method="POST"), content)

    assert part(b"text/plain", b"x") == part(b"text/plain", b"x")
    assert part(b"text/plain", b"x") != part(b"text/csv", b"x")
    assert part(b"text/plain", b"x") != part(b"text/plain", b"y")


@pytest.mark.parametrize(
    ("messages", "whole"),
    [
        pytest.param([(b"ab", True), (b"cd", False)], b"abcd", id="read to its end"),
        pytest.param([(b"ab", True)], None, id="not read to its end"),
        pytest.param([], None, id="not read at all"),
        pytest.param([(b"abc", True), (b"de", False)], None, id="too large"),
        pytest.param([(b"abcde", True), (b"", False)], None, id="too large from the first"),
        pytest.param([(b"abcd", False)], b"abcd", id="as large as may be"),
    ],
)
def test_the_copy_of_a_body(messages, whole):
    copy = RequestCopy(4)
    for part, more in messages:
        copy.take({"type": "http.request", "body": part, "more_body": more})
    copy.take({"type": "http.disconnect"})
    assert copy.whole() == whole


def test_a_message_without_a_body_ends_the_copy():
    copy = RequestCopy(4)
    copy.take({"type": "http.request"})
    assert copy.whole() == b""


_names = st.sampled_from(
    [
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"if-match",
        b"if-none-match",
        b"pragma",
        b"range",
        b"x-original-url",
    ]
)
_words = st.sampled_from(
    [
        b"no-cache",
        b"max-age=1",
        b"gzip",
        b"*",
        b"q=0",
        MSGPACK.encode(),
        b'"',
        b",",
        b";",
        b"9" * 30,
    ]
)
_values = st.binary(max_size=20) | st.lists(_words, max_size=6).map(b"".join)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "QUERY", "PUT"]), st.lists(st.tuples(_names, _values))
)
def test_any_head_is_planned(method, headers):
    """Whatever a head holds, there is a plan, and either a key, or a reason for none."""
    plan = planned(*headers, method=method)
    assert plan.keys_on_body or (plan.key is None) is (plan.bypass is not None)


def test_a_routes_body_is_a_part_of_the_key_whatever_its_length_says():
    engine = make_engine(routes=KEPT_BODIES)
    lengths = [b"5", b"x", b"1_0", b"+1", b"9" * 30]
    plans = [
        planned((b"content-length", length), engine=engine, method="POST", path="/search")
        for length in lengths
    ]
    assert all(plan.keys_on_body for plan in plans)


def test_what_requests_say_of_caching_may_be_ignored():
    engine = make_engine(cache_obey_requests=False)
    plan = planned((b"cache-control", b"no-cache, no-store, only-if-cached"), engine=engine)
    assert (plan.bypass, plan.profile.forces_revalidation, plan.wants_stored_only) == (
        None,
        False,
        False,
    )


def test_a_copy_of_a_body_in_tiny_pieces_takes_no_more_memory_than_in_one():
    copy = RequestCopy(50_000)
    tracemalloc.start()
    for number in range(25_000):
        copy.take({"type": "http.request", "body": number.to_bytes(2, "big"), "more_body": True})
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 100_000
    copy.take({"type": "http.request"})
    assert copy.whole() == b"".join(number.to_bytes(2, "big") for number in range(25_000))


ATTRIBUTES = [*RequestPlan.__annotations__]


def test_a_plan_that_is_made_from_another_leaves_that_one_as_it_was():
    plan = planned((b"accept", b"application/json"))
    before = {name: getattr(plan, name) for name in ATTRIBUTES}
    other = plan.with_(bypass=Reason.SKIPPED, forward=Forward(Reason.STALE))
    assert (other.bypass, other.forward.reason, other.key) == (
        Reason.SKIPPED,
        Reason.STALE,
        plan.key,
    )
    assert {name: getattr(plan, name) for name in ATTRIBUTES} == before


@pytest.mark.parametrize("as_mapping", [dict, OrderedDict])
def test_a_plan_says_the_same_whatever_the_app_does_to_the_scope(as_mapping):
    """RFC 9111, 4.1: the stored response is selected by the fields of the request that came."""
    scope = as_mapping(make_scope(headers=[(b"x-tenant", b"ada")]))
    plan = make_plan(ENGINE, scope)
    plan.keep_scope()
    scope["path"] = "/elsewhere"
    scope["headers"].clear()
    assert plan.scope["path"] == "/"
    assert plan.vary_values((b"x-tenant",)) == ((b"x-tenant", b"ada"),)
    assert request_key(ENGINE, plan, None) == plan.key


@pytest.mark.parametrize(
    ("value", "is_harmless"),
    [
        pytest.param(b"_ga=1", True, id="ignored"),
        pytest.param(b"_ga=1; session=2", False, id="one counts"),
        pytest.param(b'_ga="1', False, id="parsers may read it differently"),
    ],
)
def test_cookies_that_are_ignored_make_no_credentials(value, is_harmless):
    plan = planned((b"cookie", value))
    assert plan.are_cookies_harmless == is_harmless
    assert plan.user.credentials == {b"cookie"}
    if is_harmless:
        other = plan.without_ignored_cookies()
        assert (other.user.credentials, b"cookie" in other.fields) == (frozenset(), False)
        assert other.without_ignored_cookies() is other
        assert plan.user.credentials == {b"cookie"}
