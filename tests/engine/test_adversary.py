"""What once went wrong where somebody meant it to, or was out of luck."""

import asyncio
import gzip
import json
import random
import subprocess
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path
from time import process_time

import brotli
import pytest
from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from asgi_serial import SerialMiddleware, set_policy
from asgi_serial.cache.packing import name_record, pack_entry
from asgi_serial.codecs.registry import build_codecs
from asgi_serial.codecs.zstd_codec import zstd
from asgi_serial.http.headers import read_fields

from .driver import awaited, settled, until

JSON = (b"content-type", b"application/json")
FRESH = (b"cache-control", b"max-age=60")


def scope_of(method="GET", path="/x", fields=(), **more):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"h"), *fields],
        "client": ("127.0.0.1", 1),
        "server": ("h", 80),
        "extensions": {},
    } | more


async def call(app, method="GET", path="/x", fields=(), body=b"", **more):
    sent, requests = [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if requests:
            return requests.pop()
        return await asyncio.Future()

    async def send(message):
        sent.append(message)

    await app(scope_of(method, path, fields, **more), receive, send)
    start = next(m for m in sent if m["type"] == "http.response.start")
    return start["status"], start["headers"], b"".join(m.get("body") or b"" for m in sent)


def values(fields, name):
    return [value for known, value in fields if known == name]


def app_of(make, fields=(JSON, FRESH), status=200):
    async def app(scope, receive, send):
        content = make(scope)
        if asyncio.iscoroutine(content):
            content = await content
        await send({"type": "http.response.start", "status": status, "headers": list(fields)})
        await send({"type": "http.response.body", "body": content})

    return app


def field(scope, name):
    return dict(scope["headers"]).get(name, b"")


def versioned(app_fields=(JSON, FRESH)):
    state = {"version": 1}

    def make(scope):
        if scope["method"] in ("PUT", "POST"):
            state["version"] += 1
        return b"%d" % state["version"]

    return app_of(make, app_fields)


@awaited
async def test_the_names_of_key_fields_take_part_in_the_key():
    store = SimpleMemoryCache(serializer=NullSerializer(encoding=None))
    by_tenant = SerialMiddleware(
        app_of(lambda scope: b"tenant " + field(scope, b"x-tenant")),
        cache_key_fields="x-tenant",
        store=store,
    )
    by_user = SerialMiddleware(
        app_of(lambda scope: b"user " + field(scope, b"x-user")),
        cache_key_fields="x-user",
        store=store,
    )
    await call(by_tenant, fields=[(b"x-tenant", b"5")])
    await by_tenant.engine.responses.flush()
    assert (await call(by_user, fields=[(b"x-user", b"5")]))[2] == b"user 5"


@awaited
async def test_a_write_to_a_path_that_once_asked_for_its_body_as_key_is_made_each_time():
    written = []

    async def app(scope, receive, send):
        body = (await receive())["body"]
        if body == b"search":
            set_policy(cache_body=True)
        else:
            written.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"{}"})

    served = SerialMiddleware(app, cache_ttl="60s")
    await call(served, "POST", body=b"search")
    for _ in range(3):
        await call(served, "POST", body=b"create")
    assert len(written) == 3


@pytest.mark.parametrize(("method", "status", "count"), [("GET", 404, 1000), ("POST", 200, 300)])
@awaited
async def test_what_is_remembered_of_requests_takes_little_memory_however_long_their_paths(
    method, status, count
):
    served = SerialMiddleware(app_of(lambda scope: b"no", fields=(JSON,), status=status))
    tracemalloc.start()
    for number in range(count):
        await call(served, method, f"/{number}" + "a" * 60_000)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5_000_000


@pytest.mark.parametrize(
    ("settings", "reader", "writer"),
    [
        pytest.param(
            {"cache_key_fields": "accept-language"},
            ("GET", [(b"accept-language", b"en")]),
            ("PUT", [(b"accept-language", b"de")]),
            id="by a client with another value of a key field",
        ),
        pytest.param(
            {"routes": {"QUERY /x": {"cache_body": True}}},
            ("QUERY", []),
            ("POST", []),
            id="of what was keyed by a body",
        ),
        pytest.param(
            {}, ("GET", [(b"x-forwarded-proto", b"https")]), ("PUT", []), id="past the proxy"
        ),
    ],
)
@awaited
async def test_a_write_drops_all_that_is_stored_of_its_uri(settings, reader, writer):
    served = SerialMiddleware(versioned(), **settings)
    assert (await call(served, reader[0], fields=reader[1]))[2] == b"1"
    await call(served, writer[0], fields=writer[1])
    assert (await call(served, reader[0], fields=reader[1]))[2] == b"2"


