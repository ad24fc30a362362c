"""The response's way through its states: what is held, what is sent, what is kept."""

import json

import msgpack
import pytest

from asgi_serial.cache.in_flight import CallResult
from asgi_serial.reasons import Reason
from asgi_serial.response.flow import (
    Busy,
    Done,
    Held,
    Pass,
    Replaced,
    Start,
    Stream,
    Whole,
)
from asgi_serial.response.steps import Store, StoreOnReturn, Unstored
from tests.engine.making import (
    EVENTS,
    FRESH,
    GZIP,
    HTML,
    JSON,
    STATES,
    TAG,
    TRANSITIONS,
    WANTS_MSGPACK,
    as_list,
    body,
    content_of,
    decoded,
    fields_of,
    finish_jobs,
    make_document,
    make_engine,
    make_flow,
    run,
    start,
)
from tests.pages import read_page

FILE = {"type": "http.response.pathsend", "path": "/a"}
HINT = {"type": "http.response.early_hint", "links": []}
PIECE = body(b"<p>" * 200, more=True)
LAST = body(b"<p>" * 200)
LONG = body(make_document(900_000))
DOCUMENT = body(make_document(3_000))
OPENED, CLOSED = body(b'["a"', more=True), body(b"]")

ENGINE = make_engine(encodings_cache=False)


def held(*, headers=(GZIP,), fields=(HTML,)):
    flow = make_flow(ENGINE, *headers)
    assert flow.begin(start(*fields)) == []
    return flow


def held_to_be_kept():
    return held(headers=(), fields=(HTML, FRESH))


def whole():
    flow = held(headers=(WANTS_MSGPACK,), fields=(JSON,))
    assert flow.feed(body(b'["a"', more=True)) == []
    return flow


def whole_to_be_encoded():
    flow = held(fields=(HTML, (b"content-length", b"900")))
    assert flow.feed(body(b"<p>" * 100, more=True)) == []
    return flow


def stream():
    flow = held()
    flow.feed(PIECE)
    return flow


def busy():
    flow = held(fields=(JSON,))
    assert flow.feed(LONG) == []
    return flow


def passing():
    flow = make_flow(ENGINE)
    flow.begin(start(HTML))
    return flow


def passing_to_be_kept():
    flow = held_to_be_kept()
    flow.feed(PIECE)
    return flow


def done():
    flow = passing()
    flow.feed(LAST)
    return flow


def refused():
    flow = make_flow(make_engine(format_strict=True), (b"accept", b"text/html"))
    flow.begin(start(JSON))
    return flow


MAKERS = {
    Held: (held, held_to_be_kept),
    Whole: (whole, whole_to_be_encoded),
    Stream: (stream,),
    Busy: (busy,),
    Pass: (passing, passing_to_be_kept),
    Done: (done,),
    Replaced: (refused,),
}


@pytest.mark.parametrize(
    ("state", "make"), [(state, make) for state, makers in MAKERS.items() for make in makers]
)
def test_the_states_are_reached(state, make):
    flow = make()
    assert flow.state is state
    assert flow.is_holding is (state in (Held, Whole))
    assert flow.is_over is (state in (Done, Replaced))


def test_nothing_is_over_before_the_start():
    flow = make_flow(ENGINE)
    assert flow.state is Start
    assert not flow.is_holding
    assert not flow.is_over


