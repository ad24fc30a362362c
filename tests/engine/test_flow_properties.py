"""Whatever a response is and however it is cut, it is one response, and the same."""

import json

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.reasons import Reason
from asgi_serial.response.flow import Done
from tests.engine.making import (
    EVENTS,
    FRESH,
    HTML,
    JSON,
    MSGPACK,
    PICTURE,
    TAG,
    WANTS_MSGPACK,
    body,
    content_of,
    decoded,
    fields_of,
    finish_jobs,
    length_of,
    make_engine,
    make_flow,
    start,
)

HINT = {"type": "http.response.early_hint", "links": []}


KINDS = {"json": JSON, "html": HTML, "events": EVENTS, "picture": PICTURE, "none": (b"x-a", b"b")}
CODINGS = st.sampled_from([(), (b"gzip",), (b"br",), (b"zstd",), (b"deflate",)])
STEPS = st.sampled_from(["", "", "", "wait", "release", "lose", "hint"])
SMALL = make_engine(whole_limit=2000, min_size=50, cache_max_object=5000, codings="zstd,br,gzip")


@given(
    kind=st.sampled_from(sorted(KINDS)),
    coding=CODINGS,
    wants_msgpack=st.booleans(),
    fresh=st.booleans(),
    tagged=st.booleans(),
    declared=st.booleans(),
    strings=st.lists(st.text(max_size=40), max_size=80),
    cuts=st.lists(st.tuples(st.integers(0, 4000), STEPS), max_size=5),
)
def test_the_client_gets_what_the_app_has_made(
    kind, coding, wants_msgpack, fresh, tagged, declared, strings, cuts
):
    """However a body is cut, and whatever comes between, it is one response, and the same."""
    document = json.dumps(strings).encode()
    headers = [(b"accept-encoding", value) for value in coding]
    headers += [WANTS_MSGPACK] * wants_msgpack
    first = start(KINDS[kind], *[FRESH] * fresh, *[TAG] * tagged)
    first["headers"] += [length_of(document)] * declared
    flow = make_flow(SMALL, *headers)
    out = finish_jobs(flow, flow.begin(first))
    place, has_left = 0, False
    for cut, step in sorted(cuts):
        cut = max(place, min(cut, len(document)))
        out += finish_jobs(flow, flow.feed(body(document[place:cut], more=True)))
        out += finish_jobs(flow, _take(flow, step))
        had_all = flow.is_over  # by its Content-Length
        place, has_left = cut, has_left or (step == "lose" and not had_all)
    out += finish_jobs(flow, flow.feed(body(document[place:])))

    assert [one["type"] for one in out].count("http.response.start") == 1
    parts = [one for one in out[1:] if one["type"] == "http.response.body"]
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]
    fields = fields_of(out)
    content = decoded(SMALL, [out[0], *parts])
    if fields.get(b"content-type") == MSGPACK.encode():
        assert msgpack.unpackb(content) == strings
    else:
        assert content == document
    if b"content-length" in fields:
        assert int(fields[b"content-length"]) == len(content_of(parts))
    if not flow.passes:
        assert flow.state is Done
        assert flow.sizes()[::2] == (len(document), len(content_of(parts)))
    if flow.entry is not None:
        assert fresh
        assert not has_left
        variant = (flow.entry.negotiates[0] and wants_msgpack and MSGPACK) or ""
        kept = flow.entry.find((variant, flow.coding)) or flow.entry.find((variant, _named(coding)))
        assert kept.body == content_of(parts)


def _named(coding):
    return coding[0].decode() if coding and coding[0] != b"deflate" else ""


def _take(flow, step):
    match step:
        case "wait":
            return flow.wait_for_client()
        case "release":
            return flow.release(Reason.INCOMPLETE)
        case "lose":
            return flow.lose_client()
        case "hint":
            return flow.feed(HINT)
    return []
