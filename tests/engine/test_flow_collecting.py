"""Responses are collected as they were sent, without what others add to them."""

import pytest

from asgi_serial.reasons import Reason
from asgi_serial.settings.policy import RoutePolicy
from tests.engine.making import (
    FRESH,
    GZIP,
    HTML,
    JSON,
    MSGPACK,
    TAG,
    WANTS_MSGPACK,
    as_list,
    body,
    content_of,
    fields_of,
    finish_jobs,
    make_document,
    make_engine,
    make_flow,
    run,
    start,
)

PIECE = body(b"<p>" * 200, more=True)
LAST = body(b"<p>" * 200)

ENGINE = make_engine(encodings_cache=False)


@pytest.mark.parametrize("headers", [(), (GZIP,), (WANTS_MSGPACK,), (GZIP, WANTS_MSGPACK)])
@pytest.mark.parametrize("cuts", [1, 3], ids=["whole", "in pieces"])
@pytest.mark.parametrize("etag", [(), (TAG,)], ids=["no tag", "the app's tag"])
def test_what_is_kept_is_what_was_sent(headers, cuts, etag):
    flow = make_flow(ENGINE, *headers)
    document = make_document(3000)
    size = -(-len(document) // cuts)
    parts = [document[place : place + size] for place in range(0, len(document), size)]
    messages = [body(part, more=place < cuts) for place, part in enumerate(parts, 1)]
    out = run(flow, start(JSON, FRESH, *etag, (b"age", b"1"), (b"x-a", b"b")), *messages)
    variant = (MSGPACK if WANTS_MSGPACK in headers else "", "gzip" if GZIP in headers else "")
    kept = flow.entry.find(variant)
    sent = out[0]["headers"]
    assert kept.body == content_of(out)
    assert kept.etag == fields_of(out).get(b"etag")
    assert kept.fields == [pair for pair in sent if pair[0] not in (b"cache-status", b"age")]
    assert fields_of(out)[b"cache-status"].startswith(b"asgi_serial; fwd=uri-miss")
    assert flow.entry.app_bytes == len(document)


@pytest.mark.parametrize("headers", [(), (GZIP,), (WANTS_MSGPACK,)])
@pytest.mark.parametrize("first", [start(JSON, FRESH, TAG), start(HTML, FRESH)])
@pytest.mark.parametrize("messages", [[LAST], [PIECE, LAST]], ids=["whole", "in pieces"])
def test_what_others_add_to_the_fields_that_were_sent_is_not_kept(headers, first, messages):
    """An outer middleware may write a cookie of one user into the list that it is handed."""
    flow = make_flow(ENGINE, *headers)
    flow_out = as_list(flow.begin(first))
    for message in messages:
        for one in flow_out:
            one.get("headers", []).append((b"set-cookie", b"user=1"))
        flow_out = finish_jobs(flow, flow.feed(message))
    for kept in flow.entry.all_forms:
        assert b"set-cookie" not in dict(kept.fields)
    assert b"set-cookie" not in dict(flow.entry.fields)


@pytest.mark.parametrize("headers", [(), (GZIP,), (WANTS_MSGPACK,)])
@pytest.mark.parametrize("first", [start(JSON, FRESH, TAG), start(HTML, FRESH)])
@pytest.mark.parametrize("messages", [[LAST], [PIECE, LAST]], ids=["whole", "in pieces"])
def test_a_list_that_the_app_uses_again_is_that_of_the_first_response(headers, first, messages):
    """The start is held for the body; a server would have sent it by the time of the next one."""
    flow = make_flow(ENGINE, *headers)
    fields = list(first["headers"])
    out = as_list(flow.begin({**first, "headers": fields}))
    fields[:] = [(b"content-type", b"text/plain"), (b"x-user", b"ada")]
    for message in messages:
        out += finish_jobs(flow, flow.feed(message))
    for kept in ({name for name, _ in out[0]["headers"]}, dict(flow.entry.fields)):
        assert b"x-user" not in kept
        assert b"cache-control" in kept


def test_the_apps_own_message_and_fields_stay_as_they_are():
    first = start(JSON, FRESH, (b"Vary", b"X"), TAG)
    copy = {**first, "headers": list(first["headers"])}
    for headers in [(), (GZIP,), (WANTS_MSGPACK,), (GZIP, WANTS_MSGPACK)]:
        run(make_flow(ENGINE, *headers), first, body(make_document(3000)))
        assert first == copy


def test_the_form_that_all_others_are_made_of_is_kept_beside_a_translated_one():
    flow = make_flow(ENGINE, WANTS_MSGPACK)
    document = make_document(3000)
    run(flow, start(JSON, FRESH), body(document))
    own = flow.entry.find(("", ""))
    assert own.body == document
    assert dict(own.fields)[b"content-type"] == b"application/json"
    assert own.etag != flow.entry.find((MSGPACK, "")).etag


def test_a_document_that_can_not_be_translated_is_kept_for_both_kinds_of_clients():
    flow = make_flow(ENGINE, WANTS_MSGPACK)
    out = run(flow, start(JSON, FRESH), body(b"[18446744073709551616]"))
    assert content_of(out) == b"[18446744073709551616]"
    assert Reason.VALUE_NOT_CARRIED in flow.reasons()
    for_packed, for_plain = flow.entry.find((MSGPACK, "")), flow.entry.find(("", ""))
    assert for_packed.body is for_plain.body
    assert for_packed.fields == for_plain.fields
    # A client of JSON gets what it asked for.
    assert Reason.VALUE_NOT_CARRIED in for_packed.reasons
    assert Reason.VALUE_NOT_CARRIED not in for_plain.reasons


def test_the_size_of_an_object_is_that_of_both_forms():
    document = make_document(3000)
    flow = make_flow(make_engine(cache_max_object=len(document) + 100), WANTS_MSGPACK)
    run(flow, start(JSON, FRESH), body(document))
    assert flow.entry is None
    assert flow.reasons()[-1] is Reason.OBJECT_TOO_LARGE


class TestBodiesInKeys:
    """A handler may ask for its POST to be kept by the request's body, when it answers."""

    POLICY = RoutePolicy(cache_ttl=60.0, cache_body=True)

    def test_what_the_app_has_read_is_the_key(self):
        engine = make_engine()
        keys = []
        for sent in (b"a", b"b", b"a"):
            flow = make_flow(engine, method="POST", policy=self.POLICY, path=f"/{len(keys)}")
            flow.scope["path"] = "/"
            flow.call.body_copy = CopyOf(sent)
            run(flow, start(JSON), LAST)
            assert flow.unstored is None
            keys.append(flow.entry.key[-1])
        assert keys[0] == keys[2] != keys[1]

    def test_the_next_request_is_looked_up_by_its_body(self):
        engine = make_engine()
        flow = make_flow(engine, method="POST", policy=self.POLICY)
        flow.call.body_copy = CopyOf(b"a")
        run(flow, start(JSON), LAST)
        assert flow.start.invalid == ()
        assert make_flow(engine, method="POST").request.keys_on_body

    def test_a_route_that_was_told_before_is_not_told_again(self):
        engine = make_engine(routes={"/": {"cache_body": True, "cache_ttl": 60}})
        flow = make_flow(engine, method="POST")
        run(flow, start(JSON), LAST)
        assert engine.learned.policies == {}

    @pytest.mark.parametrize(("status", "is_invalid"), [(200, True), (302, True), (404, False)])
    def test_any_other_write_makes_what_is_stored_invalid(self, status, is_invalid):
        """RFC 9111, 4.4."""
        flow = make_flow(make_engine(), method="POST")
        run(flow, start(JSON, status=status), LAST)
        assert (make_flow(make_engine()).request.key in flow.start.invalid) is is_invalid


class CopyOf:
    def __init__(self, content):
        self.content = content

    def whole(self):
        return self.content


@pytest.mark.parametrize("tag", [(), (TAG,)], ids=["no tag", "the app's tag"])
def test_what_comes_slowly_is_kept_and_holds_up_nobody(tag):
    """Not even for a tag: its client has each piece when the app has made it."""
    flow = make_flow(ENGINE)
    length = (b"content-length", b"10")
    run(flow, start(HTML, FRESH, length, *tag))
    pieces = [body(b"1", more=True) for _ in range(9)]
    for piece in pieces:
        assert content_of(as_list(flow.feed(piece))) == b"1"
    assert content_of(as_list(flow.feed(body(b"1")))) == b"1"
    assert flow.entry.find(("", "")).body == b"1" * 10


def test_what_is_all_there_is_given_a_tag_though_an_empty_piece_follows():
    flow = make_flow(ENGINE)
    pieces = [body(b"1" * 10, more=True), body(b"")]
    out = run(flow, start(HTML, FRESH, (b"content-length", b"10")), *pieces)
    assert fields_of(out)[b"etag"] == flow.entry.find(("", "")).etag
