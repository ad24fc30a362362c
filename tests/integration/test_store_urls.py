"""Server processes that share a store at each kind of URL, also when its master changes."""

import pytest

from asgi_serial.cli.main import run as command
from tests.cache.places import ENCODED, PASSWORD, at_cluster, at_sentinel, at_socket, at_tls
from tests.cache.services import redis_watched

from .serving import Server
from .sites import app_over, calls_of, new, wait_until

# Some of the breaker's back-offs, should probes come too early.
RECOVERY_SECONDS = 120.0


@pytest.fixture(
    scope="module",
    params=[at_socket, at_tls, at_sentinel, at_cluster],
    ids=lambda place: place.__name__,
)
def site(request):
    """The URL of a store, and two processes over it."""
    with request.param() as url, app_over(url) as first, app_over(url) as second:
        yield url, first, second
        for server in (first, second):
            server.stop()
            assert "Traceback" not in server.log()
            assert ENCODED not in server.log()
            assert PASSWORD not in server.log()


def fill(server: Server, path: str) -> None:
    answer = server.get(path)
    assert "stored" in answer.fields["cache-status"]
    assert server.get("/flush").status == 200


def settings_of(server: Server) -> str:
    report = server.get("/report", accept="application/json", host="localhost").value
    return next(one["text"] for one in report["settings"] if one["name"] == "cache_url")


def test_a_process_answers_from_what_another_has_stored(site):
    _, first, second = site
    path = new("/document")
    fill(first, path)
    answer = second.get(path)
    assert (answer.cache, answer.value["process"]) == ("hit", first.process.pid)
    assert calls_of(second, path) == 0


def test_a_variant_of_one_process_answers_in_another(site):
    _, first, second = site
    path = new("/varied")
    for language in ("de", "fr"):
        assert "stored" in first.get(path, accept_language=language).fields["cache-status"]
    assert first.get("/flush").status == 200
    for language in ("fr", "de"):
        answer = second.get(path, accept_language=language)
        assert (answer.cache, answer.value["language"]) == ("hit", language)


def test_a_write_in_one_process_is_heard_in_another(site):
    _, first, second = site
    path = new("/document")
    fill(first, path)
    assert second.get(path).cache == "hit"
    assert first.ask("POST", path).status == 200
    wait_until(lambda: second.get(path).value["process"] == second.process.pid)


def test_the_command_purges_in_the_store(site, capsys):
    url, first, second = site
    path = new("/document")
    fill(first, path)
    assert second.get(path).cache == "hit"
    assert command(["purge", url, "--uri", f"http://site.test{path}"]) == 0
    wait_until(lambda: second.get(path).value["process"] == second.process.pid)
    printed = "".join(capsys.readouterr())
    assert "Purged at " in printed
    assert ENCODED not in printed


def test_the_report_shows_the_url_without_its_secrets(site):
    url, first, _ = site
    shown = settings_of(first)
    assert shown.partition(":")[0] == url.partition(":")[0]
    assert ENCODED not in shown
    assert "s3cret" not in shown


def test_requests_are_misses_after_the_master_is_killed_and_then_hits_again():
    with redis_watched() as watched:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in watched.sentinels)
        url = f"redis+sentinel://{hosts}/main"
        with app_over(url) as first, app_over(url) as second:
            kept, gone = new("/document"), watched.master()
            fill(first, kept)
            assert second.get(kept).cache == "hit"
            gone.kill()
            for server in (first, second):
                assert server.get(kept).cache == "hit"  # in the first level
                answer = server.get(new("/document"))
                assert (answer.status, answer.cache) == (200, "fwd=uri-miss")
                assert answer.value["process"] == server.process.pid

            def is_shared() -> bool:
                path = new("/document")
                first.get(path)
                first.get("/flush")
                return second.get(path).cache == "hit"

            wait_until(is_shared, RECOVERY_SECONDS)
            assert watched.master() is not gone
            for server in (first, second):
                server.stop()
                assert "Traceback" not in server.log()
