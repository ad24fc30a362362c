"""What operations cost is measured, reported and logged; advice has numbers behind it."""

import logging
import threading

import pytest
from pydantic import ValidationError

from asgi_serial import FormatError, SerializationProfiler
from asgi_serial.serialization.profiler import Series
from asgi_serial.serialization.recommendations import recommend

from .models import Measured, Point, User, make_users

NO_CACHE = {
    "l1_cache": {
        **{"hits": 0, "misses": 0, "hit_rate": 0.0, "evictions": 0},
        **{"size": 0, "max_size": 1000, "max_bytes": 64_000_000},
    },
    "validation": {"hits": 0, "misses": 0, "hit_rate": 0.0},
}


def series(times, duration_ns, document_bytes=0, payload_bytes=0):
    made = Series()
    for _ in range(times):
        made.record(duration_ns, document_bytes, payload_bytes)
    made.count()
    return made


def test_a_series_has_exact_counts_sums_and_extremes():
    made = Series()
    for duration in range(1, 1001):
        made.record(duration * 1000, 10, 5)
    made.count()
    summary = made.summary()
    assert (summary["count"], summary["document_bytes"], summary["payload_bytes"]) == (
        1000,
        10_000,
        5_000,
    )
    assert summary["total_time"] == pytest.approx(0.5005)
    assert (summary["min_time"], summary["max_time"]) == (1e-6, 1e-3)
    assert summary["p95"] == pytest.approx(950e-6, rel=0.04)


def test_series_of_several_threads_lose_nothing():
    made = Series()

    def record():
        for _ in range(10_000):
            made.record(1000, 1, 1)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.count()
    assert (made.histogram.count, made.document_bytes) == (40_000, 40_000)


def test_merging_keeps_the_extremes():
    made = Series()
    made.merge(Series())
    for duration in (5, 3, 9):
        made.merge(series(2, duration))
    assert (made.min_ns, made.max_ns, made.histogram.count) == (3, 9, 6)


def test_the_number_of_series_is_bounded():
    profiler = SerializationProfiler()
    for number in range(2_000):
        profiler.series("serialize.json", f"Model{number}").record(1)
    assert len(profiler.snapshot()) == 1_001
    assert profiler.snapshot()["serialize.json", "(other)"].histogram.count == 1_000


def test_a_report_has_each_operation_and_each_model(make_manager):
    manager, users = make_manager(), make_users(100)
    for _ in range(3):
        manager.deserialize_sync(manager.serialize_sync(users), type(users))
        manager.serialize_sync(users.users[0], "msgpack")
    report = manager.get_performance_report()
    assert report["summary"]["total_operations"] == 9
    assert {name: numbers["count"] for name, numbers in report["operations"].items()} == {
        "compression.zstd": 1,
        "decompression": 3,
        "deserialize.json": 3,
        "serialize.json": 3,
        "serialize.msgpack": 3,
        "validation": 3,
    }
    assert sorted(report["models"]) == ["User", "Users"]
    written = report["operations"]["serialize.json"]
    assert written["payload_bytes"] < written["document_bytes"]
    parts = report["operations"]["decompression"]["total_time"]
    parts += report["operations"]["validation"]["total_time"]
    assert parts <= report["operations"]["deserialize.json"]["total_time"]
    manager.profiler.clear()


def test_nothing_is_measured_where_profiling_is_off(make_manager):
    manager = make_manager()
    manager.config.enable_profiling = False
    users = make_users(100)
    manager.deserialize_sync(manager.serialize_sync(users), type(users))
    assert manager.get_performance_report()["operations"] == {}
    manager.config.enable_profiling = True
    manager.serialize_sync(users)
    assert manager.get_performance_report()["summary"]["total_operations"] == 1


def test_refusals_are_counted_by_reason(make_checking):
    manager = make_checking()
    for data in (b"{", b"\x28\xb5\x2f\xfd", b'{"x":"a","y":1}'):
        with pytest.raises(ValidationError):
            manager.deserialize_sync(data, Point)
    with pytest.raises(FormatError):
        manager.serialize_sync(Measured(value=float("inf")))
    assert manager.get_stats()["events"] == {
        "refusal: json_invalid": 1,
        "refusal: compression_invalid": 1,
        "refusal: int_parsing": 1,
        "refusal: serialize.json": 1,
    }