@pytest.mark.parametrize(
    ("make", "message", "state", "emitted"),
    [
        pytest.param(held, PIECE, Stream, "start body", id="held, a piece: streamed"),
        pytest.param(held, LAST, Done, "start body", id="held, the whole body: encoded"),
        pytest.param(held, FILE, Done, "start pathsend", id="held, a file: as it is"),
        pytest.param(held, HINT, Pass, "start early_hint", id="held, an unknown message: passed"),
        pytest.param(held_to_be_kept, PIECE, Pass, "start body", id="held, a piece: passed"),
        pytest.param(held_to_be_kept, LAST, Done, "start body", id="held, the whole body: tagged"),
        pytest.param(held_to_be_kept, HINT, Pass, "start early_hint"),
        pytest.param(whole, body(b',"b"', True), Whole, "", id="gathered, under the limit: held"),
        pytest.param(whole, body(b"]"), Done, "start body", id="gathered, the last: translated"),
        pytest.param(whole, HINT, Pass, "start body early_hint", id="gathered: passed after all"),
        pytest.param(whole_to_be_encoded, body(b"<p>" * 200), Done, "start body"),
        pytest.param(whole_to_be_encoded, HINT, Pass, "start body early_hint"),
        pytest.param(stream, PIECE, Stream, "body", id="streamed, a piece"),
        pytest.param(stream, LAST, Done, "body", id="streamed, the last"),
        pytest.param(stream, HINT, Stream, "early_hint", id="streamed, an unknown message"),
        pytest.param(passing, PIECE, Pass, "body", id="passed, a piece"),
        pytest.param(passing, FILE, Done, "pathsend", id="passed, a file"),
        pytest.param(passing, HINT, Pass, "early_hint", id="passed, an unknown message"),
        pytest.param(passing_to_be_kept, LAST, Done, "body", id="passed, the last"),
        pytest.param(done, PIECE, Done, "body", id="done, a piece too many"),
        pytest.param(done, FILE, Done, "pathsend", id="done, a file too many"),
        pytest.param(done, LAST, Done, "body", id="done, a body too many: the server's to judge"),
        pytest.param(done, HINT, Done, "early_hint", id="done, an unknown message"),
        pytest.param(refused, LAST, Replaced, "", id="refused: the app's body goes nowhere"),
        pytest.param(refused, HINT, Replaced, "", id="refused: nor does anything else"),
        pytest.param(refused, FILE, Replaced, "", id="refused: nor does a file"),
    ],
)
def test_a_message_moves_the_flow(make, message, state, emitted):
    flow = make()
    out = as_list(flow.feed(message))
    assert flow.state is state
    assert flow.job is None
    assert [one["type"].removeprefix("http.response.") for one in out] == emitted.split()


@pytest.mark.parametrize(
    ("make", "state", "emitted"),
    [
        pytest.param(held, Stream, "start", id="what can be streamed is"),
        pytest.param(held_to_be_kept, Pass, "start", id="what is not encoded passes"),
        pytest.param(whole, Pass, "start body", id="what is gathered goes out"),
        pytest.param(whole_to_be_encoded, Pass, "start body"),
        pytest.param(stream, Stream, ""),
        pytest.param(busy, Busy, ""),
        pytest.param(passing, Pass, ""),
        pytest.param(done, Done, ""),
        pytest.param(refused, Replaced, ""),
    ],
)
def test_an_app_that_waits_for_the_client_has_nothing_held_back(make, state, emitted):
    flow = make()
    out = flow.wait_for_client()
    assert flow.state is state
    assert [one["type"].removeprefix("http.response.") for one in out] == emitted.split()


