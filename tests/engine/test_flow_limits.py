"""What a response's flow does at its limits: of size, of what the app says, of what it may keep."""

import base64
import gzip
import json
from hashlib import sha256, sha512

import pytest

from asgi_serial.bounds.budget import FairBudget
from asgi_serial.reasons import Reason
from asgi_serial.request.app_call import RequestCopy
from asgi_serial.settings.policy import RoutePolicy
from tests.engine.driver import Request, awaited, drive, serial_of
from tests.engine.making import (
    FRESH,
    JSON,
    MSGPACK,
    PICTURE,
    as_list,
    body,
    content_of,
    fields_of,
    make_document,
    make_engine,
    make_flow,
    run,
    start,
)

GZIP = (b"accept-encoding", b"gzip")
WANTS_MSGPACK = (b"accept", MSGPACK.encode())
DOCUMENT = json.dumps([{"id": number, "name": "a name"} for number in range(100)]).encode()
LENGTH = (b"content-length", b"%d" % len(DOCUMENT))


def pieces(data, size=500):
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    return [body(part, more=True) for part in parts[:-1]] + [body(parts[-1])]


@pytest.mark.parametrize("size", [1, 7, 500, len(DOCUMENT)])
@pytest.mark.parametrize("length", [(), (LENGTH,)], ids=["unknown length", "known length"])
def test_a_body_decodes_alike_however_it_is_cut(size, length):
    out = run(make_flow(make_engine(), GZIP), start(JSON, *length), *pieces(DOCUMENT, size))
    assert fields_of(out)[b"content-encoding"] == b"gzip"
    assert gzip.decompress(content_of(out)) == DOCUMENT


def test_what_is_gathered_past_the_limit_for_a_translation_is_encoded_as_a_stream():
    flow = make_flow(make_engine(whole_limit=1000), GZIP, WANTS_MSGPACK)
    out = run(flow, start(JSON), *pieces(DOCUMENT))
    assert fields_of(out)[b"content-type"] == b"application/json"
    assert gzip.decompress(content_of(out)) == DOCUMENT
    assert Reason.BODY_NOT_WHOLE in flow.reasons()


def test_what_is_gathered_past_the_limit_without_a_coding_goes_out_as_it_was():
    flow = make_flow(make_engine(whole_limit=1000), WANTS_MSGPACK)
    out = run(flow, start(JSON), *pieces(DOCUMENT))
    assert content_of(out) == DOCUMENT
    assert [message.get("more_body") for message in out[1:]][-1] is False
    assert all(message["more_body"] for message in out[1:-1])


def test_a_document_past_the_limit_is_not_translated():
    flow = make_flow(make_engine(format_max_size=100), WANTS_MSGPACK)
    assert content_of(run(flow, start(JSON, LENGTH), body(DOCUMENT))) == DOCUMENT
    assert Reason.BODY_NOT_WHOLE in flow.reasons()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wants", [(GZIP,), ()], ids=["gzip", "identity"])
def test_what_is_larger_than_an_object_may_be_is_not_kept(wants, streamed):
    flow = make_flow(make_engine(cache_max_object=50), *wants)
    messages = pieces(DOCUMENT) if streamed else [body(DOCUMENT)]
    run(flow, start(JSON, FRESH), *messages)
    assert flow.entry is None
    assert flow.reasons()[-1] is Reason.OBJECT_TOO_LARGE


