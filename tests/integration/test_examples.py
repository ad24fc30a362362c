"""Each example over uvicorn, started by the commands that its first lines name."""

import gzip
import itertools
import json
import time
from collections.abc import Iterator

import brotli
import msgpack
import pytest

from tests.cache.services import free_port

from .serving import DECODERS, Answer, Server, serving, uvicorn_of, zstd

EXAMPLES = ["starlette_app", "fastapi_app", "litestar_app", "plain_asgi"]
MSGPACK = "application/vnd.msgpack"
JSON = "application/json"
CODINGS = {
    "zstd": zstd.compress,
    "br": brotli.compress,
    "gzip": gzip.compress,
}
_numbers = itertools.count()


@pytest.fixture(
    scope="module",
    params=[(name, http) for name in EXAMPLES for http in ("h11", "httptools")],
    ids=lambda param: " over ".join(param),
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    name, http = request.param
    if http == "h11":
        with uvicorn_of(f"examples.{name}:app", "--http", "h11") as server:
            server.name = name
            yield server
            stops_well(server)
    else:  # which uvicorn takes by itself where it is installed
        with serving([f"examples/{name}.py"], free_port()) as server:
            server.name = name
            yield server
            stops_well(server)


def stops_well(server: Server) -> None:
    server.client.close()
    server.stop()
    log = server.log()
    assert "Finished server process" in log
    assert "Traceback" not in log
    assert "Exception in ASGI" not in log


@pytest.fixture
def books() -> str:
    """A path to the list that no test has asked for."""
    return f"/books?{next(_numbers)}"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("media_type", [JSON, MSGPACK, "application/msgpack"])
def test_a_client_gets_the_format_and_the_coding_that_it_asks_for(
    server, books, media_type, coding
):
    plain = server.get(books)
    assert plain.fields["content-type"].startswith(JSON)
    assert "content-encoding" not in plain.fields
    answer = server.get(books, accept=media_type, accept_encoding=coding)
    assert answer.status == 200
    assert answer.fields["content-type"].startswith(media_type)
    assert answer.fields["content-encoding"] == coding
    assert int(answer.fields["content-length"]) == len(answer.body) < len(plain.body) / 4
    assert answer.value == plain.value
    for each in (plain, answer):
        assert each.fields["vary"] == "accept, accept-encoding"
    assert answer.fields["etag"] != plain.fields["etag"]


def lasting(answer: Answer) -> list[tuple[str, str]]:
    """The fields that belong to what is stored, rather than to the answer that carries it."""
    passing = {"date", "age", "cache-status"}
    return [pair for pair in answer.fields.multi_items() if pair[0] not in passing]


@pytest.mark.parametrize("coding", ["", *CODINGS])
@pytest.mark.parametrize("media_type", [JSON, MSGPACK])
def test_the_second_client_is_answered_from_the_cache(server, books, media_type, coding):
    wanted = {"accept": media_type, "accept_encoding": coding or "identity"}
    miss, hit = server.get(books, **wanted), server.get(books, **wanted)
    assert (miss.cache, hit.cache) == ("fwd=uri-miss", "hit")
    assert hit.body == miss.body
    assert lasting(hit) == lasting(miss)
    held = server.get(books, **wanted, if_none_match=miss.fields["etag"])
    assert (held.status, held.body) == (304, b"")
    assert held.fields["etag"] == miss.fields["etag"]
    assert held.fields["vary"] == "accept, accept-encoding"
    assert "content-length" not in held.fields


def test_head_is_answered_from_what_get_has_stored(server, books):
    stored = server.get(books, accept_encoding="br")
    head = server.ask("HEAD", books, accept_encoding="br")
    if server.name == "litestar_app":
        # Litestar routes HEAD to no `get` handler, and says so before it calls middleware.
        assert (head.status, head.fields["allow"]) == (405, "GET, OPTIONS, POST")
    else:
        assert (head.status, head.body, head.cache) == (200, b"", "hit")
        assert lasting(head) == lasting(stored)


def test_a_tag_of_the_apps_own_is_answered_by_304(server):
    first = server.get("/books/7")
    assert first.fields["etag"] == '"book-7"'
    assert first.fields["cache-control"] == "max-age=30"
    held = server.get("/books/7", if_none_match='"other", W/"book-7"')
    assert (held.status, held.body, held.cache) == (304, b"", "hit")
    assert server.get("/books/7", if_none_match='"book-8"').status == 200


def test_an_error_of_the_app_stays_its_own(server):
    answer = server.get("/books/4000")
    assert answer.status == 404
    assert "asgi_serial" not in answer.content.decode()
    assert "stored" not in answer.fields["cache-status"]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_upload_in_compressed_messagepack_is_json_to_the_app(server, coding):
    body = CODINGS[coding](msgpack.packb({"title": "Ü", "pages": 2**40}))
    answer = server.ask("POST", "/books", body, content_type=MSGPACK, content_encoding=coding)
    assert answer.status == 201
    added = answer.value
    assert (added.pop("title"), added.pop("pages"), list(added)) == ("Ü", 2**40, ["id"])


def test_a_write_drops_the_list_that_is_kept(server):
    before = server.get("/books").value
    assert server.get("/books").cache == "hit"
    new = json.dumps({"title": "new", "pages": 1})
    assert server.ask("POST", "/books", new, content_type=JSON).status == 201
    after = server.get("/books")
    assert after.cache == "fwd=uri-miss"
    assert [book["title"] for book in after.value] == [book["title"] for book in before] + ["new"]


def test_a_post_is_answered_from_the_cache_by_its_body(server, books):
    body = json.dumps({"title": "Volume 5", "seen": books}).encode()
    other = json.dumps({"title": "Volume 6", "seen": books}).encode()

    def ask(content):
        return server.ask("POST", "/search", content, content_type=JSON)

    miss, hit, missed = ask(body), ask(body), ask(other)
    assert (miss.cache, hit.cache, missed.cache) == ("fwd=uri-miss", "hit", "fwd=uri-miss")
    assert hit.value == miss.value
    assert [book["id"] for book in hit.value] == [5, *range(50, 60)]
    assert [book["id"] for book in missed.value] == [6, *range(60, 70)]


def test_a_route_is_left_uncompressed_by_its_policy(server):
    answer = server.get("/export", accept_encoding="zstd, br, gzip")
    assert "content-encoding" not in answer.fields
    assert len(answer.value) >= 100


def arrivals_of_events(server: Server) -> list[float]:
    """When each of the three events was there, in seconds from the request."""
    decoder = DECODERS["br"]()
    times, content = [], b""
    began = time.monotonic()
    headers = {"accept-encoding": "br"}
    with server.client.stream("GET", "/events", headers=headers) as response:
        assert response.headers["content-encoding"] == "br"
        for chunk in response.iter_raw():
            content += decoder.decompress(chunk)
            while content.count(b"\n\n") > len(times):
                times.append(time.monotonic() - began)
    assert content == b"".join(b"data: tick %d\n\n" % number for number in range(3))
    return times


def test_events_arrive_as_they_are_sent(server):
    # The app pauses for 0.2 s after each event; one that waits for the next comes with it, each
    # time. A client that gets the processor late may find two of them, but not each time.
    rounds = (arrivals_of_events(server) for _ in range(10))
    assert any(min(b - a, c - b) > 0.1 for a, b, c in rounds)


@pytest.mark.parametrize(
    ("status", "fields", "body"),
    [
        pytest.param(400, {"content_encoding": "gzip"}, b"no gzip", id="no gzip"),
        pytest.param(
            400, {"content_encoding": "br"}, brotli.compress(b"{}" * 99)[:-1], id="cut br"
        ),
        pytest.param(400, {"content_type": MSGPACK}, b"\xc1", id="no MessagePack"),
        pytest.param(400, {"content_type": MSGPACK}, b"\xdd\xff\xff\xff\xff", id="2**32 elements"),
        pytest.param(
            413, {"content_encoding": "gzip"}, gzip.compress(bytes(20_000_000)), id="a bomb"
        ),
        pytest.param(415, {"content_encoding": "compress"}, b"x", id="an unknown coding"),
    ],
)
def test_a_bad_body_is_refused_before_the_app_runs(server, status, fields, body):
    answer = server.ask("POST", "/books", body, **{"content_type": JSON, **fields})
    assert answer.status == status
    assert answer.fields["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == status
    assert problem["detail"]
    if status == 415:
        assert answer.fields["accept-encoding"] == "zstd, br, gzip, deflate"


def test_the_report_tells_the_routes_by_their_templates(server):
    for path in ("/books", "/books/1", "/books/2", "/books/2", "/export", "/nowhere"):
        server.get(path)
    report = server.get("/timing").content.decode()
    routes = {line.split()[0] for line in report.splitlines() if line.startswith("/")}
    assert {"/books", "/export"} <= routes
    assert not {"/books/1", "/books/2", "/nowhere"} & routes
    assert any("books/{number" in route for route in routes)
