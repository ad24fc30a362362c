"""What of a response is kept, for how long, and for whom."""

import pytest

from asgi_serial.caching.storing import decide_storing, find_storage_rules
from asgi_serial.http.field_names import RESPONSE_FIELDS
from asgi_serial.http.freshness import MISSING_STATUSES
from asgi_serial.http.headers import read_fields, without
from asgi_serial.reasons import Reason
from asgi_serial.settings.policy import RoutePolicy
from tests.engine.driver import Request, Whole, ask, awaited, serial_of
from tests.engine.making import NOW, NOW_DATE, Clock, make_engine, make_plan, make_scope

JSON_FIELDS = {"content_type": "application/json"}
AUTHORIZED = (b"authorization", b"Basic eDp5")
COOKIE = (b"cookie", b"a=b")
LATER = b"Tue, 14 Nov 2023 22:14:20 GMT"  # 60 seconds after NOW
EARLIER = b"Tue, 14 Nov 2023 22:12:20 GMT"


def stored(*response, request=(), status=200, method="GET", policy=None, **options):
    engine = make_engine(**options)
    plan = make_plan(engine, make_scope(method, headers=request))
    if policy is not None:
        plan = plan.with_(policy=policy)
    return decide_storing(engine, plan, status, read_fields(response, RESPONSE_FIELDS))


def control(value):
    return b"cache-control", value


@pytest.mark.parametrize(
    ("response", "options", "seconds"),
    [
        pytest.param([control(b"max-age=60")], {}, 60, id="max-age"),
        pytest.param([control(b"max-age=9, s-maxage=60")], {}, 60, id="s-maxage goes first"),
        pytest.param([(b"expires", LATER)], {}, 60, id="Expires, of now"),
        pytest.param([(b"expires", LATER), (b"date", EARLIER)], {}, 120, id="Expires, of its Date"),
        pytest.param([(b"expires", LATER), control(b"max-age=9")], {}, 9, id="max-age goes first"),
        pytest.param([], {"cache_ttl": 60}, 60, id="a ttl for all"),
        pytest.param([control(b"public")], {"cache_ttl": 60}, 60, id="a ttl where none is stated"),
        pytest.param([control(b"max-age=9")], {"cache_ttl": 60}, 9, id="the response's own first"),
        pytest.param([], {"cache_ttl": 9, "routes": {"/": {"cache_ttl": 60}}}, 60, id="a route's"),
        pytest.param([], {"cache_ttl": 60, "routes": {"/": {"cache": True}}}, 60),
    ],
)
def test_how_long_a_response_is_fresh(response, options, seconds):
    """RFC 9111, 4.2.1."""
    kept = stored(*response, **options)
    assert kept.expires - kept.generated_at == seconds


@pytest.mark.parametrize(
    ("response", "age"),
    [
        pytest.param([], 0, id="nothing said"),
        pytest.param([(b"age", b"7")], 7, id="Age"),
        pytest.param([(b"date", b"Tue, 14 Nov 2023 22:13:10 GMT")], 10, id="Date"),
        pytest.param([(b"date", NOW_DATE), (b"age", b"7")], 7, id="the greater of both"),
        pytest.param([(b"date", LATER)], 0, id="a Date to come"),
    ],
)
def test_a_response_may_have_an_age_when_it_comes(response, age):
    """RFC 9111, 4.2.3."""
    kept = stored(control(b"max-age=60"), *response)
    assert (kept.generated_at, kept.expires) == (NOW - age, NOW - age + 60)


def test_the_time_that_the_app_took_is_a_part_of_the_age():
    """RFC 9111, 4.2.3: corrected_age_value = age_value + response_delay."""
    clock = Clock()
    engine = make_engine(clock)
    plan = make_plan(engine, make_scope())
    clock.now += 5
    kept = decide_storing(engine, plan, 200, {b"cache-control": b"max-age=60", b"age": b"7"})
    assert kept.generated_at == clock.now - 12


