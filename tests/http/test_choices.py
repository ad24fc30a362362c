"""The value that is chosen for a field of a request, among those that an app offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.choices import (
    choose_language,
    choose_value,
    may_be_chosen,
    parse_accept_language,
)
from asgi_serial.http.field_names import (
    CONDITIONS,
    CREDENTIAL_FIELDS,
    REQUEST_FIELDS,
    UNKEYED_FIELDS,
    USER_FIELDS,
)
from asgi_serial.http.negotiation import MAX_ELEMENTS

EN_DE = (b"en", b"de")


@pytest.mark.parametrize(
    ("offered", "value", "chosen"),
    [
        pytest.param(EN_DE, b"", b"en", id="nothing"),
        pytest.param(EN_DE, b"de", b"de", id="one"),
        pytest.param(EN_DE, b"DE", b"de", id="in capitals"),
        pytest.param(EN_DE, b"  de  ", b"de", id="with spaces"),
        pytest.param(EN_DE, b"\tde\t;\tq=1\t", b"de", id="with tabs"),
        pytest.param(EN_DE, b"fr", b"en", id="what is not offered"),
        pytest.param(EN_DE, b"fr, de;q=0.1", b"de", id="the second is offered"),
        pytest.param(EN_DE, b"de, en", b"de", id="equal weights: the client's order"),
        pytest.param(EN_DE, b"en;q=0.5, de;q=0.8", b"de", id="by weight"),
        pytest.param(EN_DE, b"de;q=0.5, en;q=0.501", b"en", id="by thousandths"),
        pytest.param(EN_DE, b"de-CH", b"de", id="RFC 4647, 3.4: truncated"),
        pytest.param(EN_DE, b"de-CH, en;q=0.9", b"de", id="truncated, before the next range"),
        pytest.param(EN_DE, b"de-CH-1996-x-a-b", b"de", id="truncated often"),
        pytest.param((b"en", b"zh-Hant"), b"zh-Hant-CN-x-1-2", b"zh-Hant", id="3.4: the example"),
        pytest.param((b"en", b"de", b"de-CH"), b"de-CH", b"de-CH", id="the closest"),
        pytest.param((b"en", b"de", b"de-CH"), b"de", b"de", id="not a narrower one"),
        pytest.param((b"en", b"de-AT", b"de-CH"), b"de", b"de-AT", id="3.3.1: a narrower one"),
        pytest.param((b"en-US", b"de-DE"), b"de,en-US;q=0.7,en;q=0.3", b"de-DE", id="Firefox"),
        pytest.param((b"en", b"de-CH-1996", b"de"), b"de-CH", b"de", id="3.4 before 3.3.1"),
        pytest.param((b"en", b"de-DE"), b"de-AT", b"de-DE", id="truncated, then narrower"),
        pytest.param((b"en", b"den"), b"de", b"en", id="whole subtags only"),
        pytest.param(EN_DE, b"*", b"en", id="anything"),
        pytest.param(EN_DE, b"*, de;q=0.5", b"de", id="3.4: anything is skipped"),
        pytest.param(EN_DE, b"fr, *;q=0.5", b"en", id="the default for anything else"),
        pytest.param(EN_DE, b"en;q=0", b"de", id="the default is refused"),
        pytest.param(EN_DE, b"en;q=0, *", b"de", id="all but the default"),
        pytest.param(EN_DE, b"en;q=0, de;q=0", b"en", id="all are refused"),
        pytest.param(EN_DE, b"*;q=0", b"en", id="anything is refused"),
        pytest.param(EN_DE, b"fr, *;q=0", b"en", id="anything else is refused"),
        pytest.param(EN_DE, b"de, *;q=0", b"de", id="one alone"),
        pytest.param((b"en", b"de"), b"de-CH, de;q=0", b"en", id="the truncated is refused"),
        pytest.param(
            (b"en", b"de", b"de-CH"), b"de;q=0, de-CH", b"de-CH", id="refused but for one region"
        ),
        pytest.param((b"de-CH", b"en"), b"de;q=0", b"en", id="a region of what is refused"),
        pytest.param(EN_DE, b"de;q=0, de", b"en", id="the lower weight of two"),
        pytest.param(EN_DE, b"de;q=2, en;q=0.1", b"en", id="a malformed weight"),
        pytest.param(EN_DE, b"de;level=1, en;q=0.1", b"en", id="an unknown parameter"),
        pytest.param(EN_DE, b"de;q=0.5;q=1, en;q=0.1", b"en", id="two weights"),
        pytest.param(EN_DE, b'"de", en;q=0.1', b"en", id="quotes"),
        pytest.param(EN_DE, b"d\xe9, de;q=0.1", b"de", id="no ASCII"),
        pytest.param(EN_DE, b"de_CH, en;q=0.1", b"en", id="an underscore"),
        pytest.param(EN_DE, b"abcdefghi, de;q=0.1", b"de", id="nine letters"),
        pytest.param(EN_DE, b"de-*, en;q=0.1", b"en", id="an extended range"),
        pytest.param(EN_DE, b"-, -de, de-, ;q=1, ,, de;q=0.1", b"de", id="no ranges at all"),
        pytest.param(EN_DE, b"de\x00, en;q=0.1", b"en", id="a NUL"),
        pytest.param(EN_DE, b"de," + b"x" * 10_000, b"de", id="10 kB, the first counts"),
        pytest.param(EN_DE, b"x," * 5_000 + b"de", b"en", id="10 kB, the last does not count"),
        pytest.param(EN_DE, b"a-" * 5_000 + b"b", b"en", id="a range of 10 kB"),
        pytest.param(EN_DE, b"de" + b"-a" * 4_000, b"de", id="a range of 8 kB"),
    ],
)
def test_the_language(offered, value, chosen):
    assert choose_language(offered, value) == chosen
    assert choose_value(b"accept-language", offered, value) == chosen


def test_a_missing_field_has_the_default():
    assert choose_value(b"accept-language", EN_DE, None) == b"en"
    assert choose_value(b"x-country", (b"US", b"DE"), None) == b"US"


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (b"?1", b"?1"),
        (b" ?1\t", b"?1"),
        (b"?0", b"?0"),
        (b"", b"?0"),
        (b"?1, ?0", b"?0"),
        (b"?", b"?0"),
        (b"?1" * 10_000, b"?0"),
    ],
)
def test_other_values_are_equal_or_the_first(value, chosen):
    assert choose_value(b"sec-ch-ua-mobile", (b"?0", b"?1"), value) == chosen


@pytest.mark.parametrize("value", [b"DE", b"de", b"De"])
def test_other_values_are_equal_in_any_case(value):
    assert choose_value(b"x-country", (b"US", b"DE"), value) == b"DE"


subtags = st.sampled_from(["en", "de", "fr", "ch", "1996", "x", "a"])
tags = st.lists(subtags, min_size=1, max_size=4).map("-".join)
weights = st.sampled_from(["", ";q=1", ";q=0.5", ";q=0.001", ";q=0", "; q=0.9"])
elements = st.tuples(tags | st.just("*"), weights).map("".join)
languages = st.lists(st.sampled_from(["en", "de", "fr", "nl"]), min_size=1, unique=True)
headers = st.lists(elements, max_size=6).map(", ".join)


def look_up(offered, header):
    """Lookup as RFC 4647, 3.4 describes it, without tags that are refused."""
    ranges, refused = [], set()
    for place, element in enumerate(filter(None, header.split(", "))):
        name, _, weight = element.replace(" ", "").partition(";q=")
        if float(weight or 1):
            ranges.append((-float(weight or 1), place, name))
        else:
            refused.add(name)
    lowest = {}
    for weight, place, name in ranges:
        known = lowest.get(name, (weight, place))
        lowest[name] = (max(known[0], weight), known[1])
    left = [
        tag for tag in offered if tag not in refused and not ("*" in refused and tag not in lowest)
    ]
    for name in sorted(lowest, key=lowest.__getitem__):
        while name and name != "*" and name not in refused:
            if name in left:
                return name
            name = name.rpartition("-")[0]
            if name[-2:-1] == "-":
                name = name[:-2]
    return left[0] if left else offered[0]


@given(languages, headers)
def test_it_is_lookup_where_no_region_is_offered(offered, header):
    """RFC 4647, 3.4."""
    chosen = choose_language(tuple(one.encode() for one in offered), header.encode())
    ranges = {one.partition(";")[0] for one in header.split(", ")}
    if not any("-" in one for one in ranges if one.partition("-")[0] in ranges):
        assert chosen.decode() == look_up(offered, header)


@given(st.lists(tags, min_size=1, max_size=5, unique=True), st.binary() | headers.map(str.encode))
def test_any_value_is_one_of_those_that_are_offered(offered, value):
    given_ = tuple(one.encode() for one in offered)
    chosen = choose_language(given_, value)
    assert chosen in given_
    assert choose_value(b"x-country", given_, value) in given_


@given(languages, headers)
def test_what_is_accepted_with_the_highest_weight_is_chosen_if_it_is_offered(offered, header):
    """Nobody who asks for `de` before all is given `en` where there is `de`."""
    weighed = parse_accept_language(header.encode())
    best = [one for one, weight in weighed.items() if weight == max(weighed.values(), default=0)]
    if best and weighed[best[0]] and best[0].decode() in offered:
        chosen = choose_language(tuple(one.encode() for one in offered), header.encode())
        assert chosen == best[0]


@given(languages, st.lists(tags, max_size=4))
def test_what_is_chosen_is_chosen_again(offered, ranges):
    """An app that is shown the choice, and chooses again, chooses the same."""
    given_ = tuple(one.encode() for one in offered)
    chosen = choose_language(given_, ", ".join(ranges).encode())
    assert choose_language(given_, chosen) == chosen


def test_only_the_first_ranges_are_read():
    many = b",".join(b"a-%d" % number for number in range(1000))
    assert len(parse_accept_language(many)) == MAX_ELEMENTS


@pytest.mark.parametrize(
    "name",
    [
        b"accept-language",
        *(b"sec-ch-ua-mobile", b"sec-ch-prefers-color-scheme", b"save-data", b"dnt"),
        *(b"x-country", b"cf-ipcountry", b"x-device", b"user-agent"),
    ],
)
def test_a_field_of_preferences_may_have_few_values(name):
    assert may_be_chosen(name)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(REQUEST_FIELDS | CONDITIONS | CREDENTIAL_FIELDS | USER_FIELDS | UNKEYED_FIELDS),
        *(b"expect", b"te", b"connection", b"upgrade", b"early-data", b"content-digest", b"date"),
        *(b"x-forwarded-for", b"x-real-ip", b"via", b"traceparent", b"x-request-id", b"cf-ray"),
        *(b"accept-charset", b"accept-datetime", b"x_country", b"X-Country", b"x-ssl-client-s-dn"),
    ],
)
def test_a_field_with_another_meaning_reaches_the_app_as_it_is(name):
    assert not may_be_chosen(name)
