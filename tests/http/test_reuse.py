from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.fields import MAX_DELTA_SECONDS
from asgi_serial.http.reuse import (
    Action,
    Decision,
    Options,
    RequestDirectives,
    Stored,
    decide,
    forbids_stale,
    may_use_on_error,
)
from asgi_serial.reasons import Reason

NOW = 1_700_000_000.0
LIFETIME = 100.0

HIT = Decision(Action.USE, Reason.HIT)
ACCEPTED = Decision(Action.USE, Reason.STALE_ACCEPTED)
REFRESH = Decision(Action.USE_STALE_AND_REFRESH, Reason.STALE_WHILE_REVALIDATE)
STALE = Decision(Action.VALIDATE, Reason.STALE)
NO_CACHE = Decision(Action.VALIDATE, Reason.NO_CACHE)
UNWANTED = Decision(Action.VALIDATE, Reason.REQUEST_NO_CACHE)
REFUSED = Decision(Action.REFUSE, Reason.ONLY_IF_CACHED)


class Entry(NamedTuple):
    """A response that is fresh for 100 seconds."""

    generated_at: float = NOW
    expires: float = NOW + LIFETIME
    no_cache: bool = False
    must_revalidate: bool = False
    immutable: bool = False
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    has_validator: bool = True


def aged(age: float, response: str = "", *, has_validator: bool = True) -> Stored:
    """An entry of this age, in seconds, whose response has these directives."""
    cc = parse_cache_control(response.encode())
    return Entry(
        NOW - age,
        NOW - age + LIFETIME,
        cc.no_cache,
        forbids_stale(cc),
        cc.immutable,
        cc.stale_while_revalidate,
        cc.stale_if_error,
        has_validator,
    )


def asked(request: str | None, *, pragma: bool = False, honours: bool = True) -> RequestDirectives:
    cc = None if request is None else parse_cache_control(request.encode())
    return RequestDirectives(cc, pragma, honours)


