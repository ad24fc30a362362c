"""Hostile bodies over the wire: refused in bounded memory, while others are answered."""

import gzip
import itertools
import json
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress

import brotli
import httpx
import msgpack
import pytest

from .serving import ANSWER_SECONDS, Server, uvicorn_of, zstd

MSGPACK = "application/vnd.msgpack"
MB = 1_000_000
MAX_DECODED = 8 * MB
# What a request, a decoder and its window (of br: 4 MB here) take beside the body itself. A busy
# machine was seen to take 10 MB, a page more than was allowed; the bombs hold 64 MB.
SLACK = 16 * MB
ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress} | {
    "zstd": zstd.compress
}
LIMITS = {
    "ASGI_SERIAL_MAX_DECODED": str(MAX_DECODED),
    "ASGI_SERIAL_MAX_ENCODED": "2MB",
    "ASGI_SERIAL_MAX_RATIO": "1000000",
    "ASGI_SERIAL_ROUTES": '{"POST /echo": {"format_uploads": true}}',
}
_numbers = itertools.count()


@pytest.fixture
def fresh() -> Iterator[Server]:
    """A process that has done each kind of work once, and none that takes memory."""
    with uvicorn_of("tests.integration.probe:app", environ=LIMITS) as server:
        for coding, encode in ENCODERS.items():
            fields = {"content_encoding": coding, "content_type": MSGPACK}
            assert server.ask("POST", "/echo", encode(b"\x91\xc0"), **fields).value["length"] == 6
        yield server
        server.stop()
        assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Heads of more than the 64 KB that uvicorn takes by itself reach the app.
    options = ("--http", "h11", "--h11-max-incomplete-event-size", "200000")
    with uvicorn_of("tests.integration.probe:app", *options, environ=LIMITS) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.log()


ZEROS = bytes(64 * MB)
BOMBS = {
    "gzip": lambda: gzip.compress(ZEROS, 1),
    "br": lambda: brotli.compress(ZEROS, quality=1),
    "zstd": lambda: zstd.compress(ZEROS),
    "gzip, gzip": lambda: gzip.compress(gzip.compress(ZEROS, 1)),
    "zstd, br, gzip": lambda: gzip.compress(brotli.compress(zstd.compress(ZEROS))),
}


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_takes_no_more_memory_than_the_limit(fresh, coding):
    bomb = BOMBS[coding]()
    before = fresh.peak_bytes()
    for _ in range(3):
        answer = fresh.ask("POST", "/echo", bomb, content_encoding=coding)
        assert answer.status == 413
        assert json.loads(answer.body)["detail"] == (
            f"The body decodes to more than {MAX_DECODED} bytes."
        )
    assert fresh.peak_bytes() - before < MAX_DECODED + SLACK
    assert fresh.get("/calls").value["/echo"] == len(ENCODERS)


@pytest.mark.parametrize(
    ("coding", "member", "count", "status"),
    [
        pytest.param("gzip", b"", 1_000, 200, id="some empty gzip members"),
        pytest.param("zstd", b"", 1_000, 200, id="some empty zstd frames"),
        pytest.param("gzip", b"", 90_000, 413, id="many empty gzip members"),
        pytest.param("zstd", b"", 20_000, 413, id="many empty zstd frames"),
        pytest.param("gzip", bytes(100_000), 500, 413, id="gzip members that are small bombs"),
        pytest.param("zstd", bytes(100_000), 500, 413, id="zstd frames that are small bombs"),
    ],
)
def test_many_members_are_one_body_to_the_limits(fresh, coding, member, count, status):
    body = ENCODERS[coding](member) * count
    before = fresh.peak_bytes()
    answer = fresh.ask("POST", "/echo", body, content_encoding=coding)
    assert answer.status == status
    assert fresh.peak_bytes() - before < len(body) + MAX_DECODED * bool(member) + SLACK


def test_others_are_answered_while_bombs_are_decoded(fresh):
    bomb = BOMBS["gzip"]()
    statuses: list[int] = []

    def throw() -> None:
        for _ in range(4):
            headers = {"content-encoding": "gzip"}
            response = httpx.post(
                f"{fresh.url}/echo", content=bomb, headers=headers, timeout=ANSWER_SECONDS
            )
            statuses.append(response.status_code)

    before = fresh.peak_bytes()
    threads = [threading.Thread(target=throw) for _ in range(4)]
    for thread in threads:
        thread.start()
    longest = 0.0
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert fresh.get("/calls").status == 200
        longest = max(longest, time.monotonic() - began)
    assert statuses == [413] * 16
    assert longest < 20
    assert fresh.peak_bytes() - before < 4 * (MAX_DECODED + SLACK)


