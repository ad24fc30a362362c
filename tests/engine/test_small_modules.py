"""The small parts of the engine: its memories, its words to the client, its report, its sharing."""

import gc
import json
import weakref

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_serial.asgi.app_scope import scope_for_app
from asgi_serial.bounds.memo import MAX_ENTRIES
from asgi_serial.cache.entry import Representation
from asgi_serial.cache.footprint import Interner
from asgi_serial.caching.serving import answer, evaluate, find_representation, serve
from asgi_serial.codecs.decoding import UnsupportedCoding
from asgi_serial.engine import cache_status
from asgi_serial.engine.app_engines import _HELD, engines_of, register, share
from asgi_serial.engine.cache_status import forward_status
from asgi_serial.errors import CodecError, FormatError, OutputLimitExceeded
from asgi_serial.reasons import Reason
from asgi_serial.representation.derive import derive, size_to_derive
from asgi_serial.request.app_call import AppCall
from asgi_serial.request.body import RequestBody, explain_refusal, why_refused
from tests.cache.entries import make_entry
from tests.engine.making import (
    FRESH,
    JSON,
    MSGPACK,
    NOW,
    Clock,
    body,
    find_hit,
    make_engine,
    make_flow,
    make_plan,
    make_scope,
    run,
    start,
)

GZIP = (b"accept-encoding", b"gzip")
DOCUMENT = json.dumps([{"id": number, "name": "a name"} for number in range(100)]).encode()


def store(engine, *headers, document=DOCUMENT, fields=(JSON, FRESH)):
    flow = make_flow(engine, *headers)
    run(flow, start(*fields), body(document))
    engine.responses.keep(flow.entry, NOW)
    return flow.entry


class TestMemories:
    def test_ready_fields_are_bounded(self):
        engine = make_engine()
        for seconds in range(cache_status.MAX_PAIRS + 1):
            assert engine.cache_status.age_line(seconds) == (b"age", b"%d" % seconds)
        assert engine.cache_status.age_line(5) is engine.cache_status.age_line(5)

    @pytest.mark.parametrize("part", ["name", "value"])
    @pytest.mark.parametrize("length", [0, 10_000])
    def test_entries_stay_as_they_are_where_shared_lines_are_forgotten(self, part, length):
        interner = Interner()
        for number in range(MAX_ENTRIES + 1):
            text = b"%d" % number + bytes(length)
            line = (b"x-" + text, b"") if part == "name" else (b"x", text)
            entry = make_entry(fields=[line])
            interner.share(entry)
            assert entry.fields == [line]


class TestCacheStatus:
    def test_a_request_that_waited_in_vain_says_so(self):
        value = forward_status("a", Reason.MISS, stored=True, detail=None, waited=True)
        assert value == b"a; fwd=uri-miss; collapsed=?0; stored"

    def test_a_bypass_says_why(self):
        value = forward_status("a", Reason.REQUEST_HAS_RANGE, stored=False, detail=None)
        assert value == b"a; fwd=bypass; detail=request-has-range"

    def test_an_answer_by_anothers_call_says_so(self):
        engine = make_engine()
        entry = store(engine)
        plan = make_plan(engine, make_scope())
        served = serve(engine, plan, entry, NOW, waited=Reason.MISS)
        assert isinstance(served, tuple)
        first = served[0]
        status = b"asgi_serial; fwd=uri-miss; collapsed; ttl=60"
        assert dict(first["headers"])[b"cache-status"] == status


