"""Values of a shared store that somebody has tampered with."""

import os
import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from asgi_serial.cache.packing import REVISION
from tests.cache.services import redis_server

from .sites import Site, calls_of, empty, entries_in, new, site_over


@pytest.fixture(scope="module")
def redis_site() -> Iterator[Site]:
    """A site whose store is Redis, into which a test may write what it likes."""
    with redis_server() as store, site_over("redis", store) as site:
        yield site


def flip_bit(value: bytes) -> bytes:
    place = random.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << random.randrange(8)]) + value[place + 1 :]


def of_revision(value: bytes, revision: int) -> bytes:
    """The record with nothing changed but the byte behind its five of magic and 0xFF."""
    place = value.index(b"\xff") + 1
    assert value[place] == REVISION
    return value[:place] + bytes([revision]) + value[place + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda value: b"\0", id="a zero"),
        pytest.param(lambda value: random.randbytes(len(value)), id="noise"),
        pytest.param(lambda value: value[:-1], id="a byte short"),
        pytest.param(lambda value: value + b"\0", id="a byte long"),
        pytest.param(lambda value: value[: len(value) // 2], id="half"),
        pytest.param(flip_bit, id="one bit wrong"),
        pytest.param(lambda value: pickle.dumps({"status": 200}), id="a pickle"),
        pytest.param(lambda value: of_revision(value, REVISION - 1), id="an older revision"),
        pytest.param(lambda value: of_revision(value, REVISION + 1), id="a later revision"),
        pytest.param(lambda value: b"", id="nothing"),
        pytest.param(lambda value: b"a" * 20_000_000, id="20 MB"),
    ],
)
def test_a_value_that_was_tampered_with_is_a_miss(redis_site, spoil):
    path = new("/document")
    with redis_site.redis() as client:
        empty(client)
        redis_site.fill(path)
        for key in entries_in(client):
            client.set(key, spoil(client.get(key)), keepttl=True)
    answer = redis_site.second.get(path)
    assert answer.cache == "fwd=uri-miss"
    assert answer.value["process"] == redis_site.second.process.pid


class TouchesFile:
    """What a pickle of it does to who loads it: a file is made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_was_planted_is_never_loaded(redis_site, tmp_path, protocol):
    path, trace = new("/document"), tmp_path / "loaded"
    planted = pickle.dumps(TouchesFile(trace), protocol)
    with redis_site.redis() as client:
        empty(client)
        redis_site.fill(path)
        for key in entries_in(client):
            client.set(key, planted, keepttl=True)
    assert redis_site.second.get(path).cache == "fwd=uri-miss"
    assert not trace.exists()
    pickle.loads(planted)
    assert trace.exists()


def test_a_value_of_another_type_is_a_miss(redis_site):
    path = new("/document")
    with redis_site.redis() as client:
        empty(client)
        redis_site.fill(path)
        (key,) = entries_in(client)
        client.delete(key)
        client.lpush(key, "element")
    assert redis_site.second.get(path).value["process"] == redis_site.second.process.pid


@pytest.mark.parametrize("path", ["/document", "/varied"])
def test_values_that_changed_places_are_misses(redis_site, path):
    paths = [new(path), new(path)]
    with redis_site.redis() as client:
        empty(client)
        for language, each in enumerate(paths):
            redis_site.fill(each, accept_language=str(language))
        keys = entries_in(client)
        values = [client.get(key) for key in keys]
        for key, value in zip(keys, values[1:] + values[:1], strict=True):
            client.set(key, value)
    for language, each in enumerate(paths):
        answer = redis_site.second.get(each, accept_language=str(language))
        assert answer.cache.startswith("fwd")
        assert answer.value["call"] == calls_of(redis_site.second, each) == 1


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("ACL", "SETUSER", "default", "-set"), ("ACL", "SETUSER", "default", "+set")),
        (("ACL", "SETUSER", "default", "-getrange"), ("ACL", "SETUSER", "default", "+getrange")),
    ],
    ids=["full", "read-only", "no writing", "no reading"],
)
def test_a_store_that_refuses_changes_no_answer(redis_site, spoil, mend):
    kept, path = new("/document"), new("/document")
    with redis_site.redis() as client:
        redis_site.fill(kept)
        client.execute_command(*spoil)
        try:
            assert redis_site.first.get(kept).cache == "hit"
            for server in (redis_site.first, redis_site.second):
                assert server.get(path).value["process"] == server.process.pid
                assert server.get(path).cache == "hit"
            readable = "-getrange" not in spoil
            assert (redis_site.second.get(kept).cache == "hit") is readable
        finally:
            client.execute_command(*mend)