@pytest.mark.parametrize(
    ("age", "response", "request_", "expected"),
    [
        pytest.param(0, "", None, HIT, id="4.2: just stored"),
        pytest.param(99.9, "", None, HIT, id="4.2: fresh to the last"),
        pytest.param(100, "", None, STALE, id="4.2: fresh only while the lifetime exceeds the age"),
        pytest.param(500, "", None, STALE, id="4.2.4: nothing allows a stale response"),
        pytest.param(0, "no-cache", None, NO_CACHE, id="5.2.2.4: no-cache, though fresh"),
        pytest.param(500, "no-cache", "max-stale", NO_CACHE, id="5.2.2.4: no-cache, whoever asks"),
        pytest.param(50, "must-revalidate", None, HIT, id="5.2.2.2: fresh, it is used"),
        # What the client says, of a fresh response.
        pytest.param(0, "", "no-cache", UNWANTED, id="5.2.1.4: the client's no-cache"),
        pytest.param(0, "", "no-cache=x", UNWANTED, id="5.2.1.4: whatever its argument"),
        pytest.param(0, "", "max-age=0", UNWANTED, id="5.2.1.1: max-age=0, of this very moment"),
        pytest.param(1, "", "max-age=0", UNWANTED, id="5.2.1.1: max-age=0, a second old"),
        pytest.param(50, "", "max-age=50", HIT, id="5.2.1.1: as old as max-age"),
        pytest.param(51, "", "max-age=50", UNWANTED, id="5.2.1.1: older than max-age"),
        pytest.param(51, "", "max-age=50, max-stale", UNWANTED, id="5.2.1.1: even with max-stale"),
        pytest.param(51, "", "max-age=x", UNWANTED, id="5.2.1.1: an invalid max-age is 0"),
        pytest.param(50, "", "min-fresh=50", HIT, id="5.2.1.3: fresh for min-fresh"),
        pytest.param(51, "", "min-fresh=50", UNWANTED, id="5.2.1.3: fresh for less than that"),
        pytest.param(50, "", "max-stale=0", HIT, id="5.2.1.2: max-stale of a fresh response"),
        pytest.param(50, "", "no-transform, foo=1", HIT, id="5.2.1: others say nothing of reuse"),
        pytest.param(51, "immutable", "max-age=0", HIT, id="RFC 8246, 2.1: a reload"),
        pytest.param(51, "immutable", "no-cache", UNWANTED, id="RFC 8246, 2.1: a forced reload"),
        pytest.param(51, "immutable", "min-fresh=50", UNWANTED, id="RFC 8246: not about its end"),
        pytest.param(500, "immutable", None, STALE, id="RFC 8246, 2: while it is fresh only"),
        # What the client says, of a stale response.
        pytest.param(500, "", "max-stale", ACCEPTED, id="5.2.1.2: any staleness"),
        pytest.param(160, "", "max-stale=60", ACCEPTED, id="5.2.1.2: no staler than max-stale"),
        pytest.param(161, "", "max-stale=60", STALE, id="5.2.1.2: staler than max-stale"),
        pytest.param(101, "", "max-stale=x", STALE, id="5.2.1.2: an invalid max-stale"),
        pytest.param(160, "", "max-stale, max-age=160", ACCEPTED, id="5.2.1.1: stale, not too old"),
        pytest.param(160, "", "max-stale, max-age=159", STALE, id="5.2.1.1: stale and too old"),
        pytest.param(160, "", "max-stale, min-fresh=0", STALE, id="5.2.1.3: fresh, it has to be"),
        pytest.param(160, "", "max-stale, no-cache", STALE, id="5.2.1.4: no-cache over max-stale"),
        pytest.param(160, "must-revalidate", "max-stale", STALE, id="5.2.2.2: must-revalidate"),
        pytest.param(160, "proxy-revalidate", "max-stale", STALE, id="5.2.2.8: proxy-revalidate"),
        pytest.param(160, "s-maxage=100", "max-stale", STALE, id="5.2.2.10: s-maxage"),
        # What the response says of its own use while stale.
        pytest.param(
            160, "stale-while-revalidate=60", None, REFRESH, id="RFC 5861, 3: at its limit"
        ),
        pytest.param(161, "stale-while-revalidate=60", None, STALE, id="RFC 5861, 3: past it"),
        pytest.param(100, "stale-while-revalidate=0", None, STALE, id="RFC 5861, 3: of nothing"),
        pytest.param(
            160,
            "stale-while-revalidate=60, must-revalidate",
            None,
            STALE,
            id="4.2.4: must-revalidate over stale-while-revalidate",
        ),
        pytest.param(
            160,
            "stale-while-revalidate=60",
            "max-stale",
            REFRESH,
            id="RFC 5861, 3: allowed by both, it is refreshed",
        ),
        pytest.param(
            160,
            "stale-while-revalidate=60",
            "max-stale=30",
            STALE,
            id="5.2.1.2: the client wants it less stale than the response allows",
        ),
        pytest.param(
            160,
            "stale-while-revalidate=60",
            "max-age=1000",
            STALE,
            id="5.2.1.1: a client that names an age wants nothing stale",
        ),
        pytest.param(
            160, "stale-while-revalidate=60", "min-fresh=0", STALE, id="5.2.1.3: wants it fresh"
        ),
        pytest.param(
            160, "stale-while-revalidate=60", "no-cache", STALE, id="5.2.1.4: wants the app's word"
        ),
        pytest.param(160, "stale-if-error=60", None, STALE, id="RFC 5861, 4: there is no error"),
        # only-if-cached.
        pytest.param(0, "", "only-if-cached", HIT, id="5.2.1.7: a fresh response"),
        pytest.param(100, "", "only-if-cached", REFUSED, id="5.2.1.7: a stale response"),
        pytest.param(0, "no-cache", "only-if-cached", REFUSED, id="5.2.1.7: one to be validated"),
        pytest.param(9, "", "only-if-cached, max-age=8", REFUSED, id="5.2.1.7: one too old"),
        pytest.param(500, "", "only-if-cached, max-stale", ACCEPTED, id="5.2.1.7: and max-stale"),
        pytest.param(
            160, "stale-while-revalidate=60", "only-if-cached", REFRESH, id="5.2.1.7: refreshed"
        ),
    ],
)
def test_decision(age: float, response: str, request_: str | None, expected: Decision) -> None:
    assert decide(asked(request_), aged(age, response), NOW) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(asked(None, pragma=True), UNWANTED, id="5.4: Pragma counts alone"),
        pytest.param(asked("", pragma=True), HIT, id="5.4: not beside Cache-Control"),
        pytest.param(asked("max-age=60", pragma=True), HIT, id="5.4: which says it all"),
        pytest.param(asked(None, pragma=True, honours=False), HIT, id="5.4: where it is obeyed"),
        pytest.param(asked("no-cache", honours=False), HIT, id="5.2.1: no-cache is advice"),
        pytest.param(asked("max-age=0", honours=False), HIT, id="5.2.1: max-age is advice"),
        pytest.param(asked("min-fresh=99", honours=False), HIT, id="5.2.1: min-fresh is advice"),
    ],
)
def test_pragma_and_requests_that_are_not_obeyed(
    request_: RequestDirectives, expected: Decision
) -> None:
    assert decide(request_, aged(10), NOW) == expected