@awaited
async def test_a_slow_answer_is_not_stored_however_many_writes_came_after_its_own():
    gate, state = asyncio.Event(), {"version": 1}

    async def make(scope):
        if scope["method"] == "PUT":
            state["version"] += scope["path"] == "/x"
            return b""
        version = state["version"]
        await gate.wait()
        return b"%d" % version

    served = SerialMiddleware(app_of(make))
    slow = asyncio.create_task(call(served))
    await asyncio.sleep(0)
    for number in range(1025):
        await call(served, "PUT", f"/{number or 'x'}")
    gate.set()
    await slow
    assert (await call(served))[2] == b"2"


@awaited
async def test_what_was_made_of_a_body_that_no_field_announced_is_not_stored():
    async def app(scope, receive, send):
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": body or b"clean"})

    served = SerialMiddleware(app)
    await call(served, body=b"poison", http_version="2")
    assert (await call(served, http_version="2"))[2] == b"clean"


@awaited
async def test_what_was_made_for_an_api_key_is_given_to_no_other():
    served = SerialMiddleware(
        app_of(lambda scope: field(scope, b"x-api-key"), fields=(JSON,)), cache_ttl="60s"
    )
    await call(served, fields=[(b"x-api-key", b"alice")])
    assert (await call(served, fields=[(b"x-api-key", b"bob")]))[2] == b"bob"


@awaited
async def test_a_cross_origin_request_is_not_answered_by_what_was_made_for_one_without_origin():
    async def app(
        scope, receive, send
    ):  # as CORS middleware of Litestar, and Starlette below 1, does it
        origin = field(scope, b"origin")
        fields = [JSON, FRESH] + ([(b"access-control-allow-origin", b"*")] if origin else [])
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"{}"})

    served = SerialMiddleware(app)
    await call(served)
    _, fields, _ = await call(served, fields=[(b"origin", b"https://a.example")])
    assert values(fields, b"access-control-allow-origin") == [b"*"]


@awaited
async def test_requests_that_refuse_what_is_stored_do_not_wait_for_one_another():
    most = running = 0

    async def make(scope):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await settled()
        running -= 1
        return b"{}"

    served = SerialMiddleware(app_of(make))
    reload = [(b"cache-control", b"max-age=0")]
    await asyncio.gather(*[call(served, fields=reload) for _ in range(10)])
    assert most > 5


@awaited
async def test_no_transfer_encoding_stands_beside_our_content_length():
    served = SerialMiddleware(
        app_of(lambda scope: b"[1,2]", fields=(JSON, (b"transfer-encoding", b"chunked")))
    )
    _, fields, _ = await call(served, fields=[(b"accept", b"application/msgpack")])
    assert values(fields, b"content-length") == [b"3"]
    assert values(fields, b"transfer-encoding") == []


@awaited
async def test_a_pattern_speaks_for_the_path_below_the_root_path():
    made = iter(range(9))
    served = SerialMiddleware(
        app_of(lambda scope: b"%d" % next(made)), routes={"/account/*": {"cache": False}}
    )
    here = {"path": "/api/account/me", "root_path": "/api"}
    assert [(await call(served, **here))[2] for _ in range(2)] == [b"0", b"1"]


@awaited
async def test_age_is_never_negative():
    served = SerialMiddleware(app_of(lambda scope: b"{}"))
    now = [1000.0]
    served.engine.clock = served.engine.responses._clock = lambda: now[0]
    await call(served)
    now[0] = 990.0
    assert values((await call(served))[1], b"age") == [b"0"]


@awaited
async def test_a_condition_of_a_post_is_not_answered_by_304():
    served = SerialMiddleware(app_of(lambda scope: b"{}"), routes={"POST /x": {"cache_body": True}})
    await call(served, "POST", body=b"a")
    assert (await call(served, "POST", body=b"a", fields=[(b"if-none-match", b"*")]))[0] != 304