EVENT = b"data: hello\n\n" * 10
OFFERED = {"http.response.pathsend": {}}


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
@pytest.mark.parametrize(
    "pieces", [(), (body(EVENT, more=True),)], ids=["a file", "a piece, then a file"]
)
def test_a_file_is_encoded_if_the_start_has_named_a_coding(tmp_path, pieces, size):
    """RFC 9110, 8.4: Content-Encoding says what has been applied to the content."""
    path, content = tmp_path / "file", (EVENT * (size // len(EVENT) + 1))[:size]
    path.write_bytes(content)
    flow = make_flow(ENGINE, GZIP, extensions=OFFERED)
    flow.begin(start(HTML, FRESH))
    out = as_list(flow.wait_for_client())
    assert fields_of(out)[b"content-encoding"] == b"gzip"
    for message in (*pieces, {"type": "http.response.pathsend", "path": str(path)}):
        assert flow.state is Stream
        out += finish_jobs(flow, flow.feed(message))
    assert flow.state is Done
    assert decoded(ENGINE, out) == EVENT * len(pieces) + content
    assert flow.app_bytes == len(EVENT) * len(pieces) + size
    is_one_piece = 0 < size <= 1 << 20 and not pieces
    assert [type(one) for one in flow.effects] == [Store if is_one_piece else StoreOnReturn]


def test_a_file_that_cannot_be_read_fails_where_the_app_sends_it(tmp_path):
    flow = make_flow(ENGINE, GZIP, extensions=OFFERED)
    flow.begin(start(EVENTS))
    flow.feed({"type": "http.response.pathsend", "path": str(tmp_path / "none")})
    with pytest.raises(FileNotFoundError):
        flow.job()


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(body(EVENT, more=True), id="an event"),
        pytest.param(body(EVENT * 10), id="all events at once"),
        pytest.param(None, id="nothing, and the app waits for the client"),
    ],
)
@pytest.mark.parametrize(
    "fields", [(), ((b"content-length", b"1300"),)], ids=["length unknown", "known"]
)
def test_an_event_stream_is_encoded_where_the_server_offers_to_send_files(fields, first):
    flow = make_flow(make_engine(), GZIP, extensions=OFFERED)
    out = as_list(flow.begin(start(EVENTS, *fields)))
    assert fields_of(out)[b"content-encoding"] == b"gzip"
    out += flow.wait_for_client() if first is None else finish_jobs(flow, flow.feed(first))
    assert len(out) == (1 if first is None else 2)


@pytest.mark.parametrize("extensions", [None, {}, {"http.response.push": {}}, OFFERED])
def test_an_event_stream_begins_at_once(extensions):
    flow = make_flow(make_engine(), GZIP, extensions=extensions)
    assert fields_of(as_list(flow.begin(start(EVENTS))))[b"content-encoding"] == b"gzip"


def test_parts_of_a_body_out_of_files_are_not_offered_where_it_may_be_encoded():
    extensions = {"http.response.zerocopysend": {}, "http.response.pathsend": {}}
    flow = make_flow(ENGINE, GZIP, extensions=extensions)
    assert list(flow.scope["extensions"]) == ["http.response.pathsend"]
    assert len(extensions) == 2
    plain = make_flow(ENGINE, extensions=extensions)
    assert plain.scope["extensions"] is extensions
    assert make_flow(ENGINE, GZIP, extensions=None).scope["extensions"] is None


def test_a_body_of_known_length_is_not_streamed_for_an_app_that_waits():
    flow = held(fields=(HTML, (b"content-length", b"900")))
    assert b"content-encoding" not in fields_of(flow.wait_for_client())
    assert flow.state is Pass


class BrokenCodec:
    """A codec that has no memory left."""

    name = "gzip"
    offload_bytes = 1_000_000

    def encoder(self, *, event_stream):
        return self

    def feed(self, content, *, flush):
        raise MemoryError


def test_a_start_is_sent_once_though_the_first_piece_could_not_be_encoded():
    flow = held()
    flow.flow.plan = flow.plan._replace(codec=BrokenCodec())
    with pytest.raises(MemoryError):
        flow.feed(PIECE)
    out = flow.release(Reason.INCOMPLETE)
    assert [one["type"] for one in out] == ["http.response.start"]
    assert b"content-encoding" not in fields_of(out)


every_state = pytest.mark.parametrize(
    "make", [make for makers in MAKERS.values() for make in makers]
)


@every_state
def test_only_a_state_that_leaves_a_job_takes_a_result(make):
    flow = make()
    if flow.state not in (Busy, Stream):
        with pytest.raises(NotImplementedError):
            flow.resume(b"")


@every_state
@pytest.mark.parametrize("give", ["release", "lose"])
def test_what_is_held_back_is_given_once_and_as_the_app_made_it(make, give):
    flow = make()
    was_holding = flow.is_holding
    one, two = [
        flow.release(Reason.INCOMPLETE) if give == "release" else flow.lose_client()
        for _ in range(2)
    ]
    assert bool(one) is was_holding
    assert two == []
    assert not flow.is_holding
    if was_holding:
        assert b"content-encoding" not in fields_of(one)
        assert flow.reasons().count(Reason.INCOMPLETE) == (give == "release")