def test_a_slow_operation_is_logged_with_a_warning_now_and_then(make_manager, caplog):
    caplog.set_level(logging.DEBUG, "asgi_serial")
    manager = make_manager(profile_threshold=0)
    for _ in range(3):
        manager.deserialize_sync(manager.serialize_sync(Point(x=1, y=2)), Point)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING"] * 2 + ["DEBUG"] * 4
    assert caplog.messages[0].startswith("serialize.json of Point took ")


def test_a_quick_operation_is_not_logged(make_manager, caplog):
    caplog.set_level(logging.DEBUG, "asgi_serial")
    make_manager(profile_threshold=60).serialize_sync(Point(x=1, y=2))
    assert caplog.messages == []


ADVICE = [
    pytest.param(
        {("compression.zstd", "orders"): series(50, 300_000, 12_000, 3_840)},
        {},
        ["orders: zstd 3 saves 68% of 12.0 kB for 0.3 ms; keep it on"],
        id="compression that pays",
    ),
    pytest.param(
        {("compression.zstd", "photos"): series(50, 300_000, 12_000, 11_900)},
        {},
        ["photos: zstd 3 saves 1% of 12.0 kB for 0.3 ms; raise compression_threshold a"],
        id="compression that does not",
    ),
    pytest.param(
        {("compression.zstd", "orders"): series(49, 300_000, 12_000, 3_840)},
        {},
        [],
        id="too few measurements",
    ),
    pytest.param(
        {
            ("serialize.pickle", "User"): series(60, 10_000, 257, 257),
            ("serialize.json", "User"): series(60, 1_000, 111, 111),
        },
        {},
        ["User: to serialize takes 0.01 ms in pickle, 0.001 ms in json and 257 B, json 111 B"],
        id="a slower format",
    ),
    pytest.param(
        {
            ("deserialize.msgpack", "User"): series(60, 1_400),
            ("deserialize.orjson", "User"): series(60, 1_000),
        },
        {},
        [],
        id="a format that is nearly as fast",
    ),
    pytest.param(
        {},
        {"l1_cache": {"hits": 10, "misses": 90, "hit_rate": 0.1, "evictions": 7, "size": 1000}},
        ["cache: 10% of 100 look-ups hit, and 7 items were evicted; raise cache_max_size"],
        id="a cache that is too small in items",
    ),
    pytest.param(
        {},
        {"l1_cache": {"hits": 10, "misses": 90, "hit_rate": 0.1, "evictions": 7, "size": 9}},
        ["cache: 10% of 100 look-ups hit, and 7 items were evicted; raise cache_max_bytes"],
        id="a cache that is too small in bytes",
    ),
    pytest.param(
        {},
        {"l1_cache": {"hits": 10, "misses": 90, "hit_rate": 0.1, "evictions": 0, "size": 9}},
        [],
        id="a cache that is large enough",
    ),
    pytest.param(
        {},
        {"validation": {"hits": 1, "misses": 99, "hit_rate": 0.01}},
        ["validation: 1% of 100 look-ups found a model; set cache_validation=False to save them"],
        id="models that do not repeat",
    ),
]


@pytest.mark.parametrize(("snapshot", "cache", "beginnings"), ADVICE)
def test_advice_is_drawn_from_numbers(snapshot, cache, beginnings):
    both = {name: NO_CACHE[name] | cache.get(name, {}) for name in NO_CACHE}
    advice = recommend(snapshot, cache=both, level=3)
    assert [line[: len(start)] for line, start in zip(advice, beginnings, strict=True)] == (
        beginnings
    )


def test_models_that_do_not_repeat_stop_being_looked_up(make_manager):
    manager = make_manager()
    for number in range(500):
        manager.deserialize_sync(b'{"x":%d,"y":1}' % number, Point)
    stats = manager.get_stats()["cached_manager"]["model_serializer"]
    assert stats["validation_cache_misses"] == 64


def test_the_threads_of_one_manager_count_together(make_manager):
    manager = make_manager()
    user = User(id=1, name="a", email="e")

    def use():
        for _ in range(500):
            manager.deserialize_sync(manager.serialize_sync(user), User)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert manager.get_performance_report()["summary"]["total_operations"] == 4_000
