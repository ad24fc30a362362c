"""Memories of what clients send hold so many bytes, whatever is sent."""

import sys
import tracemalloc

import pytest

from asgi_serial.bounds.memo import LONGEST_PART, MAX_BYTES, MAX_ENTRIES, BoundedDict, Memo, weigh
from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.fields import split_list


def test_a_memo_works_a_value_out_once():
    asked = []

    def measure(value):
        asked.append(value)
        return len(value)

    memo = Memo(measure)
    assert [memo[b"gzip"], memo[b"gzip"], memo[b"br"]] == [4, 4, 2]
    assert asked == [b"gzip", b"br"]


def test_it_holds_so_many_and_begins_again():
    memo = Memo(len, max_bytes=1 << 30)
    for number in range(MAX_ENTRIES + 1):
        assert memo[b"%d" % number] == len(b"%d" % number)
    assert len(memo) == 1


def test_it_holds_so_many_bytes_and_begins_again():
    memo = Memo(bytes, max_bytes=100_000)
    for number in range(1_000):
        assert memo[number.to_bytes(200, "big")] == number.to_bytes(200, "big")
        assert 0 < memo.held_bytes <= 100_000
        assert memo.held_bytes >= len(memo) * 400


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(b"a" * (MAX_BYTES // LONGEST_PART), b"", id="a long key"),
        pytest.param((b"a", b"a" * (MAX_BYTES // LONGEST_PART)), b"", id="in a tuple"),
        pytest.param(b"a", b"a" * (MAX_BYTES // LONGEST_PART), id="a long value"),
        pytest.param(b"a", [b"a"] * 2_000, id="a value of many parts"),
        pytest.param(b"a", frozenset({b"%d" % one for one in range(2_000)}), id="a set of many"),
    ],
)
def test_what_is_long_is_not_kept(key, value):
    memo = Memo(lambda _: value)
    assert memo[key] == value
    assert not memo
    assert memo.held_bytes == 0


def test_values_that_are_there_anyway_are_not_counted():
    shared = bytes(100_000)
    memo = Memo(lambda _: shared, shares_values=True)
    for number in range(100):
        assert memo[b"%d" % number] is shared
    assert len(memo) == 100


def test_what_a_value_has_come_to_hold_is_counted():
    known = BoundedDict(10_000, shares_values=True)
    known.keep(b"a", {})
    known.add_bytes(9_000)
    assert b"a" in known
    known.add_bytes(1_000)
    assert not known
    assert not known.held_bytes


def test_a_later_value_takes_the_place_of_an_earlier_one():
    kept = BoundedDict()
    kept.keep("a", b"1")
    held = kept.held_bytes
    kept.keep("a", b"2")
    assert (kept, kept.held_bytes) == ({"a": b"2"}, held)
    kept.keep("a", bytes(MAX_BYTES))
    assert kept == {}
    kept.clear()
    assert kept.held_bytes == 0


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (parse_cache_control, b"max-age=60"),
        (split_list, b", ".join(b"x-%d" % number for number in range(500))),
        (
            parse_cache_control,
            b'private="' + b", ".join(b"x-%d" % number for number in range(500)) + b'"',
        ),
        (
            parse_cache_control,
            b'no-cache="' + b",".join(b"%x" % number for number in range(1_000)) + b'"',
        ),
    ],
)
def test_the_weight_is_the_memory_that_is_taken(parse, value):
    parse(value)
    tracemalloc.start()
    kept = [parse(value) for _ in range(20)]
    taken = tracemalloc.get_traced_memory()[0] / 20
    tracemalloc.stop()
    assert taken < 1.3 * weigh(kept[0]) < 4 * taken + 1_000


def test_the_weight_of_nothing_is_its_own():
    assert weigh(None) == sys.getsizeof(None)
    assert weigh((b"a", "b", [{b"c"}])) > sum(map(sys.getsizeof, (b"a", "b", b"c")))