@pytest.mark.parametrize("wrong", [-1, 1], ids=["too short", "too long"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_body_of_another_length_than_declared_is_neither_changed_nor_kept(wrong, streamed):
    length = (b"content-length", b"%d" % (len(DOCUMENT) + wrong))
    flow = make_flow(make_engine(), GZIP)
    messages = pieces(DOCUMENT) if streamed else [body(DOCUMENT)]
    out = run(flow, start(JSON, FRESH, length), *messages)
    assert content_of(out) == DOCUMENT
    assert flow.entry is None
    assert flow.reasons()[-1] is Reason.INCOMPLETE


def test_a_long_stream_of_another_length_than_declared_is_not_kept():
    length = (b"content-length", b"%d" % (len(DOCUMENT) + 1))
    flow = make_flow(make_engine(whole_limit=100), GZIP)
    run(flow, start(JSON, FRESH, length), *pieces(DOCUMENT))
    assert flow.entry is None
    assert flow.reasons()[-1] is Reason.INCOMPLETE


def test_digests_of_the_app_are_made_anew_over_the_encoded_bytes():
    """RFC 9530, 2 and 3."""
    given = [(b"content-digest", b"sha-256=:AAAA:"), (b"repr-digest", b"sha-512=:AAAA:, md5=:A:")]
    out = run(make_flow(make_engine(), GZIP), start(JSON, *given), body(DOCUMENT))
    fields, sent = fields_of(out), content_of(out)
    assert sha256(sent).digest().hex() == _decoded(fields[b"content-digest"], b"sha-256")
    assert sha512(sent).digest().hex() == _decoded(fields[b"repr-digest"], b"sha-512")


def _decoded(value, algorithm):
    name, _, encoded = value.partition(b"=")
    assert name == algorithm
    return base64.b64decode(encoded.strip(b":")).hex()


def test_a_digest_by_an_algorithm_that_is_not_known_goes_with_the_bytes_it_was_of():
    given = (b"content-digest", b"crc32c=:AAAA:")
    out = run(make_flow(make_engine(), GZIP), start(JSON, given), body(DOCUMENT))
    assert b"content-digest" not in fields_of(out)


def test_trailers_keep_a_response_as_it_is_and_out_of_the_cache():
    flow = make_flow(make_engine(), GZIP)
    out = run(flow, start(JSON, FRESH, trailers=True), body(DOCUMENT))
    assert content_of(out) == DOCUMENT
    assert flow.entry is None
    assert flow.unstored is Reason.HAS_TRAILERS


def test_an_event_stream_starts_at_once_and_is_not_kept():
    flow = make_flow(make_engine(cache_ttl=60), GZIP)
    assert as_list(flow.begin(start((b"content-type", b"text/event-stream")))) != []
    assert flow.collector is None


def test_a_client_that_left_before_the_start_leaves_nothing():
    flow = make_flow(make_engine())
    flow.call.client_left = True
    run(flow, start(JSON, FRESH), body(DOCUMENT))
    assert flow.entry is None
    assert flow.unstored is Reason.CLIENT_LEFT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_format_that_is_accepted_is_a_406_if_that_is_asked_for(method):
    flow = make_flow(make_engine(format_strict=True), (b"accept", b"text/html"), method=method)
    out = as_list(flow.begin(start(JSON, LENGTH)))
    assert out[0]["status"] == flow.status == 406
    assert b"accept" in fields_of(out)[b"vary"]
    assert bool(content_of(out)) is (method == "GET")
    assert flow.feed(body(DOCUMENT)) == []
    assert flow.feed({"type": "http.response.trailers"}) == []


def test_a_406_varies_on_what_is_negotiated_only():
    engine = make_engine(format_strict=True, compression=False)
    out = as_list(make_flow(engine, (b"accept", b"text/html")).begin(start(JSON)))
    assert fields_of(out)[b"vary"] == b"accept"


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        pytest.param([], Reason.REQUEST_NOT_READ, id="nothing of it was read"),
        pytest.param([(b"x", True)], Reason.REQUEST_NOT_READ, id="not all of it"),
        pytest.param([(b"x" * 11, True)], Reason.REQUEST_TOO_LARGE_TO_KEY, id="it is too large"),
        pytest.param(
            [(b"x" * 11, False)], Reason.REQUEST_TOO_LARGE_TO_KEY, id="it was, at its end"
        ),
    ],
)
def test_a_post_whose_body_can_not_be_a_key_is_not_kept(pieces, why):
    """The handler has asked for `cache_body` when its response begins."""
    policy = RoutePolicy(cache_ttl=60.0, cache_body=True)
    flow = make_flow(make_engine(), method="POST", policy=policy)
    flow.call.body_copy = RequestCopy(10)
    for part, more in pieces:
        flow.call.body_copy.take({"type": "http.request", "body": part, "more_body": more})
    run(flow, start(JSON), body(DOCUMENT))
    assert flow.entry is None
    assert flow.unstored is why


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        pytest.param(RoutePolicy(cache=False), Reason.CACHE_TURNED_OFF, id="the handler says no"),
        pytest.param(RoutePolicy(cache_ttl=0.0), Reason.ALREADY_STALE, id="a lifetime of nothing"),
    ],
)
def test_a_handler_keeps_its_response_out_of_the_cache(policy, why):
    flow = make_flow(make_engine(), policy=policy)
    run(flow, start(JSON), body(DOCUMENT))
    assert flow.entry is None
    assert flow.unstored is why


def test_a_handler_turns_compression_off_for_its_response():
    flow = make_flow(make_engine(), GZIP, policy=RoutePolicy(compression=False))
    out = run(flow, start(JSON), body(DOCUMENT))
    assert content_of(out) == DOCUMENT
    assert b"accept-encoding" not in fields_of(out).get(b"vary", b"")


def test_a_response_that_is_passed_says_why_it_is_not_kept():
    flow = make_flow(make_engine())
    message = flow.begin(start(JSON))
    assert flow.passes
    assert flow.reasons()[-1] is Reason.NO_FRESHNESS
    assert dict(message["headers"])[b"cache-status"].endswith(b"detail=no-freshness")


def test_cache_status_may_be_left_out():
    engine = make_engine(cache_status=False, compression=False, formats=False)
    flow = make_flow(engine)
    first = start(JSON)
    assert flow.begin(first) is first
    kept = make_flow(engine)
    out = run(kept, start(JSON, FRESH), body(DOCUMENT))
    assert b"cache-status" not in fields_of(out)


