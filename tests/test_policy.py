"""Route policies: which options are accepted, and which rule speaks for a request."""

import functools
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.bounds.memo import MAX_BYTES
from asgi_serial.errors import ConfigurationError
from asgi_serial.settings.policy import (
    PolicyTable,
    RoutePolicy,
    build_policy,
    build_rule,
    is_permission,
    merge,
    policy_of,
    serial,
    set_policy,
)


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({}, RoutePolicy()),
        ({"cache_ttl": 60}, RoutePolicy(cache_ttl=60.0)),
        ({"cache_ttl": "5m", "cache_body": "on"}, RoutePolicy(cache_ttl=300.0, cache_body=True)),
        ({"cache_ttl": timedelta(hours=1)}, RoutePolicy(cache_ttl=3600.0)),
        ({"compression": False, "cache": None}, RoutePolicy(compression=False)),
    ],
)
def test_options_are_read(options, policy):
    assert build_policy(options) == policy


@pytest.mark.parametrize("use", [build_policy, lambda options: serial(**options)])
def test_all_wrong_options_are_told_at_once(use):
    with pytest.raises(ConfigurationError) as caught:
        use({"cache_tl": 1, "cache_ttl": "soon", "cache": "x"})
    assert str(caught.value).splitlines() == [
        "cache_tl is not a policy option; did you mean cache_ttl?",
        "cache_ttl is 'soon'; expected a duration such as 60s, 250ms, 5m, 1h, 7d or 60 (seconds).",
        "cache is 'x'; expected true or false (also 1, 0, yes, no, on, off).",
    ]


@pytest.mark.parametrize("use", [serial, set_policy])
def test_a_handler_can_not_set_what_is_decided_before_it_runs(use):
    says = r"decoding cannot be set by a handler.*in the setting"
    with pytest.raises(ConfigurationError, match=says):
        use(decoding=False)


policies = st.builds(
    RoutePolicy, **{name: st.none() | st.booleans() for name in RoutePolicy._fields}
)


@given(policies, policies)
def test_merging_lets_the_lower_say_only_what_the_higher_leaves_open(higher, lower):
    for high, low, merged in zip(higher, lower, merge(higher, lower), strict=True):
        assert merged == (low if high is None else high)
    assert merge(higher, None) is merge(None, higher) is higher
    assert merge(None, None) is None


@pytest.mark.parametrize(
    ("pattern", "method", "path", "matches"),
    [
        ("/items", "GET", "/items", True),
        ("/items", "GET", "/items/", False),
        ("/items", "GET", "/items\n", False),
        ("/items", "DELETE", "/items", True),
        ("/items/*", "GET", "/items/7", True),
        ("/items/*", "GET", "/items/", True),
        ("/items/*", "GET", "/items/7/8", False),
        ("/items/*.json", "GET", "/items/a.b.json", True),
        ("/items/*.json", "GET", "/items/a-json", False),
        ("/items/{id}", "GET", "/items/7", True),
        ("/items/{id}", "GET", "/items/", False),
        ("/items/{id}/parts/{part}", "GET", "/items/7/parts/x", True),
        ("/items/{id}/parts/*", "GET", "/items/7/8/parts/x", False),
        ("/items/**", "GET", "/items/7/8", True),
        ("/items/**", "GET", "/items/", True),
        ("/items/**", "GET", "/items", False),
        ("/**/*.csv", "GET", "/a/b/c.csv", True),
        ("/a/**/z", "GET", "/a/b\nc/z", True),
        ("**", "GET", "", True),
        ("/a.c", "GET", "/abc", False),
        ("/café/*", "GET", "/café/x", True),
        ("/two words", "GET", "/two words", True),
        ("POST /search", "POST", "/search", True),
        ("post   /search", "POST", "/search", True),
        ("POST /search", "GET", "/search", False),
        ("GET /search", "HEAD", "/search", True),
    ],
)
def test_patterns(pattern, method, path, matches):
    assert build_rule(pattern, RoutePolicy()).matches(method, path) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "items",
        "GET",
        "GET items",
        "G=T /",
        "/{",
        "/}",
        "/{}",
        "/{a-b}",
        "/{id:int}",
        "/***",
        "/**x*",
        "/a*b*",
        "/{a}*",
        "/{a}.{b}",
        "/**/x/**",
    ],
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ConfigurationError, match="is not a route pattern; expected"):
        build_rule(pattern, RoutePolicy())