@pytest.mark.parametrize(
    ("headers", "first", "messages"),
    [
        pytest.param((), start(HTML, FRESH), [], id="held"),
        pytest.param((), start(HTML, FRESH), [PIECE], id="passed"),
        pytest.param((GZIP,), start(HTML, FRESH), [PIECE], id="streamed"),
        pytest.param((WANTS_MSGPACK,), start(JSON, FRESH), [PIECE], id="gathered"),
    ],
)
def test_nothing_is_kept_of_what_a_client_has_left(headers, first, messages):
    flow = make_flow(ENGINE, *headers)
    run(flow, first, *messages)
    assert flow.collector is not None
    flow.lose_client()
    finish_jobs(flow, flow.feed(LAST))
    assert flow.is_over
    assert flow.entry is None
    assert flow.reasons()[-1] is Reason.CLIENT_LEFT
    assert flow.call_result is CallResult.FAILED


def test_a_body_of_known_length_is_kept_though_its_client_leaves_before_an_empty_last_message():
    """RFC 9112, 8: it is complete by its Content-Length."""
    flow = make_flow(ENGINE)
    run(flow, start(HTML, FRESH, (b"content-length", b"1200")), PIECE, PIECE)
    assert flow.state is Pass
    assert flow.lose_client() == []
    assert (flow.state, flow.is_end_sure, flow.unstored) == (Done, True, None)
    assert flow.entry.find(("", "")).body == PIECE["body"] * 2
    last = body(b"")
    assert as_list(flow.feed(last)) == [last]


def test_a_body_that_lacks_a_byte_of_its_length_is_not_kept_for_a_client_that_leaves():
    flow = make_flow(ENGINE)
    run(flow, start(HTML, FRESH, (b"content-length", b"1201")), PIECE, PIECE)
    flow.lose_client()
    assert (flow.entry, flow.unstored) == (None, Reason.CLIENT_LEFT)


def test_nothing_is_kept_of_what_a_client_has_left_while_it_was_encoded():
    flow = make_flow(ENGINE, GZIP)
    flow.begin(start(JSON, FRESH))
    assert flow.feed(LONG) == []
    flow.lose_client()
    out = flow.resume(flow.job())
    assert decoded(ENGINE, out) == LONG["body"]
    assert (flow.state, flow.entry) == (Done, None)


def test_a_long_body_waits_for_a_thread():
    flow = busy()
    job = flow.job
    out = flow.resume(job())
    assert flow.job is None
    assert flow.state is Done
    assert decoded(ENGINE, out) == LONG["body"]


@pytest.mark.parametrize(
    ("size", "is_slow"), [(250_000, False), (270_000, True), (900_000, True)], ids="{} bytes".format
)
def test_a_long_document_waits_for_a_thread_to_be_translated(size, is_slow):
    flow = make_flow(ENGINE, WANTS_MSGPACK)
    message = body(make_document(size))
    out = as_list(flow.begin(start(JSON))) + as_list(flow.feed(message))
    assert (flow.job is not None, flow.state is Busy) == (is_slow, is_slow)
    packed = decoded(ENGINE, finish_jobs(flow, out))
    assert msgpack.unpackb(packed) == json.loads(message["body"])
    assert flow.state is Done


def test_a_long_piece_waits_for_a_thread_behind_the_start():
    flow = held()
    out = as_list(flow.feed({**LONG, "more_body": True}))
    assert [one["type"] for one in out] == ["http.response.start"]
    assert flow.state is Stream
    out += flow.resume(flow.job())
    out += finish_jobs(flow, flow.feed(LONG))
    assert decoded(ENGINE, out) == LONG["body"] * 2


