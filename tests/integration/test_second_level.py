"""Server processes that share a real Redis or Memcached, whatever becomes of it."""

import time
from collections.abc import Iterator

import pytest

from tests.cache.services import free_port

from .serving import Answer, Server
from .sites import SERVICES, Site, app_over, calls_of, new, site_over, wait_until

# Of a store that is to hang; so long that one which is well seldom takes it on a busy machine.
TIMEOUT_SECONDS = 1.0
# Some of the breaker's back-offs, should probes come too early.
RECOVERY_SECONDS = 120.0

VARIANTS = [
    {"accept": accept, "accept_encoding": coding}
    for accept in ("application/json", "application/vnd.msgpack")
    for coding in ("identity", "zstd", "br", "gzip")
]


@pytest.fixture(scope="module", params=SERVICES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose store lives as long as it."""
    with SERVICES[request.param]() as store, site_over(request.param, store) as site:
        yield site


@pytest.fixture(params=SERVICES)
def doomed(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose store is to be killed."""
    with SERVICES[request.param]() as store, site_over(request.param, store) as site:
        yield site


@pytest.fixture(params=SERVICES)
def hanging(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose store is to hang, and which does not wait for it for long."""
    with (
        SERVICES[request.param]() as store,
        site_over(request.param, store, TIMEOUT_SECONDS) as site,
    ):
        yield site


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
    site.fill(path, accept_language="de")
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
    before = site.drops()
    assert site.first.ask("POST", path).status == 200
    wait_until(lambda: site.drops() > before)
    answer = site.second.get(path)
    assert answer.cache == "fwd=uri-miss"
    assert answer.value["process"] == site.second.process.pid


def test_a_process_that_has_written_does_not_find_what_was_there_before(site):
    path = new("/document")
    site.fill(path)
    assert site.first.ask("POST", path).status == 200
    answer = site.first.get(path)
    assert (answer.cache, answer.value["call"]) == ("fwd=uri-miss", 3)


def counted(server: Server, name: str) -> int:
    """How many calls of its store have ended so."""
    report = server.get("/report", accept="application/json", host="localhost")
    return report.value["engine"][f"store_{name}"]


def ask_without_store(server: Server) -> None:
    """Have requests answered in full, each of them the first of its URI."""
    for _ in range(12):
        path = new("/document")
        answer = server.get(path, accept_encoding="br")
        assert answer.status == 200
        assert answer.value["process"] == server.process.pid
        assert len(answer.value["rows"]) == 50
        assert server.get(path, accept_encoding="br").cache == "hit"


def wait_for_sharing(site: Site) -> None:
    def is_shared() -> bool:
        path = new("/document")
        site.first.get(path)
        time.sleep(0.1)
        return site.second.get(path).cache == "hit"

    wait_until(is_shared, RECOVERY_SECONDS)


def test_a_store_that_hangs_costs_its_time_out_until_the_breaker_opens(hanging):
    kept = new("/document")
    hanging.fill(kept)
    before = counted(hanging.first, "timeouts")
    hanging.store.hang()
    assert hanging.first.get(kept).cache == "hit"
    assert counted(hanging.first, "timeouts") == before
    ask_without_store(hanging.first)
    timeouts = counted(hanging.first, "timeouts") - before
    assert timeouts >= 3
    # A busy machine may take so long that some probes are made; all other calls are not.
    assert counted(hanging.first, "skipped_by_breaker") > timeouts
    hanging.store.go_on()
    wait_for_sharing(hanging)


def test_a_store_that_is_killed_costs_nothing_and_is_found_again(doomed):
    doomed.fill(new("/document"))
    doomed.store.kill()
    ask_without_store(doomed.first)
    assert counted(doomed.first, "errors") >= 3
    assert counted(doomed.first, "timeouts") == 0
    doomed.store.start()
    wait_for_sharing(doomed)


@pytest.mark.parametrize("scheme", SERVICES)
def test_a_store_that_was_never_there_changes_no_answer(scheme):
    with app_over(f"{scheme}://127.0.0.1:{free_port()}") as server:
        ask_without_store(server)
        assert counted(server, "errors") >= 3
        assert counted(server, "timeouts") == 0
        server.stop()
        assert "Traceback" not in server.log()


def test_the_password_of_a_store_that_fails_is_not_logged():
    with app_over(f"redis://anna:s3cret@127.0.0.1:{free_port()}/0") as server:
        server.get(new("/document"))
        server.stop()
        assert "requests are answered without it" in server.log()
        assert "s3cret" not in server.log()
        assert "anna" not in server.log()


def test_a_server_stops_though_its_store_hangs(hanging):
    hanging.fill(new("/document"))
    hanging.store.hang()
    for _ in range(5):
        hanging.first.get(new("/document"))
    hanging.first.stop()
    hanging.store.go_on()
