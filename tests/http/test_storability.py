"""Whether a shared cache may take part in a request, and store its response."""

import pytest

from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.field_names import CREDENTIAL_FIELDS, UNSTORED_FIELDS
from asgi_serial.http.reuse import Options
from asgi_serial.http.storability import (
    StorageFacts,
    allows_credentials,
    forces_revalidation,
    may_omit_cookies,
    read_storage_rules,
    unstored_names,
    why_not_looked_up,
    why_not_usable,
)
from asgi_serial.reasons import Reason


def fields(pairs: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in pairs.items()}


@pytest.mark.parametrize(
    ("method", "request_fields", "reason"),
    [
        pytest.param("GET", {}, None, id="a plain GET"),
        pytest.param("HEAD", {"accept": "*/*"}, None, id="a plain HEAD"),
        pytest.param("POST", {}, Reason.METHOD_NOT_CACHED, id="POST"),
        pytest.param("get", {}, Reason.METHOD_NOT_CACHED, id="methods are case-sensitive"),
        pytest.param("OPTIONS", {}, Reason.METHOD_NOT_CACHED, id="safe, but not cacheable"),
        pytest.param("GET", {"range": "bytes=0-1"}, None, id="a range"),
        pytest.param("GET", {"content-length": "0"}, None, id="an empty body"),
        pytest.param("GET", {"content-length": " 000"}, None, id="an empty body, oddly written"),
        pytest.param("GET", {"content-length": "10"}, Reason.REQUEST_HAS_BODY, id="a body"),
        pytest.param("HEAD", {"content-length": "x"}, Reason.REQUEST_HAS_BODY, id="perhaps a body"),
        pytest.param("GET", {"transfer-encoding": "chunked"}, Reason.REQUEST_HAS_BODY, id="chunks"),
        pytest.param("GET", {"cache-control": "no-store"}, Reason.REQUEST_NO_STORE, id="no-store"),
        pytest.param("GET", {"cache-control": "no-cache"}, None, id="no-cache is another question"),
        pytest.param("GET", {"authorization": "x", "cookie": "y"}, None, id="credentials are, too"),
        pytest.param(
            "GET", {"x-forwarded-proto": "https", "x-forwarded-for": "::1"}, None, id="proxied"
        ),
    ],
)
def test_why_not_looked_up(
    method: str, request_fields: dict[str, str], reason: Reason | None
) -> None:
    request = fields(request_fields)
    cache_control = request.get(b"cache-control")
    cc = None if cache_control is None else parse_cache_control(cache_control)
    assert why_not_looked_up(method, request, cc) is reason


def test_a_field_that_may_route_elsewhere_bypasses() -> None:
    request = {b"host": b"a"}
    bypass = Reason.REQUEST_HAS_UNKEYED_FIELD
    assert why_not_looked_up("GET", request, None, is_routed=True) is bypass


def test_an_opted_in_method_may_have_a_body() -> None:
    methods = frozenset({"GET", "POST"})
    body = {b"content-length": b"10"}
    assert why_not_looked_up("POST", body, None, methods=methods) is None
    assert why_not_looked_up("GET", body, None, methods=methods) is Reason.REQUEST_HAS_BODY


@pytest.mark.parametrize(
    ("request_fields", "forced"),
    [
        pytest.param({}, False, id="no directives"),
        pytest.param({"cache-control": "no-cache"}, True, id="no-cache"),
        pytest.param({"cache-control": "max-age=0"}, True, id="max-age=0"),
        pytest.param({"cache-control": "max-age=x"}, True, id="an invalid max-age"),
        pytest.param({"cache-control": "max-age=10"}, False, id="a positive max-age"),
        pytest.param({"pragma": "no-cache"}, True, id="Pragma"),
        pytest.param({"pragma": "x, No-Cache"}, True, id="Pragma in a list and any case"),
        pytest.param({"pragma": "no-cached"}, False, id="another Pragma"),
        pytest.param(
            {"cache-control": "max-age=10", "pragma": "no-cache"},
            False,
            id="Cache-Control before it",
        ),
    ],
)
def test_forces_revalidation(request_fields: dict[str, str], forced: bool) -> None:
    request = fields(request_fields)
    cache_control = request.get(b"cache-control")
    cc = None if cache_control is None else parse_cache_control(cache_control)
    assert forces_revalidation(request, cc) is forced