@pytest.mark.parametrize(
    ("response", "more", "why"),
    [
        pytest.param([], {}, Reason.NO_FRESHNESS, id="nothing by default"),
        pytest.param([control(b"public")], {}, Reason.NO_FRESHNESS),
        pytest.param([control(b"no-store, max-age=60")], {}, Reason.NO_STORE),
        pytest.param([control(b"private, max-age=60")], {}, Reason.PRIVATE),
        pytest.param([control(b"no-cache, max-age=60")], {}, Reason.NO_CACHE),
        pytest.param([control(b"max-age=0")], {}, Reason.ALREADY_STALE),
        pytest.param([control(b"max-age=5"), (b"age", b"5")], {}, Reason.ALREADY_STALE),
        pytest.param([(b"expires", b"0")], {"cache_ttl": 60}, Reason.ALREADY_STALE),
        pytest.param([control(b"max-age=60"), (b"set-cookie", b"a=b")], {}, Reason.SETS_COOKIE),
        pytest.param([control(b"max-age=60"), (b"vary", b"*")], {}, Reason.VARIES_ON_EVERYTHING),
        pytest.param(
            [control(b"max-age=60"), (b"vary", b",".join(b"x%d" % n for n in range(17)))],
            {},
            Reason.VARIES_TOO_WIDELY,
            id="too many names",
        ),
        pytest.param([control(b"max-age=60")], {"status": 206}, Reason.STATUS_NOT_CACHED),
        pytest.param([control(b"max-age=60")], {"status": 304}, Reason.STATUS_NOT_CACHED),
        pytest.param([], {"status": 500, "cache_ttl": 60}, Reason.STATUS_NOT_CACHED),
        pytest.param([], {"status": 302, "cache_ttl": 60}, Reason.STATUS_NOT_CACHED),
        pytest.param([control(b"max-age=60")], {"method": "HEAD"}, Reason.METHOD_NOT_CACHED),
        pytest.param([control(b"max-age=60")], {"method": "POST"}, Reason.METHOD_NOT_CACHED),
        pytest.param([control(b"max-age=60")], {"method": "PUT"}, Reason.METHOD_NOT_CACHED),
        pytest.param(
            [control(b"max-age=60")],
            {"request": [(b"cache-control", b"no-store")]},
            Reason.REQUEST_NO_STORE,
        ),
        pytest.param(
            [control(b"max-age=60")],
            {"policy": RoutePolicy(cache=False)},
            Reason.CACHE_TURNED_OFF,
            id="the handler says no",
        ),
    ],
)
def test_what_is_not_kept(response, more, why):
    assert stored(*response, **more) is why


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
def test_a_ttl_holds_for_what_may_be_kept_without_the_apps_word(status):
    """RFC 9110, 15.1."""
    assert stored(status=status, cache_ttl=60).expires == NOW + (
        6 if status in MISSING_STATUSES else 60
    )


@pytest.mark.parametrize("status", [302, 403, 500, 503])
def test_another_status_is_kept_by_the_apps_own_word(status):
    assert stored(control(b"max-age=60"), status=status).expires == NOW + 60


ALL = {b"authorization", b"cookie", b"*"}
MODIFIED = (b"last-modified", b"Mon, 13 Nov 2023 22:13:20 GMT")
EXPIRES = (b"expires", b"Tue, 14 Nov 2023 22:14:20 GMT")


@pytest.mark.parametrize(
    ("response", "options", "credentialed"),
    [
        pytest.param([control(b"max-age=60")], {}, {b"*"}, id="for nobody who is known"),
        pytest.param([control(b"max-age=60, public")], {}, ALL, id="public"),
        pytest.param([control(b"s-maxage=60")], {}, {b"authorization", b"*"}, id="s-maxage"),
        pytest.param([control(b"max-age=60, must-revalidate")], {}, {b"authorization", b"*"}),
        pytest.param([control(b"must-revalidate")], {"cache_ttl": 60}, {b"authorization"}),
        pytest.param([control(b"public")], {"cache_ttl": 60}, ALL, id="public, for a ttl"),
        pytest.param([MODIFIED], {"cache_heuristic": True}, set(), id="nor is a guess"),
        pytest.param([EXPIRES], {"cache_ttl": 60}, {b"*"}, id="Expires, for nobody who is known"),
        pytest.param([], {"cache_ttl": 60}, set(), id="a ttl is no leave to share"),
        pytest.param([], {"routes": {"/": {"cache_ttl": 60, "cache_shared": True}}}, ALL),
    ],
)
def test_with_whom_a_response_is_shared(response, options, credentialed):
    """RFC 9111, 3.5."""
    assert stored(*response, **options).credentialed == credentialed
    for field in (AUTHORIZED, COOKIE):
        kept = stored(*response, request=[field], **options)
        if field[0] in credentialed:
            assert kept.credentialed == credentialed
        else:
            assert kept is Reason.REQUEST_HAS_CREDENTIALS


