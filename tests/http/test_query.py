"""Which parameters of a query count, and which are ignored."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.query import QueryRules

IGNORING = QueryRules(["utm_*", "fbclid", "größe", "a.b"])
COUNTING = QueryRules(counted=["page", "filter[*", "q"])

# A query; what is left of it if some parameters are ignored; and if only some count.
CASES = {
    "none": (b"", b"", b""),
    "one that counts": (b"page=2", b"page=2", b"page=2"),
    "one that is ignored": (b"fbclid=x", b"", b""),
    "one that nobody names": (b"sort=up", b"sort=up", b""),
    "a beginning": (b"utm_source=a&utm_=b", b"", b""),
    "a beginning alone": (b"utm=a", b"utm=a", b""),
    "a longer name": (b"fbclid2=a&pages=1", b"fbclid2=a&pages=1", b""),
    "a shorter name": (b"fbcli=a&pag=1", b"fbcli=a&pag=1", b""),
    "another case": (b"FBCLID=a&Page=1", b"FBCLID=a&Page=1", b""),
    "the order stays": (b"q=z&utm_a=1&page=2&fbclid=3&q=a", b"q=z&page=2&q=a", b"q=z&page=2&q=a"),
    "repeated": (b"fbclid=1&page=1&fbclid=2&page=2", b"page=1&page=2", b"page=1&page=2"),
    "no value": (b"fbclid&page", b"page", b"page"),
    "an empty value": (b"fbclid=&page=", b"page=", b"page="),
    "a value with =": (b"fbclid=a=b&page=a=b", b"page=a=b", b"page=a=b"),
    "the name as a value": (b"q=fbclid&q=utm_a", b"q=fbclid&q=utm_a", b"q=fbclid&q=utm_a"),
    "an empty name": (b"=fbclid&=page", b"=fbclid&=page", b""),
    "nothing between": (b"&&page=1&", b"&&page=1&", b"page=1"),
    "nothing beside": (b"fbclid=1&", b"", b""),
    "a bracket": (
        b"filter[a]=1&filter%5Bb%5D=2",
        b"filter[a]=1&filter%5Bb%5D=2",
        b"filter[a]=1&filter%5Bb%5D=2",
    ),
    "a dot is no pattern": (b"a.b=1&axb=2", b"axb=2", b""),
    # Apps decode these to the same names.
    "an encoded name": (b"utm%5Fsource=a&%70age=1", b"%70age=1", b"%70age=1"),
    "encoded in lower case": (b"utm%5fsource=a&f%62clid=b", b"", b""),
    "all encoded": (b"%66%62%63%6C%69%64=1", b"", b""),
    "other letters": ("gr%C3%B6%c3%9fe=1&größe=2".encode(), b"", b""),
    # Apps do not.
    "encoded twice": (b"utm%255Fsource=a", b"utm%255Fsource=a", b""),
    "another letter": (b"utm%C1%9Fsource=a", b"utm%C1%9Fsource=a", b""),
    "a space before": (b"+fbclid=a&%20fbclid=b", b"+fbclid=a&%20fbclid=b", b""),
    "an encoded =": (b"fbclid%3D1=a", b"fbclid%3D1=a", b""),
    "an encoded &": (b"q=1%26fbclid=2", b"q=1%26fbclid=2", b"q=1%26fbclid=2"),
    "no encoding": (b"utm%5=a&fbclid%=b&%zz=c", b"utm%5=a&fbclid%=b&%zz=c", b""),
    "a plus in a value": (b"fbclid=a+b&q=a+b", b"q=a+b", b"q=a+b"),
    # Some apps find several parameters here, so that all of it counts.
    "a semicolon": (b"utm_a=1;page=2", b"utm_a=1;page=2", b"utm_a=1;page=2"),
    "a semicolon after a name": (b"fbclid;page=2&fbclid=1", b"fbclid;page=2", b"fbclid;page=2"),
    "a semicolon elsewhere": (b"a=1;b=2&utm_a=3", b"a=1;b=2", b"a=1;b=2"),
    "an encoded semicolon": (b"utm_a=1%3Bpage=2", b"", b""),
    "an entity": (b"q=1&amp;fbclid=2", b"q=1&amp;fbclid=2", b"q=1&amp;fbclid=2"),
}


def shown(rules, query):
    found = rules.find_shown(query)
    assert found != query
    return query if found is None else found


@pytest.mark.parametrize(("query", "ignoring", "counting"), CASES.values(), ids=CASES)
def test_parameters_are_divided(query, ignoring, counting):
    assert shown(IGNORING, query) == ignoring
    assert shown(COUNTING, query) == counting


NAMES = [
    "utm_source",
    "utm%5Fa",
    "fbclid",
    "fb%63lid",
    "page",
    "p%61ge",
    "q",
    "x",
    "",
    "utm",
    "fbclids",
]
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), st.text(st.sampled_from("a=%+;[")))).map(
    lambda pairs: "&".join("=".join(pair) for pair in pairs)
)


@given(QUERIES)
def test_an_app_finds_what_counts_and_nothing_else(query):
    for rules, counts in (
        (IGNORING, lambda name: not (name.startswith("utm_") or name == "fbclid")),
        (COUNTING, lambda name: name in ("page", "q")),
    ):
        left = shown(rules, query.encode()).decode()
        found = parse_qsl(left, keep_blank_values=True)
        sent = parse_qsl(query, keep_blank_values=True)
        assert [pair for pair in found if counts(pair[0])] == [
            pair for pair in sent if counts(pair[0])
        ]
        others = [part for part in left.split("&") if part and ";" not in part]
        assert all(counts(name) for name, _ in parse_qsl("&".join(others), keep_blank_values=True))
        assert shown(rules, left.encode()).decode() == left


@given(st.binary())
def test_any_bytes_are_read(query):
    for rules in (IGNORING, COUNTING):
        left = shown(rules, query)
        # Whole parameters go, and the others keep their order.
        rest = iter(query.split(b"&"))
        assert not left or all(part in rest for part in left.split(b"&"))


def test_without_rules_every_parameter_counts():
    assert QueryRules().find_shown(b"a=1&utm_source=2&&") is None


@pytest.mark.parametrize("query", ["fbclid=1", None, 7])
def test_what_no_server_sends_is_left_alone(query):
    assert IGNORING.find_shown(query) is None


@pytest.mark.parametrize("part", [b"&", b"utm_", b"&utm_a;", b"&utm_a", b"&%75%74%6D_", b"%"])
def test_a_long_query_is_read_in_one_pass(part):
    assert shown(IGNORING, part * 20_000 + b";").endswith(b";")