def reason_for(
    *,
    status: int = 200,
    request: dict[str, str] | None = None,
    lifetime: float | None = 60.0,
    shared: bool = False,
    age: float = 0.0,
    **response: str,
) -> Reason | None:
    """Return why a response is not stored whose lifetime is this one, whatever its fields say."""
    named = fields({name.replace("_", "-"): value for name, value in response.items()})
    facts = StorageFacts(
        status,
        named.get(b"vary", b""),
        named.get(b"connection"),
        sets_cookie=b"set-cookie" in named,
        has_expires=b"expires" in named,
        is_private=False,
        explicitly_shared=shared,
    )
    rules = read_storage_rules(facts, parse_cache_control(named.get(b"cache-control", b"")))
    if rules.forbidden is not None:
        return rules.forbidden
    if not fields(request or {}).keys() <= rules.fresh_credentials:
        return Reason.REQUEST_HAS_CREDENTIALS
    return why_not_usable(rules, lifetime, age, 0.0)


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
def test_a_status_that_a_policy_may_store(status: int) -> None:
    assert reason_for(status=status) is None
    assert reason_for(status=status, lifetime=None) is Reason.NO_FRESHNESS


@pytest.mark.parametrize(
    "status", [201, 202, 302, 303, 307, 400, 401, 403, 429, 451, 500, 503, 599]
)
def test_a_status_that_takes_the_word_of_the_app(status: int) -> None:
    assert reason_for(status=status) is Reason.STATUS_NOT_CACHED
    assert reason_for(status=status, cache_control="max-age=60") is None
    assert reason_for(status=status, cache_control="s-maxage=60") is None
    assert reason_for(status=status, cache_control="public") is None
    assert reason_for(status=status, expires="Sun, 06 Nov 1994 08:49:37 GMT") is None


@pytest.mark.parametrize("status", [100, 101, 103, 199, 206, 304, 412, 416, 417])
def test_a_status_that_is_never_stored(status: int) -> None:
    assert reason_for(status=status, cache_control="public, max-age=60") is Reason.STATUS_NOT_CACHED


@pytest.mark.parametrize(
    ("status", "cache_control", "reason"),
    [
        pytest.param(200, "must-understand, max-age=9", None, id="understood"),
        pytest.param(200, "must-understand, no-store, max-age=9", None, id="no-store gives way"),
        pytest.param(
            599, "must-understand, max-age=9", Reason.STATUS_NOT_CACHED, id="not understood"
        ),
        pytest.param(
            599,
            "must-understand, no-store, max-age=9",
            Reason.STATUS_NOT_CACHED,
            id="nor beside no-store",
        ),
        pytest.param(
            200,
            "must-understand, no-store, private",
            Reason.PRIVATE,
            id="private does not give way",
        ),
    ],
)
def test_must_understand(status: int, cache_control: str, reason: Reason | None) -> None:
    assert reason_for(status=status, cache_control=cache_control) is reason


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param({}, None, id="nothing forbids it"),
        pytest.param({"cache_control": "no-store"}, Reason.NO_STORE, id="no-store"),
        pytest.param({"cache_control": "no-store, public"}, Reason.NO_STORE, id="though public"),
        pytest.param({"cache_control": "private"}, Reason.PRIVATE, id="private"),
        pytest.param({"cache_control": 'private="x"'}, None, id="a private field"),
        pytest.param({"cache_control": "private=x"}, Reason.PRIVATE, id="a field without quotes"),
        pytest.param({"cache_control": "no-cache"}, Reason.NO_CACHE, id="no-cache"),
        pytest.param({"cache_control": 'no-cache="x"'}, None, id="a no-cache field"),
        pytest.param(
            {"cache_control": "private; max-age=0"}, Reason.MALFORMED_CACHE_CONTROL, id="semicolons"
        ),
        pytest.param(
            {"cache_control": "must-understand, public, (no-store)"},
            Reason.MALFORMED_CACHE_CONTROL,
            id="brackets, beside what lifts no-store",
        ),
        pytest.param({"set_cookie": "a=b"}, Reason.SETS_COOKIE, id="a cookie"),
        pytest.param(
            {"set_cookie": "a=b", "cache_control": "public"}, Reason.SETS_COOKIE, id="though public"
        ),
        pytest.param({"vary": "accept, *"}, Reason.VARIES_ON_EVERYTHING, id="Vary: *"),
        pytest.param({"vary": "accept, origin"}, None, id="an ordinary Vary"),
        pytest.param(
            {"vary": ",".join(f"x{n}" for n in range(17))},
            Reason.VARIES_TOO_WIDELY,
            id="a wide Vary",
        ),
    ],
)
def test_why_not_stored(response: dict[str, str], reason: Reason | None) -> None:
    assert reason_for(**response) is reason
    assert reason_for(**response, shared=True) is reason


@pytest.mark.parametrize(
    ("lifetime", "age", "reason"),
    [
        (None, 0.0, Reason.NO_FRESHNESS),
        (0.0, 0.0, Reason.ALREADY_STALE),
        (60.0, 60.0, Reason.ALREADY_STALE),
        (60.0, 61.0, Reason.ALREADY_STALE),
        (60.0, 59.5, None),
    ],
)
def test_what_is_not_fresh_is_not_stored(
    lifetime: float | None, age: float, reason: Reason | None
) -> None:
    assert reason_for(lifetime=lifetime, age=age) is reason