@pytest.mark.parametrize("name", [b"cache-control", b"vary"])
@awaited
async def test_a_value_may_be_a_bytearray(name):
    served = SerialMiddleware(app_of(lambda scope: b"{}", fields=(JSON, (name, bytearray(b"x")))))
    assert (await call(served, fields=[(b"accept-encoding", b"gzip")]))[0] == 200


@awaited
async def test_nothing_is_stored_for_a_client_that_leaves_while_the_app_already_listens():
    left = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        listening = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"image/png"), FRESH],
            }
        )
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        left.set()
        await listening
        await send({"type": "http.response.body", "body": b"y"})

    requests = [{"type": "http.request"}]

    async def receive():
        if requests:
            return requests.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    served = SerialMiddleware(app)
    await served(scope_of(), receive, send)
    assert served.engine.responses.stored == 0


@awaited
async def test_a_send_that_the_app_gives_up_waiting_for_is_done_all_the_same():
    large = random.Random(1).randbytes(300_000).hex().encode()

    async def app(scope, receive, send):
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/plain")],
            }
        )
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            async with asyncio.timeout(0.001):
                await send({"type": "http.response.body", "body": large, "more_body": True})
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"last"})

    _, _, body = await call(SerialMiddleware(app), fields=[(b"accept-encoding", b"gzip")])
    assert zlib.decompress(body, 31) == b"first" + large + b"last"


@awaited
async def test_a_whole_body_whose_send_the_app_gives_up_waiting_for_goes_out():
    large = b'["' + random.Random(1).randbytes(300_000).hex().encode() + b'"]'

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        try:
            async with asyncio.timeout(0.001):
                await send({"type": "http.response.body", "body": large})
        except TimeoutError:
            pass

    _, _, body = await call(SerialMiddleware(app), fields=[(b"accept-encoding", b"gzip")])
    assert gzip.decompress(body) == large


@awaited
async def test_requests_for_what_is_private_do_not_wait_for_one_another():
    private = (JSON, (b"cache-control", b"private"))
    served = SerialMiddleware(app_of(lambda scope: b"{}", fields=private))
    await call(served)
    said = [values((await call(served))[1], b"cache-status")[0] for _ in range(4)]
    assert set(said) == {b"asgi_serial; fwd=uri-miss; detail=private"}
    assert served.engine.calls._hit_for_miss  # still remembered: nobody leads, nobody waits


@awaited
async def test_a_handler_turns_compression_on_each_time():
    async def app(scope, receive, send):
        set_policy(compression=True)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[1]" + b" " * 900})

    served = SerialMiddleware(app, compression=False)
    for _ in range(3):
        _, fields, _ = await call(served, fields=[(b"accept-encoding", b"gzip")])
        assert values(fields, b"content-encoding") == [b"gzip"]


@awaited
async def test_a_hit_is_encoded_as_its_miss_was_where_the_handler_turned_compression_on():
    async def app(scope, receive, send):
        set_policy(compression=True, cache_ttl=60)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[1]" + b" " * 900})

    served = SerialMiddleware(app, compression=False)
    for _ in range(2):
        _, fields, _ = await call(served, fields=[(b"accept-encoding", b"gzip")])
        assert values(fields, b"content-encoding") == [b"gzip"]


def test_many_lines_of_one_field_are_read_in_linear_time():
    def seconds(count):
        began = process_time()
        read_fields([(b"accept", b"b")] * count, frozenset({b"accept"}))
        return process_time() - began

    assert min(seconds(160_000) for _ in range(3)) < 24 * min(seconds(20_000) for _ in range(3))


@awaited
async def test_an_entry_grows_no_larger_than_the_second_level_takes():
    document = json.dumps([random.random() for _ in range(90_000)]).encode()
    store = SimpleMemoryCache(serializer=NullSerializer(encoding=None))
    served = SerialMiddleware(app_of(lambda scope: document), store=store)
    for accept in (
        b"",
        b"application/vnd.msgpack",
        b"application/msgpack",
        b"application/x-msgpack",
    ):
        for coding in (b"", b"gzip", b"br", b"zstd"):
            await call(served, fields=[(b"accept", accept), (b"accept-encoding", coding)])
    await served.engine.responses.flush()
    assert served.engine.responses.store.statistics()["oversized"] == 0