@pytest.mark.parametrize("request_", ["max-stale", "only-if-cached"])
def test_advice_that_is_not_followed_leaves_a_stale_response_stale(request_: str) -> None:
    assert decide(asked(request_, honours=False), aged(500), NOW) == STALE


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(asked(None), Decision(Action.FORWARD, Reason.MISS), id="nothing is stored"),
        pytest.param(asked("only-if-cached"), REFUSED, id="5.2.1.7: nothing else is wanted"),
        pytest.param(
            asked("only-if-cached", honours=False),
            Decision(Action.FORWARD, Reason.MISS),
            id="5.2.1: which is advice",
        ),
    ],
)
def test_decision_on_a_miss(request_: RequestDirectives, expected: Decision) -> None:
    assert decide(request_, None, NOW) == expected


@pytest.mark.parametrize(
    ("age", "response", "request_", "reason"),
    [
        (500, "", None, Reason.STALE),
        (0, "no-cache", None, Reason.NO_CACHE),
        (0, "", "no-cache", Reason.REQUEST_NO_CACHE),
    ],
)
def test_without_a_validator_there_is_nothing_to_validate(
    age: float, response: str, request_: str | None, reason: Reason
) -> None:
    entry = aged(age, response, has_validator=False)
    assert decide(asked(request_), entry, NOW) == Decision(Action.FORWARD, reason)


@pytest.mark.parametrize(
    ("age", "response", "request_", "expected"),
    [
        pytest.param(130, "", None, REFRESH, id="as stale as the grace"),
        pytest.param(131, "", None, STALE, id="staler than the grace"),
        pytest.param(130, "stale-while-revalidate=20", None, STALE, id="the response allows less"),
        pytest.param(130, "stale-while-revalidate=0", None, STALE, id="the response allows none"),
        pytest.param(140, "stale-while-revalidate=60", None, REFRESH, id="the response allows it"),
        pytest.param(130, "must-revalidate", None, STALE, id="4.2.4: the response forbids it"),
        pytest.param(130, "s-maxage=100", None, STALE, id="5.2.2.10: so does s-maxage"),
        pytest.param(130, "no-cache", None, NO_CACHE, id="5.2.2.4: so does no-cache"),
        pytest.param(130, "", "max-age=1000", STALE, id="5.2.1.1: the client refuses it"),
    ],
)
def test_grace(age: float, response: str, request_: str | None, expected: Decision) -> None:
    options = Options(grace_seconds=30)
    assert decide(asked(request_), aged(age, response), NOW, options) == expected


@pytest.mark.parametrize(
    ("age", "response", "request_", "may"),
    [
        pytest.param(160, "", None, False, id="RFC 5861, 4: nothing allows it"),
        pytest.param(160, "stale-if-error=60", None, True, id="RFC 5861, 4: at its limit"),
        pytest.param(161, "stale-if-error=60", None, False, id="RFC 5861, 4: past it"),
        pytest.param(100, "stale-if-error=0", None, False, id="RFC 5861, 4: of nothing"),
        pytest.param(160, "", "stale-if-error=60", True, id="RFC 5861, 4: the request allows it"),
        pytest.param(161, "", "stale-if-error=60", False, id="RFC 5861, 4: up to its limit"),
        pytest.param(
            160, "stale-if-error=10", "stale-if-error=60", True, id="RFC 5861, 4: the greater one"
        ),
        pytest.param(
            160, "stale-if-error=60", "stale-if-error=10", True, id="RFC 5861, 4: either of them"
        ),
        pytest.param(
            160, "stale-if-error=60, must-revalidate", None, False, id="4.2.4: must-revalidate"
        ),
        pytest.param(
            160, "stale-if-error=60, proxy-revalidate", None, False, id="4.2.4: proxy-revalidate"
        ),
        pytest.param(160, "stale-if-error=60, s-maxage=9", None, False, id="5.2.2.10: s-maxage"),
        pytest.param(160, "stale-if-error=60, no-cache", None, False, id="5.2.2.4: no-cache"),
        pytest.param(0, "no-cache", None, False, id="5.2.2.4: no-cache, though fresh"),
        pytest.param(
            160, "must-revalidate", "stale-if-error=60", False, id="4.2.4: whoever allows it"
        ),
        pytest.param(
            160, "stale-if-error=60", "no-cache", False, id="5.2.1.4: the client wants the app"
        ),
        pytest.param(
            160,
            "stale-if-error=60",
            "max-age=0",
            True,
            id="RFC 5861, 4: regardless of other freshness information",
        ),
        pytest.param(50, "", "max-age=0", True, id="4.3.3: fresh, though older than asked for"),
        pytest.param(50, "must-revalidate", "max-age=0", True, id="5.2.2.2: fresh, it is used"),
    ],
)
def test_use_in_place_of_an_error(
    age: float, response: str, request_: str | None, may: bool
) -> None:
    assert may_use_on_error(asked(request_), aged(age, response), NOW) == may