def test_a_route_that_is_shared_keeps_no_response_that_is_private():
    routes = {"/": {"cache_ttl": 60, "cache_shared": True}}
    assert stored(control(b"private"), routes=routes) is Reason.PRIVATE
    assert stored((b"set-cookie", b"a=b"), routes=routes) is Reason.SETS_COOKIE


@pytest.mark.parametrize(
    ("vary", "vary_values"),
    [
        (b"Origin", ((b"origin", b"here"),)),
        (b"X-None", ((b"x-none", None),)),
        (b"Origin, Accept-Language", ((b"accept-language", b"de,en"), (b"origin", b"here"))),
        (b"Accept-Encoding", ()),
        (b"Accept", ((b"accept", b"text/html"),)),
    ],
)
def test_what_selects_a_response_that_varies(vary, vary_values):
    """RFC 9111, 4.1."""
    request = [
        (b"origin", b"here"),
        (b"accept-language", b"DE"),
        (b"accept-language", b"en"),
        (b"accept-encoding", b"gzip"),
        (b"accept", b"text/html"),
    ]
    kept = stored(control(b"max-age=60"), (b"vary", vary), request=request)
    assert kept.vary_values == vary_values


def test_an_app_that_was_shown_accept_encoding_varies_on_it():
    kept = stored(
        control(b"max-age=60"),
        (b"vary", b"Accept-Encoding"),
        request=[(b"accept-encoding", b"gzip")],
        compression=False,
    )
    assert kept.vary_values == ((b"accept-encoding", b"gzip"),)


@pytest.mark.parametrize(
    ("accepted", "coding", "vary_values"),
    [
        pytest.param(None, None, (), id="it was not there"),
        pytest.param(b"gzip", None, (), id="it was hidden"),
        pytest.param(b"deflate", None, (b"deflate",), id="it was shown"),
        pytest.param(b"identity", None, (b"identity",), id="no coding is wanted"),
        pytest.param(b"deflate", b"deflate", (b"deflate",), id="it was shown and used"),
        pytest.param(b"gzip", b"gzip", (b"gzip",), id="it was hidden, and the app encodes"),
        pytest.param(None, b"gzip", (None,), id="it was not there, and the app encodes"),
    ],
)
def test_a_response_is_selected_by_the_codings_that_the_app_was_shown(
    accepted, coding, vary_values
):
    """RFC 9111, 4.1: by the fields of the request that the app answered."""
    kept = stored(
        *(control(b"max-age=60"), (b"vary", b"Accept-Encoding")),
        *(() if coding is None else ((b"content-encoding", coding),)),
        request=[] if accepted is None else [(b"accept-encoding", accepted)],
    )
    assert kept.vary_values == tuple((b"accept-encoding", value) for value in vary_values)


@pytest.mark.parametrize(
    ("connection", "said", "names"),
    [
        (None, b"max-age=60", [b"etag", b"x-hop"]),
        (b"close", b"max-age=60", [b"etag", b"x-hop"]),
        (b"X-Hop, Close", b"max-age=60", [b"etag"]),
        (None, b'max-age=60, private="ETag"', [b"x-hop"]),
        (b"x-hop", b'max-age=60, no-cache="etag"', []),
    ],
)
def test_the_fields_of_one_connection_answer_or_user_are_not_kept(connection, said, names):
    """RFC 9111, 3.1, 5.2.2.4 and 5.2.2.7; RFC 9110, 7.6.1."""
    given = [b"connection", b"keep-alive", b"etag", b"age", b"transfer-encoding", b"x-hop"]
    given += [b"server-timing", b"trailer", b"upgrade"]
    lines = [control(said)] if connection is None else [control(said), (b"connection", connection)]
    kept = without([(name, b"v") for name in given], stored(*lines).unstored)
    assert [name for name, _ in kept] == names