@awaited
async def test_nobody_waits_for_a_response_that_says_it_is_too_large_to_keep():
    calls, go_on = [], asyncio.Event()

    async def app(scope, receive, send):
        calls.append(scope)
        length = (b"content-length", b"40000000")
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"video/mp4"), length],
            }
        )
        await send({"type": "http.response.body", "body": b"1" * 1000, "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"1" * 39_999_000})

    served = SerialMiddleware(app, cache_ttl="60s")
    viewers = [asyncio.create_task(call(served)) for _ in range(2)]
    await until(lambda: len(calls) == 2)
    go_on.set()
    await asyncio.gather(*viewers)


@awaited
async def test_a_record_in_a_coding_that_is_not_known_here_is_a_miss():
    store = SimpleMemoryCache(serializer=NullSerializer(encoding=None))
    fields = ((b"content-type", b"text/plain"), FRESH)
    first = SerialMiddleware(app_of(lambda scope: b"x" * 900, fields), store=store)
    await call(first)
    await first.engine.responses.flush()
    (slot,) = first.engine.memory._slots.values()
    slot.value.all_forms[0].coding = "dcz"
    store._cache["asgi_serial:" + name_record(slot.value.key)] = pack_entry(slot.value)
    second = SerialMiddleware(app_of(lambda scope: b"x" * 900, fields), store=store)
    assert (await call(second, fields=[(b"accept-encoding", b"gzip")]))[0] == 200


@pytest.mark.parametrize("fields", [[], [(b"accept-encoding", b"gzip")]], ids=["plain", "encoded"])
@awaited
async def test_a_message_that_is_not_known_passes_whatever_is_in_it(fields):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "x.unknown", "body": None})
        await send({"type": "http.response.body", "body": b"{}"})

    assert (await call(SerialMiddleware(app, cache=False), fields=fields))[0] == 200


