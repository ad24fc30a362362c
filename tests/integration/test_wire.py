"""What HTTP/1.1 promises on a connection still holds with the middleware in between."""

import gzip
import hashlib
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import brotli
import msgpack
import pytest

from .serving import DECODERS, Server, uvicorn_of, zstd
from .wire import Wire, head_of

MSGPACK = "application/vnd.msgpack"
DISCONNECT_SECONDS = 120
_numbers = itertools.count()


@pytest.fixture(scope="module", params=["h11", "httptools"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    options = ("--http", request.param, "--timeout-keep-alive", "20")
    with uvicorn_of("tests.integration.probe:app", *options) as server:
        yield server
        server.stop()
        assert "Application shutdown complete." in server.log()
        assert "Finished server process" in server.log()
        assert "Traceback" not in server.log()


def new(path: str) -> str:
    """A path below this one that no test has asked for."""
    return f"{path}/{next(_numbers)}"


def calls_of(server: Server, path: str) -> int:
    return server.get("/calls").value.get(path, 0)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DISCONNECT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("coding", ["identity", "zstd", "br", "gzip"])
def test_an_event_arrives_before_the_app_makes_the_next(server, coding):
    path = new("/gated")
    decoder = DECODERS[coding.replace("identity", "")]()
    with Wire(server) as wire:
        wire.send(head_of("GET", path, f"Accept-Encoding: {coding}"))
        # The start too is there while the app waits for what makes the first event.
        status, fields = wire.read_head()
        assert (status, fields.get("content-encoding", "identity")) == (200, coding)
        content = b""
        for number in range(3):
            server.get(path.replace("gated", "open"))
            expected = b"".join(b"data: %d\n\n" % earlier for earlier in range(number + 1))
            while len(content) < len(expected):
                content += decoder.decompress(wire.read_chunk())
            assert content == expected
        while chunk := wire.read_chunk():
            content += decoder.decompress(chunk)
        assert content == expected


def test_the_app_is_told_of_the_start_of_its_server(server):
    assert calls_of(server, "lifespan.startup") == 1
    assert server.get("/told").value == {"told": "lifespan.startup"}


def test_one_connection_carries_every_kind_of_answer(server):
    path = new("/document")
    body = gzip.compress(b"{}")
    with Wire(server) as wire:
        wire.send(head_of("GET", path, "Accept-Encoding: br"))
        _, miss, first = wire.read()
        wire.send(head_of("GET", path, "Accept-Encoding: br"))
        _, hit, second = wire.read()
        assert "stored" in miss["cache-status"]
        assert "hit" in hit["cache-status"]
        assert first == second
        wire.send(head_of("HEAD", path, "Accept-Encoding: br"))
        assert wire.read(has_body=False)[1]["content-length"] == str(len(first))
        wire.send(head_of("GET", path, "Accept-Encoding: br", f"If-None-Match: {hit['etag']}"))
        assert wire.read(has_body=False)[0] == 304
        wire.send(
            head_of("POST", "/echo", "Content-Encoding: gzip", f"Content-Length: {len(body)}"), body
        )
        status, _, answer = wire.read()
        assert (status, json.loads(answer)["length"]) == (200, 2)
        wire.send(head_of("POST", "/echo", "Content-Encoding: gzip", "Content-Length: 4"), b"junk")
        assert wire.read()[0] == 400
        wire.send(head_of("GET", "/ticks"))
        assert json.loads(wire.read()[2]) == list(range(9))
        wire.send(head_of("GET", path, "Accept-Encoding: gzip"))
        assert gzip.decompress(wire.read()[2]) == brotli.decompress(first)


def test_requests_sent_at_once_are_answered_in_their_order(server):
    path, other = new("/document"), new("/document")
    upload = zstd.compress(b"x" * 1000)
    with Wire(server) as wire:
        wire.send(
            head_of("GET", path, "Accept-Encoding: zstd"),
            head_of("GET", path, "Accept-Encoding: zstd"),
            head_of("HEAD", path, "Accept-Encoding: zstd"),
            head_of("GET", other),
            head_of("POST", "/echo", "Content-Encoding: zstd", f"Content-Length: {len(upload)}"),
            upload,
            head_of("POST", "/echo", "Content-Encoding: zstd", "Content-Length: 4"),
            b"junk",
            head_of("GET", path, f"Accept: {MSGPACK}"),
        )
        first, second = wire.read(), wire.read()
        assert first[2] == second[2]
        assert "hit" in second[1]["cache-status"]
        assert wire.read(has_body=False)[1]["content-length"] == str(len(first[2]))
        assert json.loads(wire.read()[2])["rows"]
        assert json.loads(wire.read()[2])["length"] == 1000
        assert wire.read()[0] == 400
        assert msgpack.unpackb(wire.read()[2]) == json.loads(zstd.decompress(first[2]))


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd"])
def test_an_upload_in_chunks_is_the_body_that_was_sent(server, coding, size):
    content = b"".join(b"line %d\n" % number for number in range(400))
    encode = {"": bytes, "gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}
    body = encode[coding](content)
    lines = [f"Content-Encoding: {coding}"] if coding else []
    chunks = [body[place : place + size] for place in range(0, len(body), size)]
    with Wire(server) as wire:
        wire.send(
            head_of("POST", "/echo", "Transfer-Encoding: chunked", *lines),
            *(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks),
            b"0\r\n\r\n",
        )
        status, _, answer = wire.read()
    echoed = json.loads(answer)
    assert status == 200
    assert echoed["digest"] == hashlib.sha256(content).hexdigest()
    assert echoed["content_encoding"] is None
    assert echoed["content_length"] == (str(len(content)) if coding else None)


def test_a_client_that_expects_100_is_told_to_go_on(server):
    body = gzip.compress(b"{}")
    with Wire(server) as wire:
        wire.send(
            head_of(
                "POST",
                "/echo",
                "Expect: 100-continue",
                "Content-Encoding: gzip",
                f"Content-Length: {len(body)}",
            )
        )
        assert wire.read_head()[0] == 100
        wire.send(body)
        status, _, answer = wire.read()
        assert (status, json.loads(answer)["length"]) == (200, 2)


@pytest.mark.parametrize(
    ("status", "line"),
    [(415, "Content-Encoding: unknown"), (413, "Content-Encoding: gzip")],
    ids=["an unknown coding", "a length over the limit"],
)
def test_a_client_that_expects_100_is_refused_before_it_sends_its_body(server, status, line):
    with Wire(server) as wire:
        wire.send(
            head_of("POST", "/echo", "Expect: 100-continue", line, "Content-Length: 900000000")
        )
        # RFC 9110, 10.1.1: a final status may be sent in place of 100.
        assert wire.read()[0] == status


@pytest.mark.parametrize("coding", ["identity", "zstd", "br", "gzip"])
def test_a_client_that_leaves_ends_the_stream_and_nothing_is_stored(server, coding):
    path = new("/endless")
    left = calls_of(server, "/endless left")
    with Wire(server) as wire:
        wire.send(head_of("GET", path, f"Accept-Encoding: {coding}"))
        wire.read_head()
        assert wire.read_chunk()
    wait_until(lambda: calls_of(server, "/endless left") == left + 1)
    with Wire(server) as wire:
        wire.send(head_of("GET", path, f"Accept-Encoding: {coding}"))
        assert "fwd=uri-miss" in wire.read_head()[1]["cache-status"]
    wait_until(lambda: calls_of(server, "/endless left") == left + 2)


@pytest.mark.parametrize(
    "line",
    ["Content-Encoding: gzip", f"Content-Type: {MSGPACK}", "Content-Type: application/json"],
    ids=["decoded", "translated", "passed on"],
)
def test_a_body_shorter_than_its_length_is_a_client_that_has_left(server, line):
    left = calls_of(server, "/left")
    with Wire(server) as wire:
        wire.send(head_of("POST", "/echo", line, "Content-Length: 1000"), b"\x1f\x8b")
        wire.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: calls_of(server, "/left") == left + 1)
    assert server.ask("POST", "/echo", b"body").value["length"] == 4


def test_requests_at_once_for_what_a_write_has_dropped_call_the_app_once(server):
    path = new("/ticks")
    with Wire(server) as wire:  # what has been stored once is waited for
        for method in ("GET", "PUT"):
            wire.send(head_of(method, path, "Content-Length: 0"))
            wire.read()
    before = calls_of(server, path)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(30)]
        for number, wire in enumerate(wires):
            coding = ("identity", "br", "gzip")[number % 3]
            wire.send(head_of("GET", path, f"Accept-Encoding: {coding}"))
        for wire in wires:
            _, fields, body = wire.read()
            decoder = DECODERS[fields.get("content-encoding", "")]()
            assert json.loads(decoder.decompress(body)) == list(range(9))
    assert calls_of(server, path) == before + 1


def test_a_client_that_leaves_does_not_take_the_answer_from_those_who_wait(server):
    path = new("/ticks")
    with Wire(server) as first, Wire(server) as second:
        first.send(head_of("GET", path))
        first.read_head()
        second.send(head_of("GET", path))
        first.socket.shutdown(socket.SHUT_RDWR)
        status, _, body = second.read()
    assert (status, json.loads(body)) == (200, list(range(9)))


def test_a_length_shorter_than_the_coded_body_is_refused_as_truncated(server):
    body = gzip.compress(b"x" * 1000)
    with Wire(server) as wire:
        wire.send(
            head_of("POST", "/echo", "Content-Encoding: gzip", f"Content-Length: {len(body) - 4}"),
            body,
        )
        assert wire.read()[0] == 400


def test_an_old_client_gets_a_whole_stream(server):
    with Wire(server) as wire:
        wire.send(b"GET /ticks HTTP/1.0\r\nAccept-Encoding: br\r\n\r\n")
        _, fields = wire.read_head()
        # uvicorn sends chunks over httptools even to a client that does not know them.
        chunked = "transfer-encoding" in fields
        body = b"".join(iter(wire.read_chunk, b"")) if chunked else wire.file.read()
    assert json.loads(brotli.decompress(body)) == list(range(9))


def test_an_app_that_leaves_the_body_alone_answers_as_ever(server):
    body = gzip.compress(bytes(100_000))
    fields = {"content_encoding": "gzip"}
    for _ in range(2):
        assert server.ask("POST", "/ignore", body, **fields).value == {"ignored": True}


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_a_server_that_is_told_to_stop_sends_what_it_has_begun(http):
    with uvicorn_of("tests.integration.probe:app", "--http", http) as server:
        with Wire(server) as wire, Wire(server) as idle:
            idle.send(head_of("GET", "/document"))
            idle.read()
            wire.send(head_of("GET", "/ticks", "Accept-Encoding: gzip"))
            wire.read_head()
            server.process.terminate()
            chunks = list(iter(wire.read_chunk, b""))
        assert json.loads(gzip.decompress(b"".join(chunks))) == list(range(9))
        server.stop()
        assert "Finished server process" in server.log()
        assert "Traceback" not in server.log()
