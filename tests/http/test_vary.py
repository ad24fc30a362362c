"""Vary: the names in it, and a request's values of these fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.vary import vary_names, vary_values


def fields(pairs: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in pairs.items()}


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        (b"", ()),
        (b"Accept", (b"accept",)),
        (b"Origin, accept,,ORIGIN", (b"accept", b"origin")),
        (b"*", None),
        (b"Accept, *", None),
        (b"a b", None),
        (b"Accept;q=1", None),
    ],
)
def test_vary_names(vary: bytes, names: tuple[bytes, ...] | None) -> None:
    assert vary_names(vary) == names


@pytest.mark.parametrize(
    ("name", "value", "normalised"),
    [
        pytest.param("accept", "a/b , c/d;q=0.5", "a/b,c/d;q=0.5", id="white space at commas"),
        pytest.param(
            "accept", 'a/b ; x="1, 2"; q=1', 'a/b;x="1, 2";q=1', id="white space at semicolons"
        ),
        pytest.param("accept", "A/b;x=Y", "A/b;x=Y", id="the case of parameters means something"),
        pytest.param(
            "accept-encoding", "GZip, br;Q=1", "gzip,br;q=1", id="the case of codings does not"
        ),
        pytest.param("accept-language", "en-US,", "en-us", id="nor that of languages"),
        pytest.param("accept", "", "", id="an empty value is a value"),
        pytest.param("x-tenant", "A ,  b", "A ,  b", id="a field of unknown syntax"),
    ],
)
def test_vary_values(name: str, value: str, normalised: str) -> None:
    assert vary_values((name.encode(),), fields({name: value})) == (normalised.encode(),)


def test_an_absent_field_is_not_an_empty_one() -> None:
    assert vary_values((b"a", b"b", b"c"), {b"a": b"", b"c": b"x"}) == (b"", None, b"x")


@given(st.lists(st.binary(), min_size=2, max_size=2), st.lists(st.binary(), min_size=2, max_size=2))
def test_values_are_not_run_together(one: list[bytes], other: list[bytes]) -> None:
    names = (b"x-a", b"x-b")
    first = vary_values(names, dict(zip(names, one, strict=True)))
    second = vary_values(names, dict(zip(names, other, strict=True)))
    assert (first == second) == (one == other)
