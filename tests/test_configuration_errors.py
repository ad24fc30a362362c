"""Settings that are valid each by itself, but wrong together, or meant for another library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.engine.engine import Engine
from asgi_serial.errors import ConfigurationError
from asgi_serial.http.methods import METHODS
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.foreign_names import POLICY_HINTS, SETTING_HINTS
from asgi_serial.settings.model import PRESETS, SettingOptions, Settings
from asgi_serial.settings.policy import (
    RoutePolicy,
    build_policy,
    build_rule,
    covers,
    serial,
    set_policy,
)


def as_variables(options):
    """The options as the environment has them, where they can be given there."""
    return {
        f"ASGI_SERIAL_{name.upper()}": ("off", "on")[value] if type(value) is bool else str(value)
        for name, value in options.items()
    }


def faults(options=(), environ=()):
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(dict(options), dict(environ))
    return str(caught.value).splitlines()


CONTRADICTIONS = [
    (
        {"report_token": "secret"},
        "report_token is set without a path to protect; set report_path or "
        "metrics_path as well, or remove report_token.",
    ),
    (
        {"purge_token": "secret"},
        "purge_token is set without a path to protect; set purge_path as well, or remove "
        "purge_token.",
    ),
    (
        {"purge_path": "/-/purge"},
        "purge_path is set without a token; set purge_token as well.",
    ),
    (
        {"report_path": "/-/a", "purge_path": "/-/a", "purge_token": "secret"},
        "purge_path is '/-/a', as is report_path; expected a path of its own. Change one of them.",
    ),
    (
        {"report_path": "/-/a", "metrics_path": "/-/a"},
        "metrics_path is '/-/a', as is report_path; expected a path of its own. Change one of "
        "them.",
    ),
    (
        {"cache": False, "cache_ttl": 60},
        "cache_ttl is {cache_ttl!r}, although cache is off; turn cache on, or remove cache_ttl.",
    ),
    (
        {"cache": False, "cache_negative_ttl": 60},
        "cache_negative_ttl is {cache_negative_ttl!r}, although cache is off; turn cache on, or "
        "remove cache_negative_ttl.",
    ),
    (
        {"cache": False, "cache_stale_if_error": "1m"},
        "cache_stale_if_error is '1m', although cache is off; turn cache on, or remove "
        "cache_stale_if_error.",
    ),
    (
        {"cache": False, "cache_heuristic": True},
        "cache_heuristic is {cache_heuristic!r}, although cache is off; turn cache on, or remove "
        "cache_heuristic.",
    ),
    (
        {"cache_status": False, "cache_status_key": True},
        "cache_status_key is {cache_status_key!r}, although cache_status is off; turn cache_status "
        "on, or remove cache_status_key.",
    ),
    (
        {"formats": False, "format_uploads": True},
        "format_uploads is {format_uploads!r}, although formats is off; turn formats on, or remove "
        "format_uploads.",
    ),
    (
        {"cache_max_refreshes": 0, "cache_grace": "30s"},
        "cache_grace is '30s', although cache_max_refreshes is 0; raise cache_max_refreshes, or "
        "remove cache_grace.",
    ),
    (
        {"codings": "zstd,br", "gzip_level": 9},
        "gzip_level is {gzip_level!r}, although codings is 'zstd,br'; add gzip to codings, or "
        "remove gzip_level.",
    ),
    (
        {"codings": "gzip", "brotli_level": 4},
        "brotli_level is {brotli_level!r}, although codings is 'gzip'; add br to codings, or "
        "remove brotli_level.",
    ),
    (
        {"codings": "gzip", "zstd_level": 4},
        "zstd_level is {zstd_level!r}, although codings is 'gzip'; add zstd to codings, or remove "
        "zstd_level.",
    ),
    (
        {"cache_max_object": "70MB"},
        "cache_memory is 64000000; expected at least cache_max_object, which is 70000000. Raise "
        "cache_memory or lower cache_max_object.",
    ),
    (
        {"cache_memory": "1MB"},
        "cache_memory is 1000000; expected at least cache_max_object, which is 5000000. Raise "
        "cache_memory or lower cache_max_object.",
    ),
    (
        {"max_encoded": "2MB", "max_decoded": "1MB"},
        "max_decoded is 1000000; expected at least max_encoded, which is 2000000. Raise "
        "max_decoded or lower max_encoded.",
    ),
    (
        {"max_encoded": "60MB"},
        "max_decoded is 50000000; expected at least max_encoded, which is 60000000. Raise "
        "max_decoded or lower max_encoded.",
    ),
    (
        {"max_gathered": "20MB"},
        "max_gathered is 20000000; expected at least max_decoded, which is 50000000. Raise "
        "max_gathered or lower max_decoded.",
    ),
    (
        {"cache_key_fields": "X-A, X-B", "cache_ignore_fields": "x-b"},
        "cache_ignore_fields and cache_key_fields both name 'x-b'; name it in only one of them.",
    ),
    (
        {"cache_ignore_cookies": "visit_*", "cache_key_cookies": "lang, visit_lang"},
        "cache_ignore_cookies has 'visit_*', which hides the cookie 'visit_lang' in "
        "cache_key_cookies from the app; name it in only one of them.",
    ),
    (
        {"cache_targets": "edge-control", "cache_strip_fields": "edge-*"},
        "cache_strip_fields has 'edge-*', which strips 'edge-control' in cache_targets; name it in "
        "only one of them.",
    ),
    (
        {"cache_tag_fields": "x-tags", "cache_strip_fields": "x-id, x-tags"},
        "cache_strip_fields has 'x-tags', which strips 'x-tags' in cache_tag_fields; name it in "
        "only one of them.",
    ),
    (
        {"cache_vary_normalize": "x-app=a|b", "cache_ignore_fields": "x-app"},
        "cache_vary_normalize and cache_ignore_fields both name 'x-app'; name it in only one of "
        "them.",
    ),
    (
        {"cache": False, "cache_vary_normalize": "x-app=a"},
        "cache_vary_normalize is 'x-app=a', although cache is off; turn cache on, or remove "
        "cache_vary_normalize.",
    ),
    (
        {"cache_ignore_query": "utm_*", "cache_query": "page"},
        "cache_ignore_query and cache_query are both set; set cache_ignore_query to ignore the "
        "parameters that it names, or cache_query to ignore all others.",
    ),
    (
        {"cache": False, "cache_ignore_query": "utm_*"},
        "cache_ignore_query is 'utm_*', although cache is off; turn cache on, or remove "
        "cache_ignore_query.",
    ),
    (
        {"cache": False, "cache_query": "page"},
        "cache_query is 'page', although cache is off; turn cache on, or remove cache_query.",
    ),
]


def spelled_as_variables(line, options):
    """The line of a fault, with the names of variables in it; defaults are named as arguments."""
    named = {*options, *({"report_path", "metrics_path", "purge_path", "purge_token"} - {*options})}
    for name in sorted(named, key=len, reverse=True):
        parts = line.split(name)
        line = parts[0]
        for part in parts[1:]:
            inside = line[-1:].isalnum() or line[-1:] == "_" or part[:1].isalnum()
            inside = inside or part[:1] == "_"
            line += (name if inside else f"ASGI_SERIAL_{name.upper()}") + part
    return line


@pytest.mark.parametrize(("options", "line"), CONTRADICTIONS)
def test_arguments_that_contradict_each_other_are_named(options, line):
    assert faults(options) == [line.format(**options)]


@pytest.mark.parametrize(("options", "line"), CONTRADICTIONS)
def test_variables_that_contradict_each_other_are_named_as_such(options, line):
    environ = as_variables(options)
    given = {name: environ[f"ASGI_SERIAL_{name.upper()}"] for name in options}
    assert faults(environ=environ) == [spelled_as_variables(line.format(**given), options)]


@pytest.mark.parametrize(
    ("options", "line"),
    [(options, line) for options, line in CONTRADICTIONS if len(options) == 2],
)
def test_a_variable_that_an_argument_makes_useless_is_named(options, line):
    """Whoever sets the variable expects it to have an effect."""
    (first, other), environ = options, as_variables(options)
    mixed = {f"ASGI_SERIAL_{other.upper()}": environ[f"ASGI_SERIAL_{other.upper()}"]}
    (found,) = faults({first: options[first]}, mixed)
    assert first in found
    assert f"ASGI_SERIAL_{other.upper()}" in found


@pytest.mark.parametrize(
    ("options", "environ", "overridden"),
    [
        pytest.param(
            {"cache_ttl": 60, "routes": {"/a": {"cache_shared": True}}},
            {"ASGI_SERIAL_CACHE": "off"},
            [
                "cache_ttl is 60, although ASGI_SERIAL_CACHE is off; turn ASGI_SERIAL_CACHE on, or "
                "remove cache_ttl.",
                "routes['/a'] sets cache_shared, although ASGI_SERIAL_CACHE is off; turn "
                "ASGI_SERIAL_CACHE on, or add cache=True to this route, or remove cache_shared.",
            ],
            id="the cache, with lifetimes in the code",
        ),
        pytest.param(
            {"gzip_level": 9},
            {"ASGI_SERIAL_CODINGS": "br"},
            [
                "gzip_level is 9, although ASGI_SERIAL_CODINGS is 'br'; add gzip to "
                "ASGI_SERIAL_CODINGS, or remove gzip_level."
            ],
            id="a coding, with its level in the code",
        ),
    ],
)
def test_a_variable_may_turn_off_what_the_code_asks_for(options, environ, overridden):
    assert Settings.load(options, environ).overridden == overridden


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"cache": False, "enabled": False, "cache_ttl": 60}, id="all is off"),
        pytest.param({"cache": False, "cache_ttl": None}, id="no lifetime"),
        pytest.param({"cache": False, "cache_ttl": 0, "cache_heuristic": False}, id="nothing"),
        pytest.param({"cache": False, "cache_url": "memory://"}, id="where a cache would be"),
        pytest.param({"cache": False, "cache_keep_stale": "1h"}, id="how a cache would work"),
        pytest.param(
            {"cache": False, "cache_ttl": 60, "routes": {"/a": {"cache": True, "cache_ttl": 5}}},
            id="a cache for one route",
        ),
        pytest.param({"metrics_path": "/metrics", "report_token": "x"}, id="metrics alone"),
        pytest.param({"report_path": None, "report_token": "x"}, id="the report is left out"),
        pytest.param({"compression": False, "gzip_level": 9}, id="a handler may compress"),
        pytest.param({"max_decoded": "1MB"}, id="a lower limit than by default"),
        pytest.param({"max_decoded": "200MB"}, id="a higher limit than by default"),
        pytest.param({"formats": False, "format_uploads": "auto"}, id="uploads by themselves"),
        pytest.param(
            {"formats": False, "format_uploads": True, "routes": {"/a": {"formats": True}}},
            id="formats for one route",
        ),
        pytest.param({"cache_key_fields": "host, accept-language, x-tenant-id"}, id="key fields"),
        pytest.param({"preset": "conformance", "gzip_level": 4}, id="a preset"),
        pytest.param(
            {
                "cache": True,
                "cache_ignore_cookies": "visit, session_*",
                "cache_key_cookies": "visitor, vis",
                "routes": {"/a": {"cache_partition": ["authorization", "cookie:session"]}},
            },
            id="cookies that begin alike",
        ),
        pytest.param({"report_path": "/"}, id="the root"),
        pytest.param(
            {"cache": False, "routes": {"/a": {"cache_partition": "cookie:sid", "cache": False}}},
            id="responses that are marked as private",
        ),
        pytest.param({"routes": {"/a/**": {}, "/**": {"cache": False}}}, id="an exception first"),
        pytest.param({"routes": {"GET /a": {}, "/a": {"cache": False}}}, id="a method first"),
        pytest.param({"routes": {"/**": {}, "/a": {}}}, id="the same policy twice"),
        pytest.param({"routes": {"propfind /a": {}, "PURGE /b": {}}}, id="rare methods"),
    ],
)
def test_settings_that_mean_something_are_accepted(options):
    Settings.load(options, {})


@pytest.mark.parametrize("field", ["Authorization", "cookie", "x-a, If-None-Match", "range"])
def test_a_key_field_that_the_cache_handles_otherwise_is_refused(field):
    (line,) = faults({"cache_key_fields": field})
    assert line.startswith(f"cache_key_fields is {field!r}; expected a list of field names such as")
    assert line.endswith("to store responses for each user, set cache_partition for their routes.")


@pytest.mark.parametrize("name", ["report_path", "metrics_path", "purge_path"])
@pytest.mark.parametrize(
    "path",
    ["/-/*", "/{name}", "/a?b", "/a#b", "/a%20b", "/a/../b", "//a", "/a b", "/<script>", "a", 7],
)
def test_the_path_of_an_endpoint_is_no_pattern(name, path):
    (line,) = faults({name: path, "purge_token": "x"} if name == "purge_path" else {name: path})
    assert line.startswith(f"{name} is {path!r}; expected a path that begins with / such as /")
    assert "it is no pattern" in line


def test_a_media_type_is_no_pattern():
    (line,) = faults({"compressible_types": "text/*"})
    assert line == (
        "compressible_types is 'text/*'; expected a list of media types such as "
        "application/geo+json, text/csv, each in full (without *)."
    )


@pytest.mark.parametrize(
    ("routes", "line"),
    [
        (
            {"PSOT /x": {}},
            "routes['PSOT /x'] has the method 'PSOT', which is not one of HTTP; did you mean POST? "
            "A pattern without a method applies to all of them.",
        ),
        (
            {"qqqqq /x": {}},
            "routes['qqqqq /x'] has the method 'qqqqq', which is not one of HTTP; expected one "
            "such as GET or POST. A pattern without a method applies to all of them.",
        ),
        (
            {"HEAD /x": {}},
            "routes['HEAD /x'] would match no request, because a rule for GET also applies to "
            "HEAD; expected GET as the method.",
        ),
        (
            {"/x": {"cache": False, "cache_ttl": 60, "cache_body": True}},
            "routes['/x'] cache_ttl is 60, although cache is off; remove one of them.|"
            "routes['/x'] cache_body is True, although cache is off; remove one of them.",
        ),
        (
            {"/x": {"formats": False, "format_uploads": True}},
            "routes['/x'] format_uploads is True, although formats is off; remove one of them.",
        ),
        (
            {"/x": {"ttl": 60, "gzip_level": 3}},
            "routes['/x'] ttl is not a policy option; did you mean cache_ttl?|"
            "routes['/x'] gzip_level is not a policy option; this is a setting for all routes: "
            "give it to SerialMiddleware.",
        ),
        (
            {"/**": {"cache_ttl": 60}, "/account/{name}": {"cache": False}},
            "routes['/account/{name}'] is never used, because '/**' stands before it and matches "
            "all of its requests; put the narrower pattern first.",
        ),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(routes, line):
    assert faults({"routes": routes}) == line.split("|")


def test_a_route_that_is_to_be_cached_while_the_cache_is_off_is_named():
    assert faults({"cache": False, "routes": {"/a": {"cache_ttl": 60}}}) == [
        "routes['/a'] sets cache_ttl, although cache is off; turn cache on, or add cache=True to "
        "this route, or remove cache_ttl."
    ]


@pytest.mark.parametrize("use", [serial, set_policy])
@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"cache": False, "cache_shared": True}, "cache_shared is True, although cache is off"),
        ({"expire": 60}, "expire is not a policy option; did you mean cache_ttl?"),
    ],
)
def test_a_handler_is_told_the_same(use, options, line):
    with pytest.raises(ConfigurationError) as caught:
        use(**options)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ttl", "cache_ttl"),
        ("expire", "cache_ttl"),
        ("redis_url", "cache_url"),
        ("backend", "cache_url"),
        ("compresslevel", "gzip_level"),
        ("minimum_size", "min_size"),
        ("quality", "brotli_level"),
        ("key_prefix", "cache_namespace"),
        ("maxsize", "cache_memory"),
        ("exclude_paths", "routes"),
    ],
)
def test_the_name_of_another_library_leads_to_ours(name, meant):
    (line,) = faults({name: 1})
    assert line.startswith(f"{name} is not a setting; did you mean {meant}")
    variable = f"ASGI_SERIAL_{name.upper()}"
    (line,) = faults(environ={variable: "1"})
    assert line.startswith(f"{variable} is not a setting; did you mean ASGI_SERIAL_{meant.upper()}")


def test_an_option_of_routes_is_no_setting():
    (line,) = faults(environ={"ASGI_SERIAL_CACHE_SHARED": "on"})
    assert line == (
        "ASGI_SERIAL_CACHE_SHARED is not a setting; this is an option of single routes: set it by "
        "@serial, or for all of them by ASGI_SERIAL_ROUTES, such as {'/**': {...}}."
    )


@pytest.mark.parametrize(
    ("hints", "known"),
    [(SETTING_HINTS, Settings.model_fields), (POLICY_HINTS, RoutePolicy._fields)],
)
def test_a_hint_is_for_a_name_that_is_not_ours_and_names_ours(hints, known):
    assert hints.keys().isdisjoint(known)
    for name, hint in hints.items():
        assert hint.format_map({each: each for each in known} if known is not hints else {})
        assert hint[-1] in ".?", name


def test_the_settings_that_no_route_has_are_settings():
    for name, hint in POLICY_HINTS.items():
        assert ("SerialMiddleware" in hint) == (name in SettingOptions.__annotations__), name


segments = st.sampled_from(["a", "b", "*", "{x}", "a*", "*b", "**", "a**"])
patterns = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
paths = st.lists(st.sampled_from(["a", "b", "ab", "", "c", "aab"]), min_size=1, max_size=6).map(
    lambda parts: "/" + "/".join(parts)
)


@given(patterns, patterns, st.lists(paths, min_size=1, max_size=20))
def test_a_pattern_that_covers_another_matches_all_of_its_paths(first, other, paths):
    if max(first.count("**"), other.count("**")) > 1:
        return
    first, other = (build_rule(each, RoutePolicy()) for each in (first, other))
    if covers(first, other):
        assert not [p for p in paths if other.matches("GET", p) and not first.matches("GET", p)]


@pytest.mark.parametrize(
    ("first", "other", "does"),
    [
        ("/**", "/a/**", True),
        ("**", "/a", True),
        ("/a/*", "/a/{x}", True),
        ("/a/{x}", "/a/*", False),
        ("/*/*", "/**", False),
        ("/a/*", "/a/**", False),
        ("/a", "/a", True),
        ("/a", "GET /a", True),
        ("GET /a", "/a", False),
        ("GET /a", "get /a", True),
        ("POST /a", "GET /a", False),
        ("/**/a", "/b/*/a", True),
        ("/b*/**", "/b/c/**", True),
    ],
)
def test_a_pattern_covers_another(first, other, does):
    assert covers(*(build_rule(each, RoutePolicy()) for each in (first, other))) is does


def test_methods_are_upper_case_names():
    assert {name for name in METHODS if not name.isupper()} == set()
    assert {"GET", "POST", "QUERY", "PROPFIND"} <= METHODS


@pytest.mark.parametrize(
    "further",
    [{"gzip_level": 3}, {"store": {}}, {"recorder": object()}, {"route_resolver": len}],
)
def test_an_engine_takes_no_further_options(further):
    """They would have no effect."""
    with pytest.raises(
        ConfigurationError, match=f"{next(iter(further))} is given beside an engine"
    ):
        SerialMiddleware(None, engine=Engine(Settings.load({}, {})), **further)


@pytest.mark.parametrize(
    ("options", "environ", "origins"),
    [
        ({}, {}, {}),
        (
            {"gzip_level": 3, "cache_ttl": None},
            {"ASGI_SERIAL_GZIP_LEVEL": "4", "asgi_serial_min_size": "1"},
            {
                "gzip_level": "argument",
                "cache_ttl": "argument",
                "min_size": "asgi_serial_min_size",
            },
        ),
        (
            {"preset": "conformance", "cache_parts": False, **dict.fromkeys(("timing",), True)},
            {},
            {
                "preset": "argument",
                "cache_parts": "argument",
                "timing": "argument",
                **dict.fromkeys(
                    PRESETS["conformance"].keys() - {"cache_parts", "timing"}, "preset conformance"
                ),
            },
        ),
    ],
)
def test_settings_know_where_their_values_come_from(options, environ, origins):
    assert Settings.load(options, environ).origins == origins


def test_equal_settings_may_have_different_origins():
    one, other = (
        Settings.load({"cache_ttl": 5}, {}),
        Settings.load({}, {"ASGI_SERIAL_CACHE_TTL": "5"}),
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one.origins != other.origins
    assert Settings().origins == {}
    assert list(Settings().overridden) == []


def test_policies_for_merging_may_hold_what_no_user_writes():
    assert build_policy({"cache": False, "cache_ttl": 60}) == RoutePolicy(cache=False, cache_ttl=60)


@pytest.mark.parametrize(
    ("ignored", "name"), [("analytics, sid", "sid"), ("s*", "sid"), ("analytics", "_ga_1")]
)
def test_a_cookie_that_names_the_user_is_not_hidden_from_the_app(ignored, name):
    partition = {"/me/*": {"cache_partition": ["authorization", f"cookie:{name}"]}}
    (line,) = faults({"cache_ignore_cookies": ignored, "routes": partition, "cache": True})
    assert line.endswith(
        f"which hides the cookie {name!r} in cache_partition of routes['/me/*'] from the app; "
        "name it in only one of them."
    )


def test_a_field_that_names_the_user_has_all_of_its_values():
    partition = {"/": {"cache_partition": "cookie:sid, x-app"}}
    (line,) = faults({"cache_vary_normalize": {"x-app": ["a"]}, "routes": partition})
    assert line == (
        "cache_vary_normalize and cache_partition of routes['/'] both name 'x-app'; name it in "
        "only one of them."
    )