@pytest.mark.parametrize("pattern", ["/*/{a}/**/x*y/z", "/**/*x", "/*a/**b"])
@pytest.mark.parametrize("unit", ["/", "a", "/a", "/x/", "xy"])
def test_matching_takes_linear_time(pattern, unit):
    rule = build_rule(pattern, RoutePolicy())
    start = time.process_time()
    rule.matches("GET", unit * 32_768)
    # By the square of the length this would take a minute.
    assert time.process_time() - start < 1


def test_the_first_rule_that_matches_speaks():
    first, second = RoutePolicy(cache=True), RoutePolicy(cache=False)
    table = PolicyTable([build_rule("GET /a", first), build_rule("/*", second)])
    for _ in range(2):
        assert table.find("GET", "/a") is first
        assert table.find("POST", "/a") is second
        assert table.find("GET", "/a/b") is None
    assert table
    assert not PolicyTable([])


@pytest.mark.parametrize(
    ("options", "permits"),
    [
        ({"cache_ttl": 60}, True),
        ({"cache_ttl": 0}, True),
        ({"cache_shared": True}, True),
        ({"cache_partition": "cookie:sid"}, True),
        ({"cache": True}, True),
        ({"cache_body": True}, True),
        ({"compression": True, "cache": False}, True),
        ({"cache": False}, False),
        ({"compression": False, "formats": False, "decoding": False}, False),
        ({"cache_shared": False, "cache_body": False, "cache_ttl": None}, False),
        ({}, False),
    ],
)
def test_what_a_policy_permits(options, permits):
    rule = build_rule("/static/**", build_policy(options))
    assert is_permission(rule.policy) is permits
    if permits:
        with pytest.raises(ConfigurationError, match="permits something, but would match no"):
            build_rule("/static/../**", rule.policy)
    else:
        assert build_rule("/static/../**", rule.policy).matches("GET", "/static/../a")


ODD = [
    ("/static/../account", b"/static/..%2faccount"),
    ("/static/../account", b"/static/%2e%2e/account"),
    ("/static/../account", None),
    ("/static/%2e%2e/account", b"/static/%252e%252e/account"),
    ("/static//account", b"/static//account"),
    ("/static/a/b", b"/static/a%2fb"),
    ("/static/a\\b", b"/static/a%5cb"),
    ("/static/..;/account", b"/static/..;/account"),
]


@pytest.mark.parametrize(("path", "raw_path"), ODD)
def test_a_pattern_permits_nothing_to_a_path_that_may_be_taken_for_another(path, raw_path):
    permits = build_policy({"cache_ttl": 60, "cache_shared": True, "compression": True})
    table = PolicyTable([build_rule("/static/**", permits)])
    for _ in range(2):
        assert table.find("GET", path, raw_path) is None
        assert table.find("GET", "/static/a/b", b"/static/a/b") is permits


@pytest.mark.parametrize(("path", "raw_path"), ODD)
def test_it_is_forbidden_what_any_rule_forbids(path, raw_path):
    """Also by a rule behind the one that permits, or by one for the path that it may be."""
    table = PolicyTable(
        [
            build_rule("/static/**", build_policy({"cache_shared": True, "cache_body": False})),
            build_rule("**", build_policy({"cache": False, "compression": True})),
        ]
    )
    assert table.find("GET", path, raw_path) == RoutePolicy(cache=False, cache_body=False)


