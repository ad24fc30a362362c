"""The rewriting of a document, as a table."""

import copy

import pytest

from asgi_serial.openapi.contents import Offer, extend_content, extend_document

BOTH = Offer(gives=True, takes=True)


@pytest.mark.parametrize(
    ("declared", "listed"),
    [
        pytest.param(
            ["application/json"],
            ["application/json", "application/vnd.msgpack", "application/cbor"],
            id="JSON becomes every other format",
        ),
        pytest.param(
            ["application/json; charset=utf-8"],
            ["application/json; charset=utf-8", "application/vnd.msgpack", "application/cbor"],
            id="parameters do not matter",
        ),
        pytest.param(
            ["text/html", "application/json"],
            ["text/html", "application/json", "application/vnd.msgpack", "application/cbor"],
            id="another type stays",
        ),
        pytest.param(
            ["application/json", "application/x-msgpack"],
            ["application/json", "application/x-msgpack", "application/cbor"],
            id="a format under another of its names is there already",
        ),
        pytest.param(
            ["application/x-msgpack"],
            ["application/x-msgpack", "application/json"],
            id="MessagePack becomes JSON",
        ),
        pytest.param(
            ["application/cbor"], ["application/cbor", "application/json"], id="CBOR becomes JSON"
        ),
        pytest.param(["application/problem+json"], ["application/problem+json"], id="a suffix"),
        pytest.param(["text/event-stream"], ["text/event-stream"], id="an event stream"),
        pytest.param([""], [""], id="an unknown type, as Litestar has for files"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_media_types_are_added_in_the_order_of_preference(declared, listed):
    content = {media_type: {"schema": media_type} for media_type in declared}
    extended = extend_content(content)
    assert list(extended) == listed
    assert list(content) == declared
    assert list(extend_content(extended)) == listed
    assert all(extended[name]["schema"] in declared for name in listed)


def in_json(schema):
    return {"content": {"application/json": {"schema": schema}}}


DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/a": {
            "summary": "a path",
            "parameters": [in_json(1)],
            "get": {"responses": {"200": in_json(1), "204": {"description": "-"}, "default": None}},
            "post": {
                "requestBody": in_json(2),
                "responses": {"200": {"$ref": "#/components/responses/A"}, "404": in_json(3)},
            },
        },
        "/b": {"$ref": "#/paths/~1a"},
        "x-extension": True,
    },
    "webhooks": {"new": {"post": {"requestBody": in_json(4)}}},
    "components": {"responses": {"A": in_json(5)}},
}


@pytest.mark.parametrize(
    ("offer", "extended"),
    [
        (BOTH, {1, 2, 3}),
        (Offer(gives=True, takes=False), {1, 3}),
        (Offer(gives=False, takes=True), {2}),
        (Offer(gives=False, takes=False), set()),
    ],
)
def test_only_responses_and_bodies_of_operations_are_extended(offer, extended):
    before = copy.deepcopy(DOCUMENT)
    asked = []

    def find_offer(method, path):
        asked.append((method, path))
        return offer

    after = extend_document(DOCUMENT, find_offer)
    assert before == DOCUMENT
    assert asked == [("GET", "/a"), ("POST", "/a")]
    assert {content["schema"] for content in contents_in(after, "application/cbor")} == extended
    for name in ("openapi", "webhooks", "components"):
        assert after[name] is DOCUMENT[name]
    assert extend_document(after, find_offer) == after


def contents_in(part, media_type):
    if isinstance(part, dict):
        for name, value in part.items():
            if name == media_type:
                yield value
            else:
                yield from contents_in(value, media_type)
    elif isinstance(part, list):
        for value in part:
            yield from contents_in(value, media_type)


@pytest.mark.parametrize("document", [{}, {"paths": None}, {"paths": {}}, {"openapi": "3.1.0"}])
def test_a_document_without_paths_stays_as_it_is(document):
    assert extend_document(document, lambda method, path: BOTH) == document