def deep(lead: bytes) -> bytes:
    return lead * 100_000 + b"\xc0"


HOSTILE = {
    "an array of 2**32 elements": b"\xdd\xff\xff\xff\xff",
    "a map of 2**32 members": b"\xdf\xff\xff\xff\xff",
    "a text of 4 GB": b"\xdb\xff\xff\xff\xff",
    "binary of 4 GB": b"\xc6\xff\xff\xff\xff",
    "an extension of 4 GB": b"\xc9\xff\xff\xff\xff\x01",
    "arrays of 2**32 elements in one another": b"\xdd\xff\xff\xff\xff" * 100,
    "arrays, 100,000 deep": deep(b"\x91"),
    "maps, 100,000 deep": deep(b"\x81\xa1a"),
    "arrays, 201 deep": b"\x91" * 201 + b"\xc0",
    "nothing but a byte that is no type": b"\xc1",
    "a document and more": b"\xc0\xc0",
    "a text that is no UTF-8": b"\xa2\xc3\x28",
    "a name twice": b"\x82\xa1a\x01\xa1a\x02",
    "a name that is no text": b"\x81\x01\x02",
    "binary": b"\xc4\x01a",
    "a timestamp": msgpack.packb(msgpack.Timestamp(1)),
    "infinity": b"\xcb" + struct.pack(">d", float("inf")),
}


@pytest.mark.parametrize("coding", ["", "zstd"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_document_that_json_can_not_carry_is_refused(server, name, coding):
    body = HOSTILE[name]
    fields = {"content_type": MSGPACK}
    if coding:
        body, fields["content_encoding"] = ENCODERS[coding](body), coding
    before = server.peak_bytes()
    answer = server.ask("POST", "/echo", body, **fields)
    assert answer.status == 400
    assert answer.fields["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["status"], problem["reason"]) == (400, "bad-format-body")
    assert server.peak_bytes() - before < SLACK


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_body_cut_anywhere_is_refused(server, coding):
    body = ENCODERS[coding](json.dumps({"number": 1, "name": "cut"}).encode())
    assert server.ask("POST", "/echo", body, content_encoding=coding).status == 200
    for length in range(1, len(body)):
        answer = server.ask("POST", "/echo", body[:length], content_encoding=coding)
        assert answer.status == 400
        assert json.loads(answer.body)["reason"] == "bad-encoded-body"


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_body_with_more_after_its_end_is_refused(server, coding):
    body = ENCODERS[coding](b"{}") + b"more"
    assert server.ask("POST", "/echo", body, content_encoding=coding).status == 400


def test_more_codings_than_are_allowed_are_refused(server):
    fields = {"content_encoding": ", ".join(["gzip"] * 4)}
    assert server.ask("POST", "/echo", b"", **fields).status == 400


def test_a_body_over_the_limit_is_refused_while_it_arrives(server):
    """In chunks, so that no length gives it away; the rest of it is not waited for."""
    with server.connect() as connection:
        connection.sendall(
            b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Encoding: gzip\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"%x\r\n%b\r\n" % (100_000, bytes(100_000))
        # The server may close before it has been given the last bytes.
        with suppress(ConnectionError):
            for _ in range(21):
                connection.sendall(chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "value",
    [
        "identity;q=0, *;q=0",
        "gzip;q=1.0001, ;;;, ,, =, /",
        "gzip;" + "a=1;" * 10_000,
        ", ".join(f"x{number};q=0.{number % 1000:03}" for number in range(3_000)),
        '"' * 20_000,
        "*" * 20_000,
    ],
    ids=["nothing at all", "junk", "10,000 parameters", "3,000 elements", "quotes", "stars"],
)
def test_a_field_of_any_content_is_answered_at_once(server, value):
    began = time.monotonic()
    for name in ("accept", "accept_encoding", "cache_control", "if_none_match"):
        answer = server.get(f"/document/{next(_numbers)}", **{name: value})
        assert answer.status == 200
        assert answer.value["rows"]
    assert time.monotonic() - began < 40