def test_a_rule_for_the_path_that_it_may_be_taken_for_is_heard():
    table = PolicyTable(
        [
            build_rule("/static/**", build_policy({"cache_shared": True})),
            build_rule("GET /account", build_policy({"cache": False})),
        ]
    )
    assert table.find("GET", "/static/../account") == RoutePolicy(cache=False)
    assert table.find("POST", "/static/../account") is None


def test_nothing_is_kept_where_it_may_be_that_of_a_user():
    table = PolicyTable([build_rule("/me/*", build_policy({"cache_partition": "cookie:sid"}))])
    found = table.find("GET", "/me//cart")
    assert (found.cache, found.cache_partition) == (False, ("cookie:sid",))
    assert table.find("GET", "/static/../me/cart").cache is False


OF_USERS = {"cache_partition": "cookie:sid", "cache_ttl": 60}


@pytest.mark.parametrize(
    ("bare", "slashed", "expected"),
    [
        ({"cache": False}, {"cache_ttl": 60}, {"cache": False, "cache_ttl": 60}),
        ({"cache_shared": True}, {"cache_ttl": 60}, {"cache_ttl": 60}),
        ({"cache_ttl": 5}, {"cache_ttl": 60}, {"cache_ttl": 5}),
        ({"cache_ttl": 60}, {"cache_ttl": 5}, {"cache_ttl": 5}),
        (OF_USERS, {"cache_shared": True}, {"cache": False, "cache_shared": True}),
        (OF_USERS, OF_USERS, OF_USERS),
        (OF_USERS, {}, {"cache": False}),
    ],
)
def test_a_slash_at_the_end_permits_nothing_that_is_forbidden_without_it(bare, slashed, expected):
    """Litestar routes both alike."""
    rules = [build_rule("/me", build_policy(bare)), build_rule("/me/*", build_policy(slashed))]
    found = PolicyTable(rules).find("GET", "/me/")
    if "cache_partition" in bare:
        expected = {**expected, "cache_partition": "cookie:sid"}
    assert found == build_policy(expected)


def test_a_slash_at_the_end_of_a_path_that_no_rule_is_about():
    table = PolicyTable([build_rule("GET /me", build_policy({"cache": False, "cache_ttl": 60}))])
    assert table.find("GET", "/me/") == RoutePolicy(cache=False)
    assert table.find("GET", "/") is None


@pytest.mark.parametrize(
    ("default", "pattern", "lifetime"), [(60, 5, 5), (60, 600, None), (None, 5, None), (60, 0, 0)]
)
def test_a_lifetime_forbids_a_longer_one(default, pattern, lifetime):
    rules = [build_rule("/prices/**", build_policy({"cache_ttl": pattern, "formats": False}))]
    table = PolicyTable(rules, cache_ttl=default)
    assert table.find("GET", "/prices//a") == RoutePolicy(formats=False, cache_ttl=lifetime)


def test_finds_are_right_beyond_what_is_remembered():
    table = PolicyTable([build_rule("/*1", RoutePolicy(cache=True))])
    for number in (*range(5_000), 1, 2):
        assert (table.find("GET", f"/{number}") is not None) is (number % 10 == 1)
    assert table.find("GET", f"/{'0' * 30_000}1") == RoutePolicy(cache=True)
    assert table._found.held_bytes <= MAX_BYTES


def test_the_policy_of_a_function_is_that_of_its_decorators():
    @serial(formats=False, cache_ttl="1m")
    async def inner(): ...

    @functools.wraps(inner)
    async def wrapper(): ...

    outer = serial(cache_ttl="5m")(wrapper)
    assert policy_of(inner) == policy_of(wrapper) == RoutePolicy(formats=False, cache_ttl=60.0)
    assert policy_of(outer) == RoutePolicy(formats=False, cache_ttl=300.0)
    assert policy_of(len) is policy_of(None) is None
