"""examples/caching.py over uvicorn: what its first lines promise of purging and of partitions."""

import itertools
import json
import time
from collections.abc import Iterator

import pytest

from tests.cache.services import free_port

from .serving import Answer, Server, serving, uvicorn_of

STARTS = {
    "by uvicorn": lambda: uvicorn_of("examples.caching:app", "--http", "h11"),
    "by python": lambda: serving(["examples/caching.py"], free_port()),
}
TOKEN = "Bearer secret"
_numbers = itertools.count()


@pytest.fixture(scope="module", params=STARTS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTS[request.param]() as server:
        yield server
        server.stop()
        assert "Traceback" not in server.log()


@pytest.fixture
def article() -> str:
    """An article that no other test has asked for."""
    return f"/articles/{next(_numbers) % 20}"


def purge(server: Server, document: object, **fields: str) -> Answer:
    return server.ask("POST", "/-/purge", json.dumps(document), **fields)


def test_an_article_is_kept_and_its_tag_is_answered(server, article):
    miss, hit = server.get(article), server.get(article)
    assert (miss.cache, hit.cache) == ("fwd=uri-miss", "hit")
    assert hit.body == miss.body
    assert server.get(article, if_none_match=miss.fields["etag"]).status == 304


def test_a_write_drops_the_article_and_by_the_tag_the_list(server, article):
    for path in (article, "/articles"):
        server.get(path)
        assert server.get(path).cache == "hit"
    put = server.ask("PUT", article, json.dumps({"title": f"New {article}"}))
    assert (put.status, put.cache) == (200, "fwd=method")
    assert server.get(article).value["title"] == f"New {article}"
    assert f"New {article}" in server.get("/articles").value


def test_each_reader_has_a_page_of_his_own(server):
    ada, bob = f"sid=ada{next(_numbers)}", f"sid=bob{next(_numbers)}"
    first = server.get("/me", cookie=ada)
    assert first.fields["cache-control"] == "private"
    assert server.get("/me", cookie=ada).value == first.value
    # A cookie that is named speaks for itself alone: the other is a part of the key.
    assert server.get("/me", cookie=f"theme=dark; {ada}").cache == "fwd=uri-miss"
    assert server.get("/me", cookie=bob).value["reader"] == bob.removeprefix("sid=")
    assert server.get("/me").status == 401
    assert server.ask("POST", "/logout", cookie=ada).status == 204
    assert server.get("/me", cookie=ada).value["visit"] > first.value["visit"]
    assert server.get("/me", cookie=bob).cache == "hit"


@pytest.mark.parametrize(
    "document",
    [
        {"tags": ["articles"]},
        {"uris": ["/articles"]},
        {"prefixes": ["/art"]},
        {"everything": True},
    ],
    ids=lambda document: next(iter(document)),
)
def test_who_has_the_token_purges(server, document):
    server.get("/articles")
    assert server.get("/articles").cache == "hit"
    assert purge(server, document).status == 401
    assert server.get("/articles").cache == "hit"
    assert purge(server, document, authorization=TOKEN).status == 204
    assert server.get("/articles").cache == "fwd=uri-miss"


def test_a_stale_article_is_sent_and_confirmed_behind_the_answer(server, article):
    server.get(article)
    deadline = time.monotonic() + 120
    while (stale := server.get(article)).fields["cache-status"].find("stale-while") < 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert stale.status == 200
    while server.get(article).fields["cache-status"].find("stale-while") >= 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.get(article).cache == "hit"
