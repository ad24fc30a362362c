"""Server processes that share a real Redis or Memcached, whatever becomes of it."""

import itertools
import pickle
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import redis

from tests.cache.services import Service, free_port, memcached_server, redis_server

from .serving import Answer, Server, uvicorn_of

TIMEOUT_SECONDS = 0.2
# What a busy machine may add to it.
SLACK_SECONDS = 0.4
# The breaker's first back-off, and a second one should a probe come too early.
RECOVERY_SECONDS = 8.0

SERVICES = {"redis": redis_server, "memcached": memcached_server}
VARIANTS = [
    {"accept": accept, "accept_encoding": coding}
    for accept in ("application/json", "application/vnd.msgpack")
    for coding in ("identity", "zstd", "br", "gzip")
]
_numbers = itertools.count()


class Site(NamedTuple):
    """Two processes of one app over one store."""

    scheme: str
    store: Service
    first: Server
    second: Server

    def count(self) -> int:
        """How many values the store holds."""
        if self.scheme == "redis":
            with self.redis() as client:
                return client.dbsize()
        with socket.create_connection(("127.0.0.1", self.store.port), timeout=5) as connection:
            connection.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += connection.recv(4096)
        return int(answer.partition(b"STAT curr_items ")[2].split()[0])

    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.store.port)

    def fill(self, path: str, values: int = 1, **fields: str) -> Answer:
        """A response of the first process, which the store has by then."""
        before = self.count()
        answer = self.first.get(path, **fields)
        assert "stored" in answer.fields["cache-status"]
        wait_until(lambda: self.count() >= before + values)
        return answer


@contextmanager
def site_over(scheme: str, store: Service) -> Iterator[Site]:
    url = f"{scheme}://127.0.0.1:{store.port}"
    with app_over(url) as first, app_over(url) as second:
        yield Site(scheme, store, first, second)
        for server in (first, second):
            server.stop()
            assert "Finished server process" in server.log()
            assert "Traceback" not in server.log()


@contextmanager
def app_over(url: str) -> Iterator[Server]:
    environ = {
        "ASGI_SERIAL_CACHE_URL": url,
        "ASGI_SERIAL_CACHE_STORE_TIMEOUT": f"{TIMEOUT_SECONDS}s",
        "ASGI_SERIAL_REPORT_PATH": "/report",
    }
    # Both processes are one site, whose requests come for one host.
    with uvicorn_of("tests.integration.probe:app", environ=environ) as server:
        server.client.headers["host"] = "site.test"
        yield server


@pytest.fixture(scope="module", params=SERVICES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose store lives as long as it."""
    with SERVICES[request.param]() as store, site_over(request.param, store) as site:
        yield site


@pytest.fixture(params=SERVICES)
def doomed(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose store is to suffer."""
    with SERVICES[request.param]() as store, site_over(request.param, store) as site:
        yield site


@pytest.fixture(scope="module")
def redis_site() -> Iterator[Site]:
    """A site whose store is Redis, into which a test may write what it likes."""
    with redis_server() as store, site_over("redis", store) as site:
        yield site


def new(path: str) -> str:
    """A path below this one that no test has asked for."""
    return f"{path}/{next(_numbers)}"


def calls_of(server: Server, path: str) -> int:
    return server.get("/calls").value.get(path, 0)


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lasting(answer: Answer) -> list[tuple[str, str]]:
    passing = {"date", "age", "cache-status"}
    return [pair for pair in answer.fields.multi_items() if pair[0] not in passing]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: " in ".join(each.values()))
def test_a_process_answers_from_what_another_has_stored(site, variant):
    path = new("/document")
    miss = site.fill(path, **variant)
    hit = site.second.get(path, **variant)
    assert (miss.cache, hit.cache) == ("fwd=uri-miss", "hit")
    assert hit.value["process"] == site.first.process.pid
    assert (hit.body, lasting(hit)) == (miss.body, lasting(miss))
    assert site.second.get(path, **variant, if_none_match=miss.fields["etag"]).status == 304
    assert calls_of(site.second, path) == 0


def test_a_process_answers_in_a_form_that_another_has_not_stored(site):
    path = new("/document")
    value = site.fill(path, **VARIANTS[0]).value
    for variant in VARIANTS:
        answer = site.second.get(path, **variant)
        assert answer.cache == "hit"
        assert answer.value == value
        assert answer.fields["content-type"].startswith(variant["accept"])
        assert answer.fields.get("content-encoding", "identity") == variant["accept_encoding"]
    assert calls_of(site.second, path) == 0


def test_each_client_gets_its_own_language_from_another_process(site):
    path = new("/varied")
    # The first of them also writes which fields the resource varies on.
    site.fill(path, values=2, accept_language="de")
    site.fill(path, accept_language="fr")
    for language in ("fr", "de"):
        answer = site.second.get(path, accept_language=language)
        assert (answer.cache, answer.value["language"]) == ("hit", language)
    for language in ("it", ""):
        answer = site.second.get(path, accept_language=language)
        assert answer.cache != "hit"
        assert answer.value["language"] == language
    assert calls_of(site.second, path) == 2