def test_a_head_that_is_not_in_a_list_is_given_as_one():
    engine = make_engine(cache=False, compression=False, formats=False)
    given = {"type": "http.response.start", "status": 200, "headers": (JSON,)}
    assert make_flow(engine).begin(given)["headers"] == [JSON]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_the_tag_that_a_write_gives_is_that_of_what_it_has_made(method):
    """RFC 9110, 9.3.4: it is no tag of the content that tells of it, whose coding it has not."""
    flow = make_flow(make_engine(), GZIP, method=method)
    out = run(flow, start(JSON, (b"etag", b'"2"')), body(DOCUMENT))
    fields = fields_of(out)
    assert fields[b"content-encoding"] == b"gzip"
    assert fields[b"etag"] == b'"2"'


def test_a_body_that_never_came_whole_is_no_part_of_a_key():
    """The client left while its request was read, which the app is told by `receive`."""
    engine = make_engine(routes={"POST /": {"cache_ttl": 60, "cache_body": True}})
    flow = make_flow(engine, method="POST")
    assert flow.request.keys_on_body
    run(flow, start(JSON), body(DOCUMENT))
    assert flow.entry is None
    assert flow.unstored is Reason.REQUEST_HAS_BODY


def test_a_head_that_is_in_a_list_and_needs_nothing_is_the_apps_own():
    engine = make_engine(cache=False, compression=False, formats=False)
    first = start(JSON)
    assert make_flow(engine).begin(first) is first


def test_a_head_is_told_what_it_varies_on_and_no_more():
    engine = make_engine(cache=False, formats=False)
    assert make_flow(engine).begin(start(JSON))["headers"] == [JSON, (b"vary", b"accept-encoding")]


def test_what_is_collected_at_once_is_bounded_in_all():
    """Clients may ask for many responses, and read none of them: the slowest make room."""
    engine = make_engine(cache_memory=40_000, cache_max_object=8_000)
    assert engine.collecting.max_bytes == 10_000
    flows = [make_flow(engine, path=f"/{number}") for number in range(4)]
    for flow in flows[:2]:
        run(flow, start(PICTURE, FRESH), body(b"x" * 4_000, more=True))
    flows[0].feed(body(b"x" * 1_000, more=True))  # the second is the slower one now
    run(flows[2], start(PICTURE, FRESH), body(b"x" * 4_000, more=True))
    assert engine.collecting.held_bytes == 9_000
    flows[1].feed(body(b"x", more=True))
    assert [flow.unstored for flow in flows[:3]] == [None, Reason.TOO_MUCH_AT_ONCE, None]
    flows[0].feed(body(b"x"))
    assert flows[0].entry is not None
    assert engine.collecting.held_bytes == 9_001  # until it is stored
    flows[0].let_go()
    flows[2].lose_client()
    assert engine.collecting.held_bytes == 0


def test_a_translated_body_that_may_be_truncated_needs_room_until_the_app_has_returned():
    engine = make_engine()
    engine.collecting = FairBudget(1_000)
    flow, document = make_flow(engine, WANTS_MSGPACK), make_document(3_000)
    out = run(flow, start(JSON, FRESH), body(document, more=True), body())
    assert fields_of(out)[b"content-type"] == MSGPACK.encode()
    assert (flow.entry, flow.unstored) == (None, Reason.TOO_MUCH_AT_ONCE)
    assert engine.collecting.held_bytes == 0


def test_a_slow_reader_that_ends_after_it_made_room_is_not_stored():
    engine = make_engine(cache_memory=40_000, cache_max_object=8_000)
    slow, fast = (make_flow(engine, path=path) for path in ("/slow", "/fast"))
    run(slow, start(PICTURE, FRESH), body(b"x" * 4_000, more=True))
    run(fast, start(PICTURE, FRESH), body(b"x" * 7_000, more=True))
    (run_last,) = slow.feed(body())
    assert run_last["more_body"] is False
    assert (slow.entry, slow.unstored) == (None, Reason.TOO_MUCH_AT_ONCE)
    fast.feed(body(b"y"))
    assert fast.entry is not None


def test_no_number_of_slow_readers_keeps_others_from_being_stored():
    engine = make_engine(cache_memory=40_000, cache_max_object=8_000)
    for number in range(20):
        run(
            make_flow(engine, path=f"/{number}"),
            start(PICTURE, FRESH),
            body(b"x" * 5_000, more=True),
        )
    honest = make_flow(engine, path="/honest")
    run(honest, start(PICTURE, FRESH), body(b"x" * 3_000, more=True), body(b"x" * 4_000, more=True))
    honest.feed(body(b"x"))
    assert honest.entry is not None
    assert engine.collecting.held_bytes <= engine.collecting.max_bytes


@awaited
async def test_what_breaks_off_holds_nothing_any_more():
    async def app(scope, receive, send):
        await send(start(PICTURE, FRESH))
        await send(body(b"x" * 4_000, more=True))
        raise RuntimeError("the app fails")

    serial = serial_of(app)
    assert (await drive(serial, Request())).error is not None
    assert serial.engine.collecting.held_bytes == 0