@pytest.mark.parametrize(
    ("names", "cache_control", "allowed"),
    [
        pytest.param([], "max-age=9", True, id="no credentials"),
        pytest.param(["authorization"], "max-age=9", False, id="Authorization"),
        pytest.param(["authorization"], "public", True, id="Authorization, public"),
        pytest.param(["authorization"], "s-maxage=9", True, id="Authorization, s-maxage"),
        pytest.param(
            ["authorization"], "must-revalidate", True, id="Authorization, must-revalidate"
        ),
        pytest.param(
            ["authorization"], "proxy-revalidate", False, id="Authorization, proxy-revalidate"
        ),
        pytest.param(["cookie"], "max-age=9", False, id="Cookie"),
        pytest.param(["cookie"], "public", True, id="Cookie, public"),
        pytest.param(["cookie"], "s-maxage=9, must-revalidate", False, id="Cookie, s-maxage"),
        pytest.param(["authorization", "cookie"], "s-maxage=9", False, id="both, s-maxage"),
        pytest.param(["authorization", "cookie"], "public", True, id="both, public"),
    ],
)
def test_credentials(names: list[str], cache_control: str, allowed: bool) -> None:
    request = fields(dict.fromkeys(names, "x"))
    cc = parse_cache_control(cache_control.encode())
    assert allows_credentials(request, cc, explicitly_shared=False) is allowed
    assert allows_credentials(request, cc, explicitly_shared=True)
    reason = reason_for(request=dict.fromkeys(names, "x"), cache_control=cache_control)
    assert reason is (None if allowed else Reason.REQUEST_HAS_CREDENTIALS)


def test_what_all_users_may_share_is_known_without_a_request() -> None:
    public, shared = parse_cache_control(b"public"), parse_cache_control(b"s-maxage=9")
    assert allows_credentials(CREDENTIAL_FIELDS, public, explicitly_shared=False)
    assert not allows_credentials(CREDENTIAL_FIELDS, shared, explicitly_shared=False)


@pytest.mark.parametrize(
    ("cache_control", "options", "seconds"),
    [
        pytest.param("max-age=9", Options(), 0, id="nothing said, nothing set"),
        pytest.param("max-age=9", Options(5, 7), 7, id="the greater of both settings"),
        pytest.param("stale-while-revalidate=3", Options(5, 2), 3, id="the response's own first"),
        pytest.param("stale-if-error=3, stale-while-revalidate=1", Options(5, 7), 3, id="both"),
        pytest.param("stale-if-error=0, stale-while-revalidate=0", Options(5, 7), 0, id="none"),
        pytest.param("stale-if-error=3, must-revalidate", Options(5, 7), 0, id="must-revalidate"),
        pytest.param("stale-if-error=3, proxy-revalidate", Options(5, 7), 0, id="shared caches"),
        pytest.param("stale-if-error=3, no-cache", Options(5, 7), 0, id="no-cache"),
        pytest.param('stale-if-error=3, no-cache="x"', Options(), 3, id="a no-cache field"),
    ],
)
def test_how_long_a_response_may_be_used_stale(
    cache_control: str, options: Options, seconds: float
) -> None:
    """RFC 5861, 3 and 4; RFC 9111, 4.2.4."""
    facts = StorageFacts(
        *(200, b"", None),
        sets_cookie=False,
        has_expires=False,
        is_private=False,
        explicitly_shared=False,
    )
    cc = parse_cache_control(cache_control.encode())
    assert read_storage_rules(facts, cc, options).stale_seconds == seconds


def test_fields_of_one_connection_are_not_stored() -> None:
    assert unstored_names(None) is UNSTORED_FIELDS
    names = unstored_names(b"close, X-Hop , keep-alive")
    assert names == UNSTORED_FIELDS | {b"close", b"x-hop"}
    assert b"x-hop" not in UNSTORED_FIELDS


@pytest.mark.parametrize(
    ("method", "has_credentials", "is_private", "is_meant", "may_omit"),
    [
        pytest.param("GET", False, False, True, True, id="meant to be stored"),
        pytest.param("HEAD", False, False, True, True, id="HEAD, of a GET"),
        pytest.param("GET", False, False, False, False, id="only a setting for all routes"),
        pytest.param("GET", True, False, True, False, id="with credentials"),
        pytest.param("GET", False, True, True, False, id="in a partition"),
        pytest.param("POST", False, False, True, False, id="POST"),
        pytest.param("QUERY", False, False, True, False, id="QUERY"),
    ],
)
def test_cookies_are_omitted_only_from_what_is_meant_to_be_stored(
    method: str, has_credentials: bool, is_private: bool, is_meant: bool, may_omit: bool
) -> None:
    assert may_omit is may_omit_cookies(
        method, has_credentials=has_credentials, is_private=is_private, is_meant=is_meant
    )