def test_a_write_in_one_process_drops_what_the_store_has(site):
    path = new("/document")
    site.fill(path)
    before = site.count()
    assert site.first.ask("POST", path).status == 200
    wait_until(lambda: site.count() < before)
    answer = site.second.get(path)
    assert answer.cache == "fwd=uri-miss"
    assert answer.value["process"] == site.second.process.pid


def test_a_process_that_has_written_does_not_find_what_was_there_before(site):
    path = new("/document")
    site.fill(path)
    assert site.first.ask("POST", path).status == 200
    answer = site.first.get(path)
    assert (answer.cache, answer.value["call"]) == ("fwd=uri-miss", 3)


def timed(server: Server, path: str) -> tuple[float, Answer]:
    began = time.monotonic()
    answer = server.get(path, accept_encoding="br")
    return time.monotonic() - began, answer


def ask_without_store(server: Server) -> list[float]:
    """The seconds that first requests take, each of which is answered in full."""
    took = []
    for _ in range(12):
        path = new("/document")
        seconds, answer = timed(server, path)
        took.append(seconds)
        assert answer.status == 200
        assert answer.value["process"] == server.process.pid
        assert len(answer.value["rows"]) == 50
        assert server.get(path, accept_encoding="br").cache == "hit"
    return took


def wait_for_sharing(site: Site) -> None:
    def is_shared() -> bool:
        path = new("/document")
        site.first.get(path)
        time.sleep(0.1)
        return site.second.get(path).cache == "hit"

    wait_until(is_shared, RECOVERY_SECONDS)


def test_a_store_that_hangs_costs_its_time_out_until_the_breaker_opens(doomed):
    kept = new("/document")
    doomed.fill(kept)
    doomed.store.hang()
    seconds, answer = timed(doomed.first, kept)
    assert answer.cache == "hit"
    assert seconds < SLACK_SECONDS / 2
    took = ask_without_store(doomed.first)
    assert max(took) < TIMEOUT_SECONDS + SLACK_SECONDS
    assert sum(seconds > TIMEOUT_SECONDS / 2 for seconds in took) <= 4
    doomed.store.go_on()
    wait_for_sharing(doomed)


def test_a_store_that_is_killed_costs_nothing_and_is_found_again(doomed):
    doomed.fill(new("/document"))
    doomed.store.kill()
    took = ask_without_store(doomed.first)
    assert max(took) < SLACK_SECONDS
    doomed.store.start()
    wait_for_sharing(doomed)


@pytest.mark.parametrize("scheme", SERVICES)
def test_a_store_that_was_never_there_changes_no_answer(scheme):
    with app_over(f"{scheme}://127.0.0.1:{free_port()}") as server:
        assert max(ask_without_store(server)) < SLACK_SECONDS
        server.stop()
        assert "Traceback" not in server.log()


def test_the_password_of_a_store_that_fails_is_not_logged():
    with app_over(f"redis://anna:s3cret@127.0.0.1:{free_port()}/0") as server:
        server.get(new("/document"))
        server.stop()
        assert "requests are answered without it" in server.log()
        assert "s3cret" not in server.log()
        assert "anna" not in server.log()


def test_a_server_stops_though_its_store_hangs(doomed):
    doomed.fill(new("/document"))
    doomed.store.hang()
    for _ in range(5):
        doomed.first.get(new("/document"))
    began = time.monotonic()
    doomed.first.stop()
    assert time.monotonic() - began < 5
    doomed.store.go_on()


def flip_bit(value: bytes) -> bytes:
    place = random.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << random.randrange(8)]) + value[place + 1 :]


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
        pytest.param(lambda value: b"a" * 20_000_000, id="20 MB"),
    ],
)
def test_a_value_that_was_tampered_with_is_a_miss(redis_site, spoil):
    path = new("/document")
    with redis_site.redis() as client:
        client.flushall()
        redis_site.fill(path)
        for key in client.scan_iter():
            client.set(key, spoil(client.get(key)), keepttl=True)
    answer = redis_site.second.get(path)
    assert answer.cache == "fwd=uri-miss"
    assert answer.value["process"] == redis_site.second.process.pid


def test_a_value_of_another_type_is_a_miss(redis_site):
    path = new("/document")
    with redis_site.redis() as client:
        client.flushall()
        redis_site.fill(path)
        (key,) = client.keys()
        client.delete(key)
        client.lpush(key, "element")
    assert redis_site.second.get(path).value["process"] == redis_site.second.process.pid


@pytest.mark.parametrize("path", ["/document", "/varied"])
def test_values_that_changed_places_are_misses(redis_site, path):
    paths = [new(path), new(path)]
    with redis_site.redis() as client:
        client.flushall()
        for language, each in enumerate(paths):
            values = 2 if path == "/varied" else 1
            redis_site.fill(each, values=values, accept_language=str(language))
        keys = client.keys()
        values = [client.get(key) for key in keys]
        for key, value in zip(keys, values[1:] + values[:1], strict=True):
            client.set(key, value)
    for language, each in enumerate(paths):
        answer = redis_site.second.get(each, accept_language=str(language))
        assert answer.cache.startswith("fwd")
        assert answer.value["call"] == calls_of(redis_site.second, each) == 1