@pytest.mark.parametrize(
    ("age", "response", "request_", "may"),
    [
        pytest.param(130, "", asked(None), True, id="as stale as is configured"),
        pytest.param(131, "", asked(None), False, id="staler than that"),
        pytest.param(130, "stale-if-error=20", asked(None), False, id="the response allows less"),
        pytest.param(130, "stale-if-error=0", asked(None), False, id="the response allows none"),
        pytest.param(130, "must-revalidate", asked(None), False, id="the response forbids it"),
        pytest.param(160, "", asked("stale-if-error=60"), True, id="the request allows more"),
        pytest.param(
            160, "", asked("stale-if-error=60", honours=False), False, id="and is not obeyed"
        ),
        pytest.param(130, "", asked("no-cache", honours=False), True, id="no-cache not obeyed"),
        pytest.param(130, "", asked(None, pragma=True), False, id="5.4: Pragma: no-cache"),
    ],
)
def test_configured_use_in_place_of_an_error(
    age: float, response: str, request_: RequestDirectives, may: bool
) -> None:
    options = Options(stale_if_error_seconds=30)
    assert may_use_on_error(request_, aged(age, response), NOW, options) == may


@pytest.mark.parametrize(
    ("response", "shared", "private"),
    [
        ("", False, False),
        ("max-age=60", False, False),
        ("must-revalidate", True, True),
        ("proxy-revalidate", True, False),
        ("s-maxage=60", True, False),
    ],
)
def test_what_forbids_a_stale_response(response: str, shared: bool, private: bool) -> None:
    cc = parse_cache_control(response.encode())
    assert forbids_stale(cc) == shared
    assert forbids_stale(cc, shared=False) == private


seconds = st.none() | st.integers(0, 300)
entries = st.builds(
    Entry,
    generated_at=st.integers(-300, 0).map(lambda age: NOW + age),
    expires=st.integers(-300, 300).map(lambda left: NOW + left),
    no_cache=st.booleans(),
    must_revalidate=st.booleans(),
    immutable=st.booleans(),
    stale_while_revalidate=seconds,
    stale_if_error=seconds,
    has_validator=st.booleans(),
)
DIRECTIVES = [
    *("no-cache", "max-age=0", "max-age=100", "max-stale", "max-stale=50", "min-fresh=50"),
    *("only-if-cached", "stale-if-error=100", "no-store"),
]
requests = st.builds(
    asked,
    st.none() | st.lists(st.sampled_from(DIRECTIVES), max_size=3).map(", ".join),
    pragma=st.booleans(),
    honours=st.booleans(),
)
options = st.builds(Options, st.integers(0, 300), st.integers(0, 300))


@given(requests, entries, options)
def test_what_must_not_be_used_is_not(
    request: RequestDirectives, entry: Entry, options: Options
) -> None:
    used = decide(request, entry, NOW, options).action in (Action.USE, Action.USE_STALE_AND_REFRESH)
    is_stale = entry.expires <= NOW
    if entry.no_cache or (is_stale and entry.must_revalidate):
        assert not used
        assert not may_use_on_error(request, entry, NOW, options)
    elif not is_stale and request == RequestDirectives():
        assert used


@given(entries, options, st.sampled_from(DIRECTIVES))
def test_requests_that_are_not_obeyed_say_nothing(
    entry: Entry, options: Options, directive: str
) -> None:
    ignored = asked(directive, pragma=True, honours=False)
    assert decide(ignored, entry, NOW, options) == decide(RequestDirectives(), entry, NOW, options)
    assert may_use_on_error(ignored, entry, NOW, options) == may_use_on_error(
        RequestDirectives(), entry, NOW, options
    )


@given(requests, st.none() | entries, options)
def test_refusals_are_for_those_who_ask_for_stored_responses_only(
    request: RequestDirectives, entry: Entry | None, options: Options
) -> None:
    decision = decide(request, entry, NOW, options)
    wants_stored = (
        request.honours and request.directives is not None and request.directives.only_if_cached
    )
    assert (decision.action is Action.REFUSE) <= wants_stored
    assert (decision.action in (Action.VALIDATE, Action.FORWARD)) <= (not wants_stored)


def test_no_staleness_is_too_great_for_a_client_that_takes_any() -> None:
    ancient = aged(LIFETIME + MAX_DELTA_SECONDS)
    assert decide(asked("max-stale"), ancient, NOW) == ACCEPTED