def test_gathering_past_the_limit_begins_a_stream_with_all_that_has_come():
    flow = make_flow(ENGINE, GZIP, WANTS_MSGPACK)
    out = run(flow, start(JSON), *[{**LONG, "more_body": more} for more in (True, True, False)])
    assert decoded(ENGINE, out) == LONG["body"] * 3
    assert flow.sizes()[0] == 3 * len(LONG["body"])


@pytest.mark.parametrize("first", [start(EVENTS), start(EVENTS, FRESH), start(EVENTS, TAG)])
@pytest.mark.parametrize("headers", [(), (GZIP,)], ids=["identity", "gzip"])
def test_an_event_stream_starts_at_once_and_flushes_each_event(first, headers):
    flow = make_flow(ENGINE, *headers)
    out = as_list(flow.begin(first))
    assert out[0]["type"] == "http.response.start"
    seen = b""
    decoder = ENGINE.negotiator.codecs["gzip"].decoder()
    for number in range(3):
        part = content_of(as_list(flow.feed(body(b"data: %d\n\n" % number, more=True))))
        seen += decoder.feed(part, limit=1000) if headers else part
        assert seen.endswith(b"data: %d\n\n" % number)
    assert flow.entry is None


def documented_transitions():
    """The changes of state in the table of docs/explanation/architecture.md."""
    page = read_page("architecture")
    _, table = page.split("| state | the app sends | next state | the client gets |\n")
    found = {state: set() for state in STATES}
    for row in table.split("\n\n")[0].splitlines()[1:]:
        befores, _, afters, _ = row.strip("|").split("|")
        for before in befores.split(","):
            found[named(before)] |= {named(after) for after in afters.split(",")}
    return {state: afters - {state} for state, afters in found.items()}


def named(word):
    (state,) = [one for one in STATES if one.__name__ == word.strip().capitalize()]
    return state


def test_the_documented_changes_of_state_are_those_that_are_allowed():
    documented = documented_transitions()
    # What passes and what is over share a row, whose message changes neither.
    documented[Done] -= {Pass}
    assert documented == TRANSITIONS


def test_every_state_can_be_left_for_the_end():
    def ends_of(state):
        return {state} if not TRANSITIONS[state] else set().union(*map(ends_of, TRANSITIONS[state]))

    assert ends_of(Start) == {Done, Replaced}


@pytest.mark.parametrize(
    ("fields", "messages", "effects"),
    [
        pytest.param(
            (JSON,), [DOCUMENT], [(Unstored, False), (Unstored, True)], id="not to be stored"
        ),
        pytest.param(
            (JSON, FRESH), [DOCUMENT], [(Store, True)], id="in one piece: its end is sure"
        ),
        pytest.param(
            (JSON, FRESH),
            [OPENED, CLOSED],
            [(StoreOnReturn, True)],
            id="in pieces: only the app's return says that it is whole",
        ),
        pytest.param((JSON, FRESH), [OPENED], [], id="incomplete"),
    ],
)
@pytest.mark.parametrize("headers", [(WANTS_MSGPACK,), (GZIP,)], ids=["translated", "encoded"])
def test_a_step_says_what_becomes_of_the_response(headers, fields, messages, effects):
    flow = make_flow(ENGINE, *headers, extensions=OFFERED)
    flow.begin(start(*fields))
    for message in messages:
        flow.feed(message)
    assert [(type(one), getattr(one, "is_over", True)) for one in flow.effects] == effects


def test_a_file_that_passes_is_not_stored_and_those_who_wait_are_told_before_the_end():
    flow = make_flow(ENGINE, WANTS_MSGPACK, extensions=OFFERED)
    flow.begin(start(JSON, FRESH))
    flow.feed(OPENED)
    flow.feed(FILE)
    assert [(type(one), one.is_over) for one in flow.effects] == [
        (Unstored, False),
        (Unstored, True),
    ]


def test_a_middleware_without_a_cache_tells_nobody_but_that_it_is_over():
    flow = make_flow(make_engine(cache=False), GZIP)
    run(flow, start(HTML), LAST)
    assert flow.effects == [Unstored(CallResult.UNCACHEABLE, is_over=True)]