class TestHits:
    @pytest.mark.parametrize("missing", ["raw_path", "root_path", "scheme"])
    def test_a_scope_without_its_optional_parts_has_a_key(self, missing):
        engine = make_engine()
        scope = make_scope()
        del scope[missing]
        assert make_plan(engine, scope).key is not None
        assert find_hit(engine, scope) is None

    def test_a_tag_of_another_form_is_no_304(self):
        engine = make_engine()
        store(engine)
        first, _ = find_hit(engine, make_scope(headers=((b"if-none-match", b'"other"'),)))
        assert first["status"] == 200

    def test_the_very_tag_is_a_304_each_time(self):
        clock = Clock()
        engine = make_engine(clock=clock)
        tag = store(engine).all_forms[0].etag
        scope = make_scope(headers=((b"if-none-match", tag),))
        ages = []
        for second in (0, 0, 5):
            clock.now = NOW + second
            first, last = find_hit(engine, scope)
            assert (first["status"], last["body"]) == (304, b"")
            ages.append(dict(first["headers"])[b"age"])
        assert ages == [b"0", b"0", b"5"]

    def test_a_hit_says_so_after_another_form_was_made(self):
        engine = make_engine()
        entry = store(engine)
        scope = make_scope()
        before = find_hit(engine, scope)[0]
        engine.responses.add(entry, ("", "gzip"), derive(engine, entry, ("", "gzip")))
        assert find_hit(engine, scope)[0] == before

    def test_without_cache_status_a_hit_has_its_age_alone(self):
        engine = make_engine(cache_status=False)
        store(engine)
        scope = make_scope()
        first = find_hit(engine, scope)[0]
        assert b"cache-status" not in dict(first["headers"])
        assert dict(first["headers"])[b"age"] == b"0"

    @pytest.mark.parametrize(
        ("control", "why"),
        [
            (b"max-age=5", Reason.REQUEST_NO_CACHE),
            (b"max-age=10", Reason.HIT),
            (b"min-fresh=51", Reason.REQUEST_NO_CACHE),
            (b"min-fresh=50", Reason.HIT),
            (b"no-cache", Reason.REQUEST_NO_CACHE),
        ],
    )
    def test_the_client_says_how_fresh_it_must_be(self, control, why):
        """RFC 9111, 5.2.1."""
        engine = make_engine()
        entry = store(engine)
        plan = make_plan(engine, make_scope(headers=((b"cache-control", control),)))
        assert evaluate(engine, plan, entry, NOW + 10).reason is why

    def test_a_condition_is_for_a_stored_200_only(self):
        engine = make_engine()
        flow = make_flow(engine)
        run(flow, start(JSON, FRESH, (b"etag", b'"1"'), status=404), body(DOCUMENT))
        engine.responses.keep(flow.entry, NOW)
        plan = make_plan(engine, make_scope(headers=((b"if-none-match", b'"1"'),)))
        kept = find_representation(plan.wants, flow.entry)
        assert answer(engine, plan, flow.entry, kept, NOW)[0]["status"] == 404


class TestDerive:
    def test_every_variant_is_made_of_the_apps_own_form(self):
        engine = make_engine()
        entry = store(engine, GZIP)
        for variant in (("", ""), ("", "br"), (MSGPACK, ""), (MSGPACK, "zstd")):
            made = derive(engine, entry, variant)
            assert made.coding == variant[1]
            fields = dict(made.fields)
            assert fields[b"content-type"] == (variant[0] or "application/json").encode()

    def test_what_can_not_be_carried_over_stays_as_it_is(self):
        engine = make_engine()
        document = b'{"wide": 123456789012345678901234567890}'
        entry = store(engine, document=document)
        made = derive(engine, entry, (MSGPACK, ""))
        assert made.body == document
        assert dict(made.fields)[b"content-type"] == b"application/json"

    def test_a_document_past_the_limit_stays_as_it_is(self):
        engine = make_engine(format_max_size=10)
        made = derive(engine, store(engine), (MSGPACK, ""))
        assert made.body == DOCUMENT

    def test_what_is_not_smaller_is_not_encoded(self):
        engine = make_engine(min_size=1)
        made = derive(engine, store(engine, document=b"[1]"), ("", "gzip"))
        assert (made.coding, made.body) == ("", b"[1]")

    def test_what_does_not_decode_is_for_the_app_to_make(self):
        engine = make_engine()
        entry = store(engine, GZIP)
        entry.add(("", "gzip"), Representation([], b"no gzip", "gzip", None))
        assert derive(engine, entry, ("", "")) is None

    def test_what_a_stored_form_decodes_to_counts_as_work(self):
        engine = make_engine()
        entry = store(engine, GZIP, document=DOCUMENT * 100)
        assert len(entry.all_forms[0].body) < size_to_derive(entry) == len(DOCUMENT) * 100

    def test_without_the_apps_own_form_there_is_nothing_to_make_it_of(self):
        engine = make_engine()
        entry = store(engine)
        entry.hold({(MSGPACK, ""): entry.all_forms[0]})
        assert derive(engine, entry, ("", "gzip")) is None
        assert size_to_derive(entry) == 0


