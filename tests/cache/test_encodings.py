"""Encoded forms of bodies: what is remembered, and on which routes it is looked for."""

import pytest

from asgi_serial.bounds.memo import MAX_ENTRIES
from asgi_serial.cache.encodings import (
    MIN_BYTES,
    PAUSE,
    TRIAL,
    WORTH_IT,
    Encoded,
    Encodings,
)
from asgi_serial.cache.memory import Memory
from asgi_serial.codecs.brotli_codec import BrotliCodec
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec

DIGEST = b"d" * 32
CONTENT = Encoded("", "gzip", b"encoded", 7)
LARGE = 100_000


@pytest.fixture
def encodings() -> Encodings:
    return Encodings(Memory(1_000_000), max_object_bytes=10_000)


def look_up(encodings, route, number, *, found):
    """Ask as often whether to look up, and find something as long as `found` allows it."""
    asked = []
    for turn in range(number):
        asked.append(encodings.wants(route, LARGE))
        if asked[-1]:
            digest = DIGEST if turn < found else b"unknown"
            encodings.find(route, digest, "", "gzip")
    return asked


@pytest.mark.parametrize(
    ("codec", "size", "wanted"),
    [
        (ZstdCodec(), 1_999, False),
        (ZstdCodec(), 2_000, True),
        (BrotliCodec(), 999, False),
        (BrotliCodec(), 1_000, True),
        (ZlibCodec("gzip"), 999, False),
        (ZlibCodec("gzip"), 1_000, True),
    ],
)
def test_a_small_body_is_not_looked_up(encodings, codec, size, wanted):
    assert encodings.wants("/", size, min_bytes=codec.recall_bytes) is wanted


@pytest.mark.parametrize(("size", "wanted"), [(MIN_BYTES - 1, False), (MIN_BYTES, True)])
def test_a_small_body_that_is_only_translated_is_not_looked_up(encodings, size, wanted):
    assert encodings.wants("/", size) is wanted


def test_a_small_body_takes_no_part_in_the_trial(encodings):
    for _ in range(10 * TRIAL):
        assert not encodings.wants("/", 10)
    assert all(look_up(encodings, "/", TRIAL, found=0))


def test_what_is_kept_is_found_under_its_digest_and_variant_alone(encodings):
    encodings.keep(DIGEST, "", "gzip", CONTENT)
    assert encodings.find("/", DIGEST, "", "gzip") is CONTENT
    others = [(b"other", "", "gzip"), (DIGEST, "application/vnd.msgpack", "gzip"), (DIGEST, "", "")]
    assert [encodings.find("/", *other) for other in others] == [None] * 3
    assert (encodings.hits, encodings.misses) == (1, 3)


def test_a_value_of_another_kind_in_the_memory_is_no_encoding():
    memory: Memory[object] = Memory(1_000)
    memory.put((DIGEST, "", "gzip"), "an entry, say", 10)
    assert Encodings(memory, 10_000).find("/", DIGEST, "", "gzip") is None


@pytest.mark.parametrize(("size", "kept"), [(9_000, True), (10_000, False), (50_000, False)])
def test_a_large_object_is_not_kept(encodings, size, kept):
    encodings.keep(DIGEST, "", "br", Encoded("", "br", bytes(size), size))
    assert (encodings.find("/", DIGEST, "", "br") is not None) is kept


def test_the_memory_counts_more_than_the_content():
    memory: Memory[object] = Memory(1_000)
    Encodings(memory, 10_000).keep(DIGEST, "", "gzip", CONTENT)
    assert memory.size_bytes > len(CONTENT.content) + len(DIGEST)


def test_a_route_whose_bodies_do_not_repeat_is_left_alone_after_its_trial(encodings):
    asked = look_up(encodings, "/", TRIAL + 1 + PAUSE, found=0)
    assert asked == [True] * TRIAL + [False] * (1 + PAUSE)


def test_it_is_tried_again_after_a_pause(encodings):
    look_up(encodings, "/", TRIAL + 1 + PAUSE, found=0)
    assert encodings.wants("/", LARGE)
    encodings.keep(DIGEST, "", "gzip", CONTENT)
    assert all(look_up(encodings, "/", 3 * TRIAL, found=3 * TRIAL))


@pytest.mark.parametrize(("found", "goes_on"), [(WORTH_IT - 1, False), (WORTH_IT, True)])
def test_a_route_is_judged_by_what_its_trial_has_found(encodings, found, goes_on):
    encodings.keep(DIGEST, "", "gzip", CONTENT)
    assert all(look_up(encodings, "/", TRIAL, found=found))
    assert encodings.wants("/", LARGE) is goes_on


def test_what_was_found_in_one_trial_does_not_count_in_the_next(encodings):
    encodings.keep(DIGEST, "", "gzip", CONTENT)
    assert all(look_up(encodings, "/", TRIAL, found=TRIAL))
    assert all(look_up(encodings, "/", TRIAL, found=0))
    assert look_up(encodings, "/", 2, found=0)[-1] is False


def test_routes_are_judged_apart(encodings):
    look_up(encodings, "/unlike", TRIAL + 1, found=0)
    assert not encodings.wants("/unlike", LARGE)
    assert encodings.wants("/other", LARGE)


def test_the_routes_that_are_judged_are_bounded(encodings):
    """A route that was paused is on trial again after so many others."""
    look_up(encodings, "/unlike", TRIAL + 1, found=0)
    for number in range(MAX_ENTRIES):
        encodings.wants(f"/{number}", LARGE)
    assert encodings.wants("/unlike", LARGE)


def test_a_find_on_a_route_that_is_no_longer_judged_is_a_hit_all_the_same(encodings):
    encodings.keep(DIGEST, "", "gzip", CONTENT)
    assert encodings.find("/unknown", DIGEST, "", "gzip") is CONTENT
    assert encodings.hits == 1
