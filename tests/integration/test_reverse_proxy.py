"""The reverse proxy over uvicorn, between raw bytes on both of its sides."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cache.services import free_port

from .origin import Origin, Peer
from .serving import Server, serving
from .sites import wait_until
from .wire import Wire, head_of

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
EMPTY = b"Content-Length: 0\r\n"
# What the proxy takes for silence where that is the point, and an upload leaves between two pieces.
SILENCE_SECONDS, PAUSE_SECONDS = 3.0, 0.8


def response(*lines: bytes, status: bytes = b"200 OK", body: bytes = b"") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 " + status + b"\r\n" + DATE + head + b"\r\n" + body


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as origin:
        yield origin


@contextmanager
def proxy_of(origin: Origin, silence_seconds: float) -> Iterator[Server]:
    port = free_port()
    command = ["examples/reverse_proxy.py", "--upstream", origin.url, "--port", str(port)]
    with serving([*command, "--silence", str(silence_seconds)], port) as server:
        yield server
        server.stop()
        assert "Finished server process" in server.log()
        assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def server(origin: Origin) -> Iterator[Server]:
    """A proxy that waits for an origin which gets the processor late."""
    with proxy_of(origin, 30) as server:
        yield server


@pytest.fixture(scope="module")
def impatient(origin: Origin) -> Iterator[Server]:
    with proxy_of(origin, SILENCE_SECONDS) as server:
        yield server


@pytest.fixture(autouse=True)
def _forget(origin: Origin) -> None:
    origin.scripts.clear()
    origin.asked.clear()


def ask(server: Server, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """All that is answered to one request."""
    return server.exchange(head_of(method, "/", *lines, "Connection: close") + body)


def lines_of(answer: bytes) -> list[bytes]:
    """The field lines of a response, without those that the proxy or its server adds."""
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    added = (b"via:", b"cache-status:", b"connection:", b"transfer-encoding:")
    return [line for line in lines if not line.lower().startswith(added)]


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def sent_fields(origin: Origin) -> list[tuple[str, str]]:
    return list(origin.asked[-1].fields)


# What goes to the upstream.


def test_a_request_passes_with_its_target_host_and_fields(server, origin):
    origin.scripts["//a%2Fb;x/%c3%bc"] = response(EMPTY.strip())
    target = "//a%2Fb;x/%c3%bc?q=1&&q=%20"
    lines = ["X-A: 1", "Accept: b", "X-A: 2", "X-Latin: \xe9", "Connection: close"]
    head = f"GET {target} HTTP/1.1\r\nHost: some.example:8\r\n" + "\r\n".join([*lines, "", ""])
    assert server.exchange(head.encode("latin-1")).startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].line == f"GET {target} HTTP/1.1"
    assert sent_fields(origin) == [
        ("host", "some.example:8"),
        ("x-a", "1"),
        ("accept", "b"),
        ("x-a", "2"),
        ("x-latin", "\xe9"),
        ("via", "1.1 asgi_serial"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Keep-Alive: timeout=5", id="Keep-Alive"),
        pytest.param("Proxy-Connection: close", id="Proxy-Connection"),
        pytest.param("TE: trailers", id="TE"),
        pytest.param("Upgrade: h2c", id="Upgrade"),
        pytest.param("X-Named: 1", id="what Connection names"),
        pytest.param("x-OTHER: 1", id="what another line of Connection names"),
    ],
)
def test_a_field_of_the_clients_connection_stays_there(server, origin, line):
    origin.scripts["/"] = response(EMPTY.strip())
    ask(server, line, "Connection: x-named ,TE", "Connection: X-Other")
    assert [name for name, _ in sent_fields(origin)] == ["host", "via"]


def test_connection_can_not_take_away_what_frames_a_request(server, origin):
    origin.scripts["/"] = response(EMPTY.strip())
    lines = ["Content-Length: 3", "Connection: content-length, host, transfer-encoding"]
    ask(server, *lines, method="POST", body=b"abc")
    assert origin.asked[-1].body == b"abc"
    assert origin.asked[-1].all("host") == ["test"]


def test_what_connection_names_does_not_select_among_stored_responses(server, origin):
    lines = [b"Cache-Control: max-age=60", b"Vary: X-Named", EMPTY.strip()]
    origin.scripts["/named"] = response(*lines).replace(DATE, b"")
    with Wire(server) as wire:
        wire.send(head_of("GET", "/named", "X-Named: 1", "Connection: x-named"))
        wire.read()
        wire.send(head_of("GET", "/named", "X-Named: 1"))
        wire.read()
    assert [asked.all("x-named") for asked in origin.asked] == [[], ["1"]]


def test_via_is_added_to_those_that_are_there(server, origin):
    origin.scripts["/"] = response(EMPTY.strip(), b"Via: 1.0 other")
    assert b"via: 1.0 other\r\nvia: 1.1 asgi_serial\r\n" in ask(server, "Via: 1.1 first")
    assert origin.asked[-1].all("via") == ["1.1 first", "1.1 asgi_serial"]


def test_a_request_of_http_1_0_goes_on_as_http_1_1(server, origin):
    origin.scripts["/"] = response(EMPTY.strip())
    assert server.exchange(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].line == "GET / HTTP/1.1"
    assert origin.asked[-1].all("host") == [origin.url.removeprefix("http://")]
    assert origin.asked[-1].all("via") == ["1.0 asgi_serial"]


@pytest.mark.parametrize(
    "answer",
    [
        response(b"Transfer-Encoding: chunked", body=b"3\r\none\r\n0\r\n\r\n"),
        response(b"Connection: close", body=b"one"),
    ],
    ids=["chunked", "up to its end"],
)
@pytest.mark.parametrize("cached", [b"", b"Cache-Control: max-age=60\r\n"], ids=["a miss", "a hit"])
def test_a_client_of_http_1_0_gets_no_chunks(server, origin, answer, cached):
    """RFC 9112, 6.1."""
    origin.scripts["/old"] = breaks_off(answer.replace(DATE, cached))
    request = b"GET /old HTTP/1.0\r\nHost: %d\r\n\r\n" % len(answer + cached)

    def is_hit():
        before = len(origin.asked)
        got = server.exchange(request)
        assert b"transfer-encoding" not in got.lower()
        assert body_of(got) == b"one"
        return len(origin.asked) == before

    assert not is_hit()
    if cached:
        # The client has the whole response a moment before the app has ended and it is stored.
        wait_until(is_hit)
    else:
        assert not is_hit()


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://one.example/a%2Fb?c=d", "/a%2Fb?c=d"),
        ("HTTP://one.example", "/"),
        ("http://one.example?c=d", "/?c=d"),
    ],
)
def test_the_host_of_an_absolute_target_goes_before_that_of_host(server, origin, target, path):
    """RFC 9112, 3.2.2."""
    origin.scripts[path.partition("?")[0]] = response(EMPTY.strip())
    head = f"GET {target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n"
    assert server.exchange(head.encode()).startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].line == f"GET {path} HTTP/1.1"
    assert origin.asked[-1].all("host") == ["one.example"]


@pytest.mark.parametrize("host", ["a b", "a/b", "u@a", "a:b", "a, b", "[::1", "a\\b"])
def test_a_host_that_is_none_is_refused(server, origin, host):
    """RFC 9112, 3.2."""
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert server.exchange(head.encode()).startswith(b"HTTP/1.1 400 ")
    assert not origin.asked


@pytest.mark.parametrize("lines", [b"", b"Host: a\r\nHost: b\r\n"], ids=["none", "two"])
def test_a_request_names_one_host(server, origin, lines):
    head = b"GET / HTTP/1.1\r\nConnection: close\r\n" + lines + b"\r\n"
    assert server.exchange(head).startswith(b"HTTP/1.1 400 ")
    assert not origin.asked


@pytest.mark.parametrize("host", ["a", "A.example:80", "[::1]:8080", "a_b", "", "127.0.0.1"])
def test_a_host_passes(server, origin, host):
    origin.scripts["/"] = response(EMPTY.strip())
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert server.exchange(head.encode()).startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].all("host") == [host]


def test_a_method_that_nobody_knows_passes(server, origin):
    origin.scripts["/"] = response(EMPTY.strip())
    assert ask(server, method="FROBNICATE").startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].line == "FROBNICATE / HTTP/1.1"


def test_white_space_around_a_value_selects_nothing(server, origin):
    answer = response(b"Cache-Control: max-age=60", b"Vary: X-A", EMPTY.strip())
    origin.scripts["/white"] = answer.replace(DATE, b"")
    for line in ("X-A: 1", "X-A: 1  ", "X-A:\t1"):
        server.exchange(head_of("GET", "/white", line, "Connection: close"))
    assert len(origin.asked) == 1


@pytest.mark.parametrize("is_chunked", [False, True], ids=["of known length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_content_goes_up_as_it_is(server, origin, size, is_chunked):
    origin.scripts["/"] = response(EMPTY.strip())
    content = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    body, line = content, f"Content-Length: {size}"
    if is_chunked:
        line = "Transfer-Encoding: chunked"
        body = (b"%x\r\n%s\r\n" % (size, content) if size else b"") + b"0\r\n\r\n"
    answer = ask(server, line, "Content-Encoding: gzip", method="POST", body=body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert origin.asked[-1].body == content
    assert origin.asked[-1].all("content-encoding") == ["gzip"]
    assert len(origin.asked[-1].all("transfer-encoding")) == is_chunked


def test_content_goes_up_while_it_comes(server, origin):
    first: list[bytes] = []

    def script(peer: Peer, asked: object) -> None:
        first.append(peer.file.read(3))
        peer.file.read(3)
        peer.send(response(EMPTY.strip()))

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("PUT", "/", "Content-Length: 6"), b"abc")
        deadline = time.monotonic() + 120
        while not first and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first == [b"abc"]
        wire.send(b"def")
        assert wire.read()[0] == 200


def test_an_answer_before_the_end_of_the_content_passes(server, origin):
    def script(peer: Peer, asked: object) -> None:
        peer.send(response(EMPTY.strip(), b"Connection: close", status=b"413 Content Too Large"))
        peer.close()

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("POST", "/", "Content-Length: 1000000"), b"abc")
        assert wire.read()[0] == 413


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(b"200 OK", b"abc", id="after 100 (Continue) the content goes up"),
        pytest.param(b"401 Unauthorized", b"", id="after another answer it does not"),
    ],
)
def test_the_upstream_decides_on_an_expectation(server, origin, status, body):
    seen: list[bytes] = []

    def script(peer: Peer, asked: object) -> None:
        if body:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            seen.append(peer.file.read(3))
        peer.send(response(EMPTY.strip(), status=status))
        peer.close()

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("POST", "/", "Content-Length: 3", "Expect: 100-continue"))
        status_seen, _ = wire.read_head()
        if body:
            assert status_seen == 100
            wire.send(body)
            status_seen, _, _ = wire.read()
    assert status_seen == int(status[:3])
    assert b"".join(seen) == body
    assert origin.asked[-1].all("expect") == ["100-continue"]


@pytest.mark.parametrize(
    ("method", "hops", "status", "sent"),
    [
        pytest.param("OPTIONS", "0", 204, None, id="none is left for OPTIONS"),
        pytest.param("TRACE", "0", 501, None, id="none is left for TRACE"),
        pytest.param("OPTIONS", "3", 200, ["2"], id="one is used up"),
        pytest.param("OPTIONS", "x", 200, ["x"], id="it is no number"),
        pytest.param("GET", "0", 200, ["0"], id="it means nothing to GET"),
    ],
)
def test_max_forwards_is_counted_down(server, origin, method, hops, status, sent):
    origin.scripts["/"] = response(EMPTY.strip())
    answer = ask(server, f"Max-Forwards: {hops}", method=method)
    assert int(answer.split()[1]) == status
    assert [asked.all("max-forwards") for asked in origin.asked] == ([] if sent is None else [sent])


# What comes back.


def test_fields_come_back_as_bytes_in_order(server, origin):
    lines = [
        b"x-b: 2",
        b"cache-control: no-store",
        b"x-a: 1",
        b"x-b: 1",
        b"cache-control: max-age=1",
        b"expires: 0",
        b"last-modified: not a date",
        b"x-latin: \xe9\xff",
        b"x-empty: ",
        b"set-cookie: a=b",
        b"set-cookie: c=d",
        b"server: Some/1.0",
        b"content-encoding: gzip",
        b"location: http://other.example/",
        b"content-length: 7",
    ]
    origin.scripts["/"] = response(*lines, status=b"302 Found", body=b"no gzip")
    answer = ask(server)
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert lines_of(answer) == [DATE.strip().replace(b"Date", b"date"), *lines]
    assert body_of(answer) == b"no gzip"
    assert b"\r\nvia: 1.1 asgi_serial\r\n" in answer


def test_a_field_of_the_upstreams_connection_stays_there(server, origin):
    lines = [
        b"Connection: keep-alive, X-Named",
        b"Keep-Alive: timeout=9",
        b"X-Named: 1",
        b"Proxy-Connection: x",
        b"Upgrade: h2c",
        b"X-Kept: 1",
    ]
    origin.scripts["/"] = response(*lines, EMPTY.strip())
    names = {line.partition(b":")[0] for line in lines_of(ask(server))}
    assert names == {b"date", b"x-kept", b"content-length"}


@pytest.mark.parametrize(
    ("date", "pattern"),
    [
        pytest.param(
            b"Date: Sun Nov  6 08:49:37 1994\r\n", rb"Sun Nov  6 08:49:37 1994", id="as it came"
        ),
        pytest.param(b"Date: 0\r\n", rb"0", id="as it came though it is no date"),
        pytest.param(
            b"", rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", id="added where there is none"
        ),
    ],
)
def test_a_response_has_one_date(server, origin, date, pattern):
    origin.scripts["/"] = response(EMPTY.strip()).replace(DATE, date)
    (line,) = [line for line in lines_of(ask(server)) if line.startswith(b"date:")]
    assert re.fullmatch(rb"date: " + pattern, line)


CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("method", "raw", "content"),
    [
        pytest.param("GET", response(b"Content-Length: 3", body=b"abc"), b"abc", id="by length"),
        pytest.param(
            "GET", response(CHUNKED, body=b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), b"abc", id="in chunks"
        ),
        pytest.param(
            "GET",
            response(CHUNKED, b"Content-Length: 1", body=b"3\r\nabc\r\n0\r\n\r\n"),
            b"abc",
            id="in chunks that a length contradicts",
        ),
        pytest.param(
            "GET",
            response(CHUNKED, b"Trailer: X-T", body=b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
            b"abc",
            id="with trailers",
        ),
        pytest.param("HEAD", response(b"Content-Length: 3"), b"", id="of HEAD, with a length"),
        pytest.param("HEAD", response(CHUNKED), b"", id="of HEAD, chunked"),
        pytest.param("GET", response(status=b"204 No Content"), b"", id="204"),
        pytest.param(
            "GET",
            response(b"Content-Length: 3", status=b"304 Not Modified"),
            b"",
            id="304 with a length",
        ),
        pytest.param(
            "GET", response(b"Content-Length: 3", status=b"599 Odd", body=b"abc"), b"abc", id="599"
        ),
    ],
)
def test_content_comes_back_whatever_frames_it(server, origin, method, raw, content):
    origin.scripts["/"] = raw
    with Wire(server) as wire:
        for _ in range(2):  # the connections on both sides are in step, and kept
            wire.send(head_of(method, "/"))
            status, fields, body = wire.read(
                has_body=method != "HEAD" and b" 204 " not in raw and b" 304 " not in raw
            )
            assert (status, body) == (int(raw.split()[1]), content)
            assert fields.get("content-length", "3") == "3"
            time.sleep(0.05)
    assert len({asked.connection for asked in origin.asked}) == 1


def test_content_that_ends_with_its_connection_is_whole(server, origin):
    def script(peer: Peer, asked: object) -> None:
        peer.send(response(body=b"abc"))
        peer.close()

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("GET", "/"))
        assert wire.read()[2] == b"abc"


def test_content_comes_back_while_it_is_made(server, origin):
    has_come = threading.Event()
    came_first: list[bool] = []

    def script(peer: Peer, asked: object) -> None:
        peer.send(response(CHUNKED, body=b"3\r\nabc\r\n"))
        came_first.append(has_come.wait(60))
        peer.send(b"3\r\ndef\r\n0\r\n\r\n")

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("GET", "/"))
        wire.read_head()
        assert wire.read_chunk() == b"abc"
        has_come.set()
        assert wire.read_chunk() == b"def"
    assert came_first == [True]


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints", b"199 Odd"])
def test_informational_responses_do_not_stand_for_the_final_one(server, origin, status):
    early = b"HTTP/1.1 " + status + b"\r\nLink: </a.css>\r\n\r\n"
    origin.scripts["/"] = early * 2 + response(b"Content-Length: 1", body=b"x")
    answer = ask(server)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert body_of(answer) == b"x"


def test_a_fresh_response_is_answered_from_the_cache(server, origin):
    lines = [b"Cache-Control: max-age=60", b"X-A: 2", b"X-A: 1", b"Content-Length: 3"]
    origin.scripts["/kept"] = response(*lines, body=b"abc").replace(DATE, b"")
    first, second = server.get("/kept"), server.get("/kept")
    assert (first.cache, second.cache, len(origin.asked)) == ("fwd=uri-miss", "hit", 1)
    assert second.body == first.body == b"abc"
    assert second.fields.get_list("x-a") == ["2", "1"]


# What fails.


def breaks_off(data: bytes, *, by_reset: bool = False) -> Callable[[Peer, object], None]:
    def script(peer: Peer, asked: object) -> None:
        if data:
            peer.send(data)
        if by_reset:
            peer.reset()
        else:
            peer.close()

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(breaks_off(b""), id="nothing at all"),
        pytest.param(breaks_off(b"", by_reset=True), id="a reset"),
        pytest.param(breaks_off(b"HTTP/1.1 200 OK\r\nX-A: "), id="half a head"),
        pytest.param(breaks_off(b"\x16\x03\x01 no HTTP\r\n\r\n"), id="no HTTP"),
        pytest.param(breaks_off(response(b"Content-Length: x")), id="a length that is none"),
        pytest.param(
            breaks_off(response(b"Content-Length: 1", b"Content-Length: 2")), id="two lengths"
        ),
        pytest.param(breaks_off(response(b"X: " + b"x" * 300_000)), id="an endless head"),
        pytest.param(breaks_off(response(status=b"777 Odd")), id="no status of HTTP"),
        pytest.param(breaks_off(response(b"X-A: \x01", EMPTY.strip())), id="a control character"),
        pytest.param(
            breaks_off(response(status=b"101 Switching Protocols")), id="a protocol of its own"
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_response_becomes_502(server, origin, script, method):
    origin.scripts["/"] = script
    answer = ask(server, "Content-Length: 0", method=method)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert len(origin.asked) == 1


def test_silence_becomes_504(impatient, origin):
    origin.scripts["/"] = lambda peer, asked: peer.file.read()
    began = time.monotonic()
    assert ask(impatient).startswith(b"HTTP/1.1 504 ")
    assert 0.9 * SILENCE_SECONDS < time.monotonic() - began < 60


def test_an_upload_that_takes_longer_is_no_silence(impatient, origin):
    def script(peer: Peer, asked: object) -> None:
        peer.file.read(4)
        peer.send(response(EMPTY.strip()))

    origin.scripts["/"] = script
    with Wire(impatient) as wire:
        wire.send(head_of("POST", "/", "Content-Length: 4"))
        for _ in range(4):
            time.sleep(PAUSE_SECONDS)
            wire.send(b"x")
        assert wire.read()[0] == 200


def test_a_port_where_nothing_listens_becomes_502():
    port = free_port()
    upstream = f"http://127.0.0.1:{free_port()}"
    command = ["examples/reverse_proxy.py", "--upstream", upstream, "--port", str(port)]
    with serving(command, port) as server:
        assert ask(server).startswith(b"HTTP/1.1 502 ")


def falls_silent(peer: Peer, asked: object) -> None:
    peer.send(response(b"Content-Length: 9", body=b"abc"))
    peer.file.read()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(breaks_off(response(b"Content-Length: 9", body=b"abc")), id="by length"),
        pytest.param(breaks_off(response(CHUNKED, body=b"9\r\nabc")), id="in a chunk"),
        pytest.param(breaks_off(response(CHUNKED, body=b"3\r\nabc\r\n")), id="between chunks"),
        pytest.param(breaks_off(response(CHUNKED, body=b"3\r\nabc\r\nxyz")), id="no chunk"),
        pytest.param(falls_silent, id="by silence"),
    ],
)
def test_content_that_breaks_off_is_not_whole_for_the_client_either(impatient, origin, script):
    origin.scripts["/"] = script
    with Wire(impatient) as wire:
        wire.send(head_of("GET", "/"))
        _, fields = wire.read_head()
        rest = wire.file.read()
    if "content-length" in fields:
        assert (fields["content-length"], rest) == ("9", b"abc")
    else:
        assert b"abc" in rest
        assert not rest.endswith(b"0\r\n\r\n")


def test_content_that_broke_off_is_not_kept(server, origin):
    lines = [b"Cache-Control: max-age=60", b"Content-Length: 9"]
    origin.scripts["/broken"] = breaks_off(response(*lines, body=b"abc").replace(DATE, b""))
    for _ in range(2):
        with Wire(server) as wire:
            wire.send(head_of("GET", "/broken"))
            wire.file.read()
    assert len(origin.asked) == 2


def test_a_client_that_leaves_ends_its_request(server, origin):
    ended: list[bool] = []

    def script(peer: Peer, asked: object) -> None:
        peer.send(response(CHUNKED))
        try:
            for _ in range(2000):
                peer.send(b"3\r\nabc\r\n")
                time.sleep(0.02)
        except OSError:
            ended.append(True)
        peer.close()

    origin.scripts["/"] = script
    with Wire(server) as wire:
        wire.send(head_of("GET", "/"))
        wire.read_head()
    deadline = time.monotonic() + 120
    while not ended and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended


# Connections that are kept.


def close_quietly(peer: Peer, asked: object) -> None:
    """Close after the response without a word of it."""
    peer.send(response(EMPTY.strip()))
    peer.close()


def answer_once_only(peer: Peer, asked: object) -> None:
    """Close without an answer, if this is not the first request of its connection."""
    if getattr(peer, "has_answered", False):
        peer.close()
    else:
        peer.has_answered = True
        peer.send(response(EMPTY.strip()))


def add_a_response(peer: Peer, asked: object) -> None:
    """Answer once more than was asked."""
    peer.send(response(b"Content-Length: 2", body=b"ok") + response(b"Content-Length: 3") + b"bad")


def time_out(peer: Peer, asked: object) -> None:
    """Answer, and say later that no request has come."""
    peer.send(response(b"Content-Length: 2", body=b"ok"))
    time.sleep(0.05)
    peer.send(response(b"Content-Length: 3", status=b"408 Request Timeout") + b"bad")
    peer.close()


@pytest.mark.parametrize("pause", [0, 0.1], ids=["at once", "a while later"])
@pytest.mark.parametrize(
    "script",
    [close_quietly, answer_once_only, add_a_response, time_out],
    ids=lambda one: one.__name__,
)
def test_a_kept_connection_that_is_of_no_more_use_costs_no_request(server, origin, script, pause):
    origin.scripts["/"] = script
    with Wire(server) as wire:
        for _ in range(4):
            wire.send(head_of("GET", "/"))
            status, _, body = wire.read()
            assert status == 200
            assert body != b"bad"
            time.sleep(pause)


def test_what_can_not_be_repeated_is_sent_once(server, origin):
    origin.scripts["/"] = answer_once_only
    with Wire(server) as wire:
        for method in ("GET", "POST", "GET", "POST", "PATCH"):
            wire.send(head_of(method, "/", "Content-Length: 0"))
            assert wire.read()[0] == 200
    asked = [request.line.split()[0] for request in origin.asked]
    assert asked.count("POST") == 2
    assert asked.count("PATCH") == 1