class TestRequests:
    def test_several_lines_of_one_name_are_all_taken_out(self):
        engine = make_engine()
        plan = make_plan(engine, make_scope(headers=(GZIP, (b"accept-encoding", b"br"))))
        names = [name for name, _ in scope_for_app(engine, plan, AppCall())["headers"]]
        assert names == [b"host"]

    def test_json_is_accepted_on_behalf_of_a_client_of_messagepack(self):
        engine = make_engine()
        lines = ((b"accept", b"text/csv"), (b"accept", MSGPACK.encode()), (b"x", b"y"))
        plan = make_plan(engine, make_scope(headers=lines))
        fields = scope_for_app(engine, plan, AppCall())["headers"]
        assert fields[1] == (b"accept", b"text/csv")
        assert fields[2] == (b"accept", MSGPACK.encode() + b", application/json;q=0.001")

    @pytest.mark.parametrize(
        ("condition", "seen"),
        [
            (b"*", b"*"),
            (b'"1"', None),
            (b'"1-msgpack"', b'"1"'),
            (b'"1", "1-msgpack"', b'"1"'),
        ],
    )
    def test_a_condition_for_messagepack_is_by_its_own_tags_only(self, condition, seen):
        engine = make_engine()
        lines = ((b"accept", MSGPACK.encode()), (b"if-none-match", condition))
        plan = make_plan(engine, make_scope(headers=lines))
        assert dict(scope_for_app(engine, plan, AppCall())["headers"]).get(b"if-none-match") == seen

    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            pytest.param([(b"content-encoding", b"rot13")], 415, id="an unknown coding"),
            pytest.param([(b"content-encoding", b"gzip, br, gzip, br")], 400, id="too many"),
            pytest.param(
                [(b"content-encoding", b"gzip"), (b"content-length", b"10000001")], 413, id="long"
            ),
            pytest.param(
                [(b"content-type", MSGPACK.encode()), (b"content-length", b"2000001")],
                413,
                id="a long document",
            ),
            pytest.param([(b"content-encoding", b"gzip")], None, id="nothing wrong"),
        ],
    )
    def test_a_head_may_be_enough_to_refuse_a_request(self, lines, status):
        engine = make_engine()
        problem = why_refused(engine, make_plan(engine, make_scope("POST", headers=lines)))
        assert (problem and problem.status) == status

    @pytest.mark.parametrize(
        ("error", "status", "reason"),
        [
            (UnsupportedCoding("lzw"), 415, Reason.UNSUPPORTED_CODING),
            (OutputLimitExceeded("long"), 413, Reason.BODY_TOO_LARGE),
            (CodecError("bad"), 400, Reason.BAD_ENCODED_BODY),
            (FormatError("bad"), 400, Reason.BAD_FORMAT_BODY),
        ],
    )
    def test_each_fault_has_its_status(self, error, status, reason):
        problem = explain_refusal(make_engine(), error)
        assert (problem.status, problem.reason) == (status, reason)
        names = [name for name, _ in problem.fields]
        assert names == ([b"accept-encoding"] if status == 415 else [])

    def test_a_document_that_is_decoded_past_the_limit_is_refused(self):
        engine = make_engine(format_max_size=3)
        line = (b"content-type", MSGPACK.encode())
        reader = RequestBody(engine, make_plan(engine, make_scope("POST", headers=(line,))))
        reader.feed(b"\x94\x01\x02\x03\x04")
        with pytest.raises(OutputLimitExceeded, match="more than 3 bytes"):
            reader.finish()

    def test_no_body_is_no_document(self):
        engine = make_engine()
        line = (b"content-type", MSGPACK.encode())
        assert (
            RequestBody(engine, make_plan(engine, make_scope("POST", headers=(line,)))).finish()
            == b""
        )


class App:
    """What a framework's app is to the sharing: something that can be referred to weakly."""


class TestSharing:
    def test_litestar_has_one_engine_for_equal_settings(self):
        app = App()
        scope = {"app": app, "litestar_app": app}
        first = share(make_engine(), scope)
        assert share(make_engine(), scope) is first
        other = make_engine(min_size=1)
        assert share(other, scope) is other
        assert engines_of(app) == (first, other)

    def test_elsewhere_two_are_two(self):
        app = App()
        first, second = make_engine(), make_engine()
        assert share(first, {"app": app}) is first
        assert share(second, {"app": app}) is second

    def test_without_an_app_there_is_nothing_to_share_by(self):
        engine = make_engine()
        assert share(engine, {}) is engine
        assert engines_of(None) == ()

    def test_an_app_that_is_gone_is_forgotten(self):
        app = App()
        engine = share(make_engine(), {"app": app})
        reference = weakref.ref(app)
        del app
        assert reference() is None
        assert engine is not None

    def test_an_app_is_not_taken_for_one_whose_parts_are_gone(self):
        """A part that is made for whoever asks often gets the address of one before it."""

        class Part:
            __slots__ = tuple(f"attribute_{number}" for number in range(40))

        class Outside:
            @property
            def app(self):
                return Part()

        outer, engine = Starlette(routes=[Mount("/a", Outside())]), make_engine()
        register(engine, outer)
        assert engines_of(outer) == (engine,)
        assert engines_of(Outside()) == ()

    def test_an_app_without_weak_references_is_known_while_it_has_an_engine(self):
        class Slotted:
            __slots__ = ()

        app = Slotted()
        first, second = make_engine(), make_engine()
        register(first, app)
        register(second, app)
        assert engines_of(app) == (first, second)
        assert engines_of(Slotted()) == ()
        del first
        gc.collect()
        assert engines_of(app) == (second,)
        del second
        gc.collect()
        assert engines_of(app) == ()
        assert id(app) not in _HELD