@pytest.mark.parametrize(
    ("status", "settings", "seconds"),
    [
        (404, {"cache_ttl": 60, "cache_negative_ttl": 5}, 5),
        (404, {"cache_negative_ttl": 5}, 5),
        (404, {"cache_ttl": 60}, 6),
        (410, {"cache_ttl": 60}, 6),
        (404, {"cache_ttl": 3600}, 10),
        (404, {"cache_ttl": 0}, None),
        (405, {"cache_ttl": 60}, 60),
        (404, {"cache_ttl": 60, "cache_negative_ttl": 60}, 60),
        (404, {"routes": {"/": {"cache_ttl": 60}}}, 6),
        (404, {"cache_ttl": 600, "routes": {"/": {"cache_ttl": 20}}}, 2),
        (200, {"cache_ttl": 60, "cache_negative_ttl": 5}, 60),
        (404, {"cache_ttl": 60, "cache_negative_ttl": 0}, None),
        (500, {"cache_negative_ttl": 5}, None),
        (200, {"cache_negative_ttl": 5}, None),
    ],
)
def test_what_there_is_not_may_have_a_lifetime_of_its_own(status, settings, seconds):
    kept = stored(status=status, **settings)
    assert (None if isinstance(kept, Reason) else kept.expires - NOW) == seconds


@pytest.mark.parametrize("said", [b"max-age=60", b"public, s-maxage=60"])
@pytest.mark.parametrize("status", [404, 410])
def test_the_lifetime_that_an_error_states_is_obeyed(status, said):
    assert stored(control(said), status=status, cache_ttl=30).expires == NOW + 60


@awaited
async def test_a_resource_that_was_never_stored_may_come_to_be_missing():
    app = Whole(b"{}", status=200, **JSON_FIELDS)
    serial = serial_of(app, cache_negative_ttl=60)
    for _ in range(3):
        await ask(serial, Request())
    app.status = 404
    said = [(await ask(serial, Request())).one("cache-status") for _ in range(3)]
    assert app.calls == 4
    assert all("; hit;" in line for line in said[1:])


@pytest.mark.parametrize("said", [b"no-cache", b"max-age=0", b"max-age=60"])
@pytest.mark.parametrize("confirms", [True, False])
def test_what_is_never_fresh_is_kept_to_be_confirmed_where_that_is_asked_for(said, confirms):
    kept = stored(control(said), (b"etag", b'"1"'), cache_confirm=confirms)
    assert isinstance(kept, Reason) is not (confirms or said == b"max-age=60")


RULED = {b"cache-control": b"max-age=60"}


def rules_of(engine, more=(), *, status=200, is_private=False, explicitly_shared=False):
    fields = RULED | dict(more)
    return find_storage_rules(
        engine, status, fields, is_private=is_private, explicitly_shared=explicitly_shared
    )


@pytest.mark.parametrize("more", [{}, {b"etag": b"1"}, {b"content-type": b"text/html"}])
def test_the_rules_are_read_once_for_responses_that_are_alike(more):
    engine = make_engine()
    assert rules_of(engine, more) is rules_of(engine)


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({b"cache-control": b"max-age=61"}, {}),
        ({b"cdn-cache-control": b"max-age=60"}, {}),
        ({b"asgi-serial-cache-control": b"max-age=60"}, {}),
        ({b"vary": b"origin"}, {}),
        ({b"connection": b"x-hop"}, {}),
        ({b"set-cookie": b"a=b"}, {}),
        ({b"expires": LATER}, {}),
        ({}, {"status": 404}),
        ({}, {"is_private": True}),
        ({}, {"explicitly_shared": True}),
    ],
)
def test_the_rules_are_read_anew_where_a_fact_differs(more, facts):
    engine = make_engine()
    assert rules_of(engine, more, **facts) is not rules_of(engine)
    assert rules_of(engine, more, **facts) is rules_of(engine, more, **facts)
