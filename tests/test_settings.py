"""Settings: where values come from, how they are read, and what is said of wrong ones."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asgi_serial.admin.state import describe_settings
from asgi_serial.errors import ConfigurationError
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import RoutePolicy, build_rule


def read(name, text):
    """The value of `name` when its variable holds `text`."""
    return getattr(Settings.load({}, {f"ASGI_SERIAL_{name.upper()}": text}), name)


def faults(options=(), environ=()):
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(dict(options), dict(environ))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("options", "environ", "level"),
    [
        pytest.param({}, {}, 6, id="the default holds when nothing is said"),
        pytest.param({}, {"ASGI_SERIAL_GZIP_LEVEL": "4"}, 4, id="environment beats default"),
        pytest.param(
            {"gzip_level": 2}, {"ASGI_SERIAL_GZIP_LEVEL": "4"}, 2, id="argument beats environment"
        ),
        pytest.param(
            {"gzip_level": 6}, {"ASGI_SERIAL_GZIP_LEVEL": "4"}, 6, id="so does a default restated"
        ),
        pytest.param(
            {"gzip_level": 2},
            {"ASGI_SERIAL_GZIP_LEVEL": "x"},
            2,
            id="a beaten variable is not read",
        ),
        pytest.param({}, {"asgi_serial_Gzip_Level": "4"}, 4, id="names are read in any case"),
        pytest.param({}, {"ASGI_SERIAL_GZIP_LEVEL": " "}, 6, id="an empty variable is not set"),
        pytest.param({}, {"GZIP_LEVEL": "4", "ASGI": "1"}, 6, id="other variables are not ours"),
    ],
)
def test_sources(options, environ, level):
    assert Settings.load(options, environ).gzip_level == level


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("min_size", "512", 512),
        ("min_size", "1kB", 1000),
        ("min_size", "64 MB", 64_000_000),
        ("min_size", "1MiB", 2**20),
        ("min_size", "1.5kib", 1536),
        ("min_size", "1024GiB", 2**40),
        ("min_size", "0", 0),
        ("cache_ttl", "60", 60.0),
        ("cache_ttl", "60s", 60.0),
        ("cache_ttl", "250ms", 0.25),
        ("cache_ttl", "5m", 300.0),
        ("cache_ttl", "1H", 3600.0),
        ("cache_ttl", "1.5 d", 129_600.0),
        ("cache_ttl", "0", 0.0),
        ("cache_store_timeout", "100ms", 0.1),
        ("enabled", "0", False),
        ("enabled", "FALSE", False),
        ("enabled", "No", False),
        ("enabled", "off", False),
        ("server_timing", "1", True),
        ("server_timing", "True", True),
        ("server_timing", "YES", True),
        ("server_timing", " on ", True),
        ("codings", "GZIP, br", ("gzip", "br")),
        ("codings", "deflate", ("deflate",)),
        ("zstd_level", "-7", -7),
        ("brotli_level", "11", 11),
        ("format_uploads", " Auto ", None),
        ("format_uploads", "on", True),
        ("cache_key_fields", "X-Tenant,,Accept-Language ,", ("x-tenant", "accept-language")),
        ("cache_ignore_fields", "X-App-Version, cf-ipcountry", ("x-app-version", "cf-ipcountry")),
        ("cache_ignore_cookies", "Consent, v_*,", ("Consent", "v_*")),
        ("cache_key_cookies", "theme,lang", ("theme", "lang")),
        ("cache_ignore_query", "utm_*, fbclid,, fbclid", ("utm_*", "fbclid")),
        ("cache_query", "Page, filter[a], größe,x.y", ("Page", "filter[a]", "größe", "x.y")),
        ("cache_strip_fields", "X-Request-Id, ratelimit-*,", ("x-request-id", "ratelimit-*")),
        ("cache_set_cookie", "strip", "strip"),
        (
            "cache_vary_normalize",
            " Accept-Language = en | de-CH ,, X-Country=US|DE,",
            (("accept-language", ("en", "de-CH")), ("x-country", ("US", "DE"))),
        ),
        ("compressible_types", "Application/X-Thing", ("application/x-thing",)),
        ("report_path", "/-/timing", "/-/timing"),
        ("metrics_path", "/metrics", "/metrics"),
        ("metrics_buckets", "5ms, 0.1,1s", (0.005, 0.1, 1.0)),
        ("cache_name", "edge/1", "edge/1"),
    ],
)
def test_text_is_read(name, text, value):
    assert read(name, text) == value


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("cache_ttl", timedelta(minutes=2), 120.0),
        ("cache_ttl", 0.5, 0.5),
        ("cache_ttl", None, None),
        ("min_size", "2kB", 2000),
        ("codings", ["br"], ("br",)),
        ("report_token", None, None),
        ("brotli_level", None, None),
        ("metrics_buckets", [0.1, timedelta(seconds=1)], (0.1, 1.0)),
        ("format_uploads", False, False),
        ("format_uploads", None, None),
    ],
)
def test_arguments_are_read(name, given, value):
    assert getattr(Settings.load({name: given}, {}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gzip_level", "12", "an integer from 0 to 9"),
        ("gzip_level", "-1", "an integer from 0 to 9"),
        ("gzip_level", "6.0", "an integer from 0 to 9"),
        ("gzip_level", "٦", "an integer from 0 to 9"),
        ("zstd_level", "20", "an integer from -7 to 19"),
        ("enabled", "maybe", "true or false"),
        ("min_size", "-1", "a size such as"),
        ("min_size", "1kW", "a size such as"),
        ("min_size", "0.5", "a size such as"),
        ("min_size", "9" * 400, "a size such as"),
        ("min_size", "1025GiB", "a size such as"),
        ("cache_ttl", "soon", "a duration such as"),
        ("cache_ttl", "1e3", "a duration such as"),
        ("cache_ttl", "inf", "a duration such as"),
        ("cache_ttl", "100000d", "a duration such as"),
        ("cache_store_timeout", "0", "a duration above zero"),
        ("cache_store_timeout", "x", "a duration above zero"),
        ("format_uploads", "json", "auto, true or false (also 1, 0, yes, no, on, off)"),
        ("codings", "gzip,gzip", "a list of zstd, br, gzip, deflate, each at most once"),
        ("codings", "lzma", "a list of zstd, br, gzip, deflate, each at most once"),
        ("codings", ",", "a list of zstd, br, gzip, deflate, each at most once"),
        ("compressible_types", "text", "a list of media types"),
        ("cache_key_fields", "x y", "a list of field names"),
        ("cache_ignore_fields", "x y", "a list of field names"),
        ("cache_ignore_fields", "x-a, Authorization", "a list of field names"),
        ("cache_ignore_fields", "COOKIE", "a list of field names"),
        ("cache_ignore_fields", "host", "a list of field names"),
        *(
            ("cache_ignore_query", names, "a list of names of query parameters such as utm_*")
            for names in ("*", "a*b", "**", "a, b&c", "a=1", "utm%5F*", "a+b", "a b", "a;b", "#a")
        ),
        *(
            ("cache_strip_fields", names, "a list of names of response fields such as")
            for names in ("*", "x y", "x-*-id", "Vary", "etag", "x-a, Content-*", "x-*", "date")
        ),
        ("cache_strip_fields", "set-cookie", "a list of names of response fields such as"),
        *(
            ("cache_vary_normalize", offers, "a mapping from field names to lists of values")
            for offers in ("=en", "x y=1", "x-a=1, X-A=2", ", ".join(f"x-{n}=1" for n in range(17)))
        ),
        *(
            ("cache_vary_normalize", offers, "1 to 100 language tags such as en, de-CH for acc")
            for offers in ("accept-language", "Accept-Language=", "accept-language=en|EN|de")
        ),
        ("cache_vary_normalize", "accept-language=de_CH", "1 to 100 language tags"),
        ("cache_vary_normalize", "accept-language=*", "1 to 100 language tags"),
        ("cache_vary_normalize", "x-a=b||c", "1 to 100 values without commas for x-a"),
        ("cache_vary_normalize", "x-a=" + "|".join(map(str, range(101))), "1 to 100 values"),
        ("cache_vary_normalize", "x-a=grün", "1 to 100 values"),
        *(
            ("cache_vary_normalize", f"{name}=a", "fields that hold one of a few values such as")
            for name in ("Cookie", "authorization", "accept-encoding", "accept", "host", "range")
        ),
        ("cache_set_cookie", "keep", "refuse or strip"),
        ("cache_set_cookie", "Strip", "refuse or strip"),
        ("cache_query", "page, *", "a list of names of query parameters such as utm_*"),
        ("cache_query", "p\udcff", "a list of names of query parameters such as utm_*"),
        ("cache_name", "1st", "a token such as"),
        ("cache_namespace", "a b", "at most 100 visible ASCII characters"),
        ("metrics_path", "metrics", "a path that begins with /"),
        ("metrics_buckets", ",", "a list of 1 to 100 growing durations"),
        ("metrics_buckets", "1s,1s", "a list of 1 to 100 growing durations"),
        ("metrics_buckets", "0,1s", "a list of 1 to 100 growing durations"),
        ("metrics_buckets", ",".join(map(str, range(1, 102))), "a list of 1 to 100"),
        ("report_path", "timing", "a path that begins with /"),
        ("report_path", "/timing?", "a path that begins with /"),
        ("routes", "[", "a JSON object"),
        ("routes", '{"/a": {}, "/a": {}}', "a JSON object"),
        ("routes", "[1]", "a mapping from patterns"),
        ("routes", "1", "a mapping from patterns"),
    ],
)
def test_wrong_text_names_the_variable_the_value_and_what_is_expected(name, text, expected):
    variable = f"ASGI_SERIAL_{name.upper()}"
    (line,) = faults(environ={variable: text})
    assert line.startswith(f"{variable} is {text!r}"[:100])
    assert f"; expected {expected}" in line
    assert len(line) < 300


def test_a_field_is_no_part_of_the_key_that_is_ignored():
    environ = {"ASGI_SERIAL_CACHE_KEY_FIELDS": "x-a, x-b"}
    assert faults({"cache_ignore_fields": "X-B, x-c"}, environ) == [
        "cache_ignore_fields and ASGI_SERIAL_CACHE_KEY_FIELDS both name 'x-b'; "
        "name it in only one of them."
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gzip_level", True),
        ("gzip_level", 6.0),
        ("enabled", 1),
        ("enabled", None),
        ("min_size", True),
        ("min_size", float("nan")),
        ("cache_ttl", float("inf")),
        ("cache_ttl", -1),
        ("cache_ttl", -0.5),
        ("min_size", 0.1),
        ("cache_ttl", timedelta(seconds=-1)),
        ("cache_ttl", True),
        ("cache_name", b"edge"),
        ("codings", b"br"),
        ("metrics_buckets", b"1"),
        ("metrics_buckets", 1),
        ("codings", [1]),
        ("codings", 1),
        ("routes", None),
    ],
)
def test_wrong_arguments_are_named(name, value):
    (line,) = faults(options={name: value})
    assert line.startswith(f"{name} is {value!r}; expected ")


def test_all_faults_are_told_at_once():
    assert faults(
        options={"gzip_levl": 3, "cache_ttl": "soon"},
        environ={"ASGI_SERIAL_GZIP_LEVEL": "12", "asgi_serial_min_siz": "1", "ASGI_SERIAL_Q": "1"},
    ) == [
        "asgi_serial_min_siz is not a setting; did you mean ASGI_SERIAL_MIN_SIZE?",
        "ASGI_SERIAL_Q is not a setting; expected one of "
        + ", ".join(sorted(f"ASGI_SERIAL_{name.upper()}" for name in Settings.model_fields))
        + ".",
        "gzip_levl is not a setting; did you mean gzip_level?",
        "ASGI_SERIAL_GZIP_LEVEL is '12'; expected an integer from 0 to 9.",
        "cache_ttl is 'soon'; expected a duration such as 60s, 250ms, 5m, 1h, 7d or 60 (seconds).",
    ]


def test_a_variable_set_twice_is_a_fault():
    assert faults(environ={"ASGI_SERIAL_CACHE": "1", "asgi_serial_cache": "0"}) == [
        "asgi_serial_cache is also set as ASGI_SERIAL_CACHE; set only one of them."
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("cache_url", "hunter2"), ("cache_url", b"hunter2"), ("report_token", "hunter2 ")],
)
def test_a_secret_is_never_printed(name, value):
    (line,) = faults(options={name: value})
    assert line.startswith(f"{name} is not accepted (the value is secret); expected a")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://u:hunter2@h", "the store's URL 'http://***@h' has no known scheme"),
        ("redis://:hunter2@h/x", "the store's URL 'redis://***@h/***' has a path that is not"),
        ("redis://:hunter2@h:port", "the store's URL 'redis://***@h:***' has an invalid host"),
    ],
)
def test_a_wrong_url_of_a_store_is_named_beside_all_other_faults(url, fault):
    lines = faults(environ={"ASGI_SERIAL_CACHE_URL": url, "ASGI_SERIAL_GZIP_LEVEL": "12"})
    assert len(lines) == 2
    (line,) = (line for line in lines if line.startswith("ASGI_SERIAL_CACHE_URL: "))
    assert line.startswith(f"ASGI_SERIAL_CACHE_URL: {fault}")
    assert "hunter2" not in line


def test_a_number_beyond_any_float_is_a_fault_and_shown_in_part():
    (line,) = faults(options={"cache_ttl": 10**400})
    assert line.startswith("cache_ttl is 1000")
    assert "0...; expected a duration" in line
    assert len(line) < 250


def test_a_secret_is_not_printed_by_the_model_itself():
    with pytest.raises(ValidationError) as caught:
        Settings(report_token="hunter2 ")
    assert "hunter2" not in str(caught.value)


def test_an_accepted_secret_is_hidden_in_the_settings():
    settings = Settings.load(
        {"report_token": "hunter2", "report_path": "/-/timing"},
        {"ASGI_SERIAL_CACHE_URL": "redis://:pw@h"},
    )
    assert settings.cache_url.get_secret_value() == "redis://:pw@h"
    assert Settings.load({"cache_url": settings.cache_url}, {}).cache_url == settings.cache_url
    assert "hunter2" not in repr(settings)
    assert ":pw@" not in repr(settings)


def test_settings_are_values():
    options = {"routes": {"/a": {"cache_ttl": 1}}, "cache_url": "redis://h"}
    one, other = Settings.load(options, {}), Settings.load(options, {})
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(ValidationError, match="frozen"):
        one.gzip_level = 1


def test_routes_mean_the_same_from_code_and_from_the_environment():
    text = '{"/items/*": {"cache_ttl": "60s"}, "POST /search": {"cache_body": true}}'
    mapping = {"/items/*": RoutePolicy(cache_ttl=60.0), "POST /search": {"cache_body": True}}
    rules = [
        build_rule("/items/*", RoutePolicy(cache_ttl=60.0)),
        build_rule("POST /search", RoutePolicy(cache_body=True)),
    ]
    assert read("routes", text) == tuple(rules)
    assert Settings.load({"routes": mapping}, {}).routes == tuple(rules)
    assert Settings.load({"routes": rules}, {}).routes == tuple(rules)


def test_each_fault_in_routes_says_where_it_is():
    lines = faults(
        environ={
            "ASGI_SERIAL_ROUTES": '{"items": {}, "/x": {"cache_tl": 1, "cache": "x"}, "/y": 3}'
        }
    )
    assert [line.partition(";")[0] for line in lines] == [
        "ASGI_SERIAL_ROUTES['items'] is not a route pattern",
        "ASGI_SERIAL_ROUTES['/x'] cache_tl is not a policy option",
        "ASGI_SERIAL_ROUTES['/x'] cache is 'x'",
        "ASGI_SERIAL_ROUTES['/y'] is 3",
    ]


@given(st.sampled_from(sorted(Settings.model_fields)), st.text())
def test_any_text_is_a_value_or_a_configuration_error(name, text):
    variable = f"ASGI_SERIAL_{name.upper()}"
    try:
        settings = Settings.load({}, {variable: text})
    except ConfigurationError as error:
        message = str(error)
    else:
        message = variable + repr(settings)
    assert message.startswith(variable)


def test_every_setting_is_described():
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


@pytest.mark.parametrize(
    "offers",
    [{"accept-language": "en"}, {"x-a": [1]}, {1: ["a"]}, {"x-a": None}, ["x-a"], [1], 1, None],
    ids=repr,
)
def test_offers_in_code_are_lists_of_text_by_name(offers):
    with pytest.raises(ConfigurationError, match="a mapping from field names to lists of values"):
        Settings.load({"cache_vary_normalize": offers}, {})


def test_offers_are_shown_as_they_are_written():
    loaded = Settings.load({"cache_vary_normalize": {"X-A": ["b"], "x-c": ("d", "e")}}, {})
    (row,) = [row for row in describe_settings(loaded) if row["name"] == "cache_vary_normalize"]
    assert (row["value"], row["text"]) == ({"x-a": ["b"], "x-c": ["d", "e"]}, "x-a=b, x-c=d|e")
    assert Settings.load({"cache_vary_normalize": row["text"]}, {}) == loaded
    assert Settings.load({"cache_vary_normalize": loaded.cache_vary_normalize}, {}) == loaded