def test_a_forked_process_encodes_too():
    script = """
import asyncio, os, random, sys
sys.path.insert(0, sys.argv[1])
from tests.engine.test_adversary import JSON, app_of, call
from asgi_serial import SerialMiddleware
large = b'["' + random.Random(1).randbytes(600_000).hex().encode() + b'"]'
served = SerialMiddleware(app_of(lambda scope: large, fields=(JSON,)))
for path in "ab":
    asyncio.run(call(served, path="/" + path, fields=[(b"accept-encoding", b"br")]))
if os.fork() == 0:
    asking = call(served, path="/c", fields=[(b"accept-encoding", b"zstd")])
    asyncio.run(asyncio.wait_for(asking, 120))
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    here = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, here], timeout=300, check=False
    )
    assert done.returncode == 0


@awaited
async def test_what_was_read_before_a_write_ended_is_not_kept_beyond_its_end():
    state, started, go_on = {"version": 1}, asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b"%d" % state["version"]})
        if scope["method"] == "PUT":  # commits after its response, as FastAPI's dependencies do
            started.set()
            await go_on.wait()
            state["version"] += 1

    served = SerialMiddleware(app)
    writing = asyncio.create_task(call(served, "PUT"))
    await started.wait()
    assert (await call(served))[2] == b"1"
    go_on.set()
    await writing
    assert (await call(served))[2] == b"2"


@awaited
async def test_uploads_do_not_hold_up_the_encoding_of_answers():
    document = b'["' + random.Random(1).randbytes(200_000).hex().encode() + b'"]'
    served = SerialMiddleware(app_of(lambda scope: document, fields=(JSON,)), encodings_cache=False)
    (zstd,) = build_codecs(["zstd"])
    frames = zstd.compress(b"") * 30_000
    fields = [(b"content-encoding", b"zstd"), (b"content-length", b"%d" % len(frames))]
    held, go_on, run = [], threading.Event(), served.engine.workers.decoders.run

    def hold(work):
        held.append(work)
        return run(lambda: go_on.wait(240) and work())

    served.engine.workers.decoders.run = hold
    uploads = [
        asyncio.create_task(call(served, "POST", body=frames, fields=fields)) for _ in range(6)
    ]
    await until(lambda: len(held) == 6)
    try:
        answer = call(served, fields=[(b"accept-encoding", b"br")])
        _, fields, _ = await asyncio.wait_for(answer, 120)
    finally:
        go_on.set()
    assert values(fields, b"content-encoding") == [b"br"]
    await asyncio.gather(*uploads)


@awaited
async def test_a_large_form_that_many_want_at_once_is_made_once(monkeypatch):
    document = b'["' + random.Random(1).randbytes(100_000).hex().encode() + b'"]'
    served = SerialMiddleware(app_of(lambda scope: document), encodings_cache=False)
    await call(served)
    made = []
    run = served.engine.workers.encoders.run

    def watched(work):
        made.append(work)
        return run(work)

    monkeypatch.setattr(served.engine.workers.encoders, "run", watched)
    gzipped = [(b"accept-encoding", b"gzip")]
    answers = await asyncio.gather(*[call(served, fields=gzipped) for _ in range(20)])
    assert {gzip.decompress(body) for _, _, body in answers} == {document}
    assert len(made) == 1


@awaited
async def test_a_large_form_that_finds_no_room_in_its_entry_is_made_once():
    document = b'["' + random.Random(1).randbytes(200_000).hex().encode() + b'"]'
    served = SerialMiddleware(
        app_of(lambda scope: document), cache_max_object=410_000, encodings_cache=False
    )
    await call(served)
    made, run = [], served.engine.workers.encoders.run

    def watched(work):
        made.append(work)
        return run(work)

    served.engine.workers.encoders.run = watched
    decode = {b"br": brotli.decompress, b"zstd": zstd.decompress, b"gzip": gzip.decompress}
    for _ in range(2):
        for coding in (b"br", b"zstd", b"gzip"):
            asked = [call(served, fields=[(b"accept-encoding", coding)]) for _ in range(3)]
            for _, fields, content in await asyncio.gather(*asked):
                assert values(fields, b"content-encoding") == [coding]
                assert decode[coding](content) == document
    assert len(made) == 3
    assert served.engine.responses.stored == 1


@awaited
async def test_a_form_that_is_kept_apart_is_not_that_of_a_later_response():
    documents = [random.Random(seed).randbytes(200_000).hex().encode() for seed in (1, 2)]
    served = SerialMiddleware(
        app_of(lambda scope: documents[0]), cache_max_object=410_000, encodings_cache=False
    )
    codings = [(b"br", brotli.decompress), (b"zstd", zstd.decompress), (b"gzip", gzip.decompress)]
    for document in [*documents]:
        await call(served, fields=[(b"cache-control", b"no-cache")])
        for coding, decode in codings:
            answer = await call(served, fields=[(b"accept-encoding", coding)])
            assert decode(answer[2]) == document
        documents.pop(0)


@awaited
async def test_those_who_wait_for_a_form_make_it_where_its_maker_leaves(monkeypatch):
    document = b'["' + random.Random(1).randbytes(100_000).hex().encode() + b'"]'
    served = SerialMiddleware(app_of(lambda scope: document), encodings_cache=False)
    await call(served)
    made, go_on, run = [], asyncio.Event(), served.engine.workers.encoders.run

    async def held(work):
        made.append(work)
        if len(made) == 1:
            await go_on.wait()
        return await run(work)

    monkeypatch.setattr(served.engine.workers.encoders, "run", held)
    gzipped = [(b"accept-encoding", b"gzip")]
    asked = [asyncio.create_task(call(served, fields=gzipped)) for _ in range(5)]
    await until(lambda: made)
    await settled()
    asked[0].cancel()
    answers = await asyncio.gather(*asked[1:])
    assert {gzip.decompress(body) for _, _, body in answers} == {document}
    assert len(made) == 2


@awaited
async def test_what_is_remembered_of_kinds_of_responses_takes_little_memory():
    long = (b"content-type", b"text/" + b"x" * 30_000)

    async def app(scope, receive, send):
        fields = [(name, value + scope["path"].encode()) for name, value in [long]]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"x"})

    served = SerialMiddleware(app)
    tracemalloc.start()
    for number in range(200):
        await call(served, path=f"/{number}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000


@awaited
async def test_an_app_whose_response_is_refused_lets_others_run():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await send({"type": "http.response.body", "body": b"{}"})

    counting = asyncio.create_task(count())
    served = SerialMiddleware(app, format_strict=True)
    status, _, _ = await call(served, fields=[(b"accept", b"text/html")])
    counting.cancel()
    assert status == 406
    assert turns > 90


@awaited
async def test_a_body_that_comes_after_the_start_is_not_answered_to_others():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        body = (await receive())["body"]
        await send({"type": "http.response.body", "body": body or b"clean"})

    served = SerialMiddleware(app)
    assert (await call(served, body=b"poison", http_version="2"))[2] == b"poison"
    assert (await call(served, http_version="2"))[2] == b"clean"


@awaited
async def test_a_handler_that_turns_compression_on_is_heard_where_all_is_off():
    async def app(scope, receive, send):
        set_policy(compression=True)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[1]" + b" " * 900})

    set_policy(compression=True)  # as a decorator has it done long before the first request
    served = SerialMiddleware(app, compression=False, formats=False, decoding=False, cache=False)
    _, fields, _ = await call(served, fields=[(b"accept-encoding", b"gzip")])
    assert values(fields, b"content-encoding") == [b"gzip"]
    _, fields, _ = await call(served)
    assert values(fields, b"vary") == [b"accept-encoding"]


@awaited
async def test_requests_that_what_is_stored_does_not_content_call_the_app_side_by_side():
    most = running = 0

    async def make(scope):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await settled()
        running -= 1
        return b"{}"

    served = SerialMiddleware(app_of(make), cache_ttl=60)
    asked = [(b"cache-control", b"min-fresh=100")]
    await asyncio.gather(*[call(served, fields=asked) for _ in range(10)])
    assert most == 9  # the one that they waited for has called before them


@pytest.mark.parametrize(
    ("length", "learned"),
    [pytest.param(256, 1, id="usual"), pytest.param(10_000, 0, id="long")],
)
@awaited
async def test_what_a_handler_says_is_learned_of_paths_of_usual_length(length, learned):
    async def app(scope, receive, send):
        await receive()
        set_policy(cache_body=True)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b"{}"})

    served = SerialMiddleware(app)
    await call(served, "POST", "/" + "x" * length, body=b"a")
    assert len(served.engine.learned.policies) == learned


@awaited
async def test_a_proxys_unusual_scheme_has_answers_of_its_own():
    served = SerialMiddleware(app_of(lambda scope: field(scope, b"x-forwarded-proto")))
    for proto in (b"wss", b"https", b"wss"):
        assert (await call(served, fields=[(b"x-forwarded-proto", proto)]))[2] == proto


@pytest.mark.parametrize("accept", [b"*/*", b"application/msgpack"])
@awaited
async def test_a_cache_alone_looks_up_without_what_the_client_prefers(accept):
    served = SerialMiddleware(
        app_of(lambda scope: b"{}"), compression=False, formats=False, timing=False
    )
    for status in (b"fwd=uri-miss", b"hit"):
        _, fields, content = await call(served, fields=[(b"accept", accept)])
        assert content == b"{}"
        assert values(fields, b"cache-status")[0].split(b"; ")[1] == status


@awaited
async def test_a_pattern_may_speak_of_the_whole_path_too():
    made = iter(range(9))
    served = SerialMiddleware(
        app_of(lambda scope: b"%d" % next(made)), routes={"/api/account/*": {"cache": False}}
    )
    here = {"path": "/api/account/me", "root_path": "/api"}
    assert [(await call(served, **here))[2] for _ in range(2)] == [b"0", b"1"]


@awaited
async def test_a_form_that_can_not_be_made_is_the_apps_to_make():
    document = random.Random(1).randbytes(200_000).hex().encode()
    text = ((b"content-type", b"text/x"), FRESH)
    served = SerialMiddleware(app_of(lambda scope: document, text), encodings_cache=False)
    await call(served, fields=[(b"accept-encoding", b"gzip")])
    (entry,) = [slot.value for slot in served.engine.memory._slots.values()]
    entry.all_forms[0].body = b"no gzip" * 5_000  # as a broken record of a store could be
    _, fields, content = await call(served, fields=[(b"accept-encoding", b"br")])
    assert values(fields, b"content-encoding") == [b"br"]
    assert len(content) < len(document)
