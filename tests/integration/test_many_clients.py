"""Many clients at once, over two processes and one Redis: each gets what is its own."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx

from tests.cache.services import redis_server

from .serving import ANSWER_SECONDS, Answer, uvicorn_of

CLIENTS, REQUESTS = 8, 80
ACCEPTED = ["application/json", "application/vnd.msgpack", "application/x-msgpack", "*/*"]
CODINGS = ["gzip", "br", "zstd", "identity", "gzip;q=0.5, br", "zstd;q=0, *"]


def make_request(choose: random.Random) -> httpx.Request:
    """A request for one of few resources, of which some differ by language or by user."""
    kind = choose.choice(["document", "varied", "account", "ticks"])
    headers = {"host": "site.test", "accept": choose.choice(ACCEPTED)}
    if choose.random() < 0.8:
        headers["accept-encoding"] = choose.choice(CODINGS)
    if kind == "varied":
        headers["accept-language"] = choose.choice(["de", "fr", "it"])
    if kind == "account" and choose.random() < 0.7:
        headers[choose.choice(["authorization", "cookie"])] = choose.choice(["ann", "bob"])
    # A call for ticks takes half a second, which writes and HEAD would bring about often.
    method = "GET" if kind == "ticks" else choose.choices(["GET", "HEAD", "POST"], [8, 1, 1])[0]
    return httpx.Request(method, f"http://site.test/{kind}/{choose.randrange(6)}", headers=headers)


def check(request: httpx.Request, answer: Answer) -> None:
    """Whether this is an answer to this request: in its form, for its user, in its language."""
    assert answer.status == 200
    wanted, coding = request.headers, answer.fields.get("content-encoding", "")
    assert not coding or coding in wanted["accept-encoding"] or "*" in wanted["accept-encoding"]
    assert not (coding == "zstd" and "zstd;q=0" in wanted["accept-encoding"])
    assert int(answer.fields.get("content-length", len(answer.body))) >= len(answer.body)
    if request.method == "HEAD":
        assert answer.body == b""
        return
    assert answer.fields["content-type"] in (wanted["accept"], "application/json")
    value, path = answer.value, urlsplit(str(request.url)).path
    kind = path.split("/")[1]
    if kind == "document":
        assert [row["id"] for row in value["rows"]] == list(range(50))
    elif kind == "varied":
        assert value["language"] == wanted["accept-language"]
    elif kind == "account":
        assert value["path"] == path
        assert value["user"] == wanted.get("authorization", wanted.get("cookie"))
    else:
        assert value == list(range(9))


def run_client(urls: list[str], seed: int) -> Counter[str]:
    choose = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
        for _ in range(REQUESTS):
            request = make_request(choose)
            place = choose.choice(urls) + urlsplit(str(request.url)).path
            sent = httpx.Request(request.method, place, headers=request.headers)
            response = client.send(sent, stream=True)
            answer = Answer(response.status_code, response.headers, b"".join(response.iter_raw()))
            check(request, answer)
            outcomes[answer.cache] += 1
    return outcomes


def test_each_of_many_clients_gets_what_is_its_own():
    with redis_server() as store:
        environ = {"ASGI_SERIAL_CACHE_URL": f"redis://127.0.0.1:{store.port}"}
        app = "tests.integration.probe:app"
        with (
            uvicorn_of(app, "--http", "h11", environ=environ) as first,
            uvicorn_of(app, "--http", "httptools", environ=environ) as second,
            ThreadPoolExecutor(CLIENTS) as clients,
        ):
            urls = [first.url, second.url]
            outcomes = sum(clients.map(run_client, [urls] * CLIENTS, range(CLIENTS)), Counter())
            for server in (first, second):
                server.stop()
                assert "Traceback" not in server.log()
    assert outcomes["hit"] > CLIENTS * REQUESTS / 3
    assert outcomes["fwd=bypass"] > 0
