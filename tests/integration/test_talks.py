"""Responses that begin while the app waits for its client, or the client for the app."""

import pytest

from .serving import DECODERS, uvicorn_of
from .wire import Wire, head_of

APP = "tests.integration.talking:app"


@pytest.fixture(params=["h11", "httptools"])
def server(request):
    with uvicorn_of(APP, "--http", request.param) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd"])
def test_the_head_of_json_lines_comes_before_the_first_line(server, coding):
    with Wire(server) as wire:
        wire.send(head_of("GET", "/lines", f"Accept-Encoding: {coding}"))
        # The first line is not there before the head is: this would wait forever.
        status, fields = wire.read_head()
        assert (status, fields.get("content-encoding", "")) == (200, coding)
        assert server.get("/open").status == 200
        content = b"".join(iter(wire.read_chunk, b""))
        assert DECODERS[coding]().decompress(content) == b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd"])
def test_a_client_that_waits_for_the_head_can_talk_to_an_echo(server, coding):
    with Wire(server) as wire:
        lines = [f"Accept-Encoding: {coding}", "Transfer-Encoding: chunked"]
        wire.send(head_of("POST", "/echo", *lines))
        status, fields = wire.read_head()
        assert (status, fields.get("content-encoding", "")) == (200, coding)
        decoder = DECODERS[coding]()
        for word in (b"one", b"two"):
            wire.send(b"3\r\n" + word + b"\r\n")
            heard = b""
            while heard != b"got " + word:
                heard += decoder.decompress(wire.read_chunk())
        wire.send(b"0\r\n\r\n")
