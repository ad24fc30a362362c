"""Fields that describe a body, that select it, and that are the app's own business."""

import base64
import gzip
import hashlib
import os

import pytest

from .driver import Request, Whole, ask, awaited, serial_of
from .scripts import COMPRESSING, DOCUMENT, FRESH_JSON, JSON
from .variants import KNOWN_LENGTH, every_shape, variants_as, wanting

GZIP = ("application/json", "gzip")


@pytest.mark.parametrize("cached", [False, True], ids=["without the cache", "with it"])
@variants_as("variant")
@awaited
async def test_digests_are_of_the_bytes_that_are_sent(cached, variant):
    """RFC 9530: over the content with its coding; other algorithms are left out."""
    digest = base64.b64encode(hashlib.sha256(DOCUMENT).digest()).decode()
    value = f"sha-256=:{digest}:"
    digests = {"content_digest": value, "repr_digest": f"{value}, md5=:AAAA:", "digest": "md5=AA"}
    app = Whole(DOCUMENT, cache_control="max-age=60", **digests, **JSON, **KNOWN_LENGTH)
    serial = serial_of(app, cache=cached)
    for _ in range(2):
        answer = await ask(serial, wanting(variant))
        sent = base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
        assert answer.one("content-digest") == f"sha-256=:{sent}:"
        if variant != ("application/json", ""):
            assert answer.one("repr-digest") == f"sha-256=:{sent}:"
            assert answer.all("digest") == []


@awaited
async def test_digests_of_a_stream_are_left_out():
    app = Whole(DOCUMENT, pieces=3, content_digest="sha-256=:AAAA:", **JSON)
    answer = await ask(serial_of(app), COMPRESSING)
    assert answer.coding == "gzip"
    assert answer.all("content-digest") == []


@every_shape
@variants_as("variant")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Cookie", ["accept", "accept-encoding", "cookie"]),
        ("Accept-Encoding", ["accept", "accept-encoding"]),
        ("ACCEPT, origin,Accept", ["accept", "accept-encoding", "origin"]),
        ("*", ["*"]),
        ("origin, *", ["*"]),
        ("", ["accept", "accept-encoding"]),
    ],
)
@awaited
async def test_vary_is_merged(shape, variant, given, expected):
    """RFC 9110, 12.5.5: one line, every member once; `*` says all."""
    app = Whole(DOCUMENT, vary=given, **shape, **FRESH_JSON)
    serial = serial_of(app)
    for _ in range(2):
        for method in ("GET", "HEAD"):
            assert (await ask(serial, wanting(variant, method))).vary == expected


@awaited
async def test_lines_of_vary_are_merged():
    app = Whole(DOCUMENT, **JSON)
    app.fields += [(b"vary", b"origin"), (b"vary", b"accept"), (b"Vary", b"cookie")]
    expected = ["accept", "accept-encoding", "cookie", "origin"]
    for request in (Request(), COMPRESSING):
        assert (await ask(serial_of(app), request)).vary == expected


@pytest.mark.parametrize(
    ("fields", "size", "expected"),
    [
        ({"content_type": "text/html"}, 4000, ["accept-encoding"]),
        ({"content_type": "application/problem+json"}, 4000, ["accept-encoding"]),
        ({"content_type": "application/json"}, 100, ["accept"]),
        ({"content_type": "text/html"}, 100, []),
        ({"content_type": "image/png"}, 4000, []),
        ({"content_type": "text/html", "content_encoding": "unknown"}, 4000, []),
        ({"content_type": "text/html", "cache_control": "no-transform"}, 4000, []),
        ({}, 4000, []),
    ],
    ids=[
        "text varies by coding",
        "a problem keeps its format",
        "small JSON varies by format",
        "small text does not vary",
        "an image does not",
        "nor what is encoded",
        "nor what may not be transformed",
        "nor what has no type",
    ],
)
@awaited
async def test_vary_says_only_what_could_differ(fields, size, expected):
    """And the same to every client, whatever it gets itself."""
    app = Whole(DOCUMENT[:size], content_length=str(min(size, len(DOCUMENT))), **fields)
    for request in (Request(), wanting(GZIP), wanting(("application/vnd.msgpack", "br"))):
        assert (await ask(serial_of(app), request)).vary == expected


@pytest.mark.parametrize("status", [206, 204, 304, 205])
@variants_as("variant")
@awaited
async def test_responses_without_a_whole_body_keep_what_they_say(status, variant):
    parts = {"content_range": f"bytes 0-9/{len(DOCUMENT)}", "content_length": "10"}
    fields = parts if status == 206 else {}
    content = DOCUMENT[:10] if status == 206 else b""
    app = Whole(content, status=status, etag='"v1"', cache_control="max-age=60", **fields, **JSON)
    serial = serial_of(app)
    for calls in (1, 2):
        answer = await ask(serial, wanting(variant).having(range="bytes=0-9"))
        assert (answer.status, answer.body, answer.coding) == (status, content, "")
        assert set(app.fields) - {(b"vary", b"")} <= set(answer.fields)
        assert app.calls == (calls if status in (206, 304) else 1)


@awaited
async def test_a_range_reaches_the_app_where_nothing_is_stored():
    app = Whole(DOCUMENT, **FRESH_JSON)
    await ask(serial_of(app), Request().having(range="bytes=0-9", if_range='"v1"'))
    headers = dict(app.scopes[-1]["headers"])
    assert headers[b"range"] == b"bytes=0-9"
    assert headers[b"if-range"] == b'"v1"'


@pytest.mark.parametrize("pieces", [1, 3], ids=["whole", "streamed"])
@pytest.mark.parametrize("by", ["the app", "the client"])
@variants_as("variant")
@awaited
async def test_no_transform_forbids_both(pieces, by, variant):
    said = {"cache_control": "max-age=60, no-transform"} if by == "the app" else {}
    app = Whole(DOCUMENT, pieces=pieces, etag='"v1"', **said, **JSON)
    request = wanting(variant)
    if by == "the client":
        request = request.having(cache_control="no-transform")
    answer = await ask(serial_of(app), request)
    assert (answer.body, answer.coding, answer.media_type) == (DOCUMENT, "", "application/json")
    assert answer.one("etag") == '"v1"'


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@awaited
async def test_only_what_gets_smaller_is_compressed(coding):
    noise = os.urandom(2000)
    app = Whole(noise, content_type="text/plain", etag='"v1"', cache_control="max-age=60")
    serial = serial_of(app)
    for _ in range(2):
        answer = await ask(serial, wanting(("*/*", coding)))
        assert (answer.coding, answer.body, answer.one("etag")) == ("", noise, '"v1"')
        assert answer.vary == ["accept-encoding"]


@every_shape
@variants_as("variant")
@awaited
async def test_repeated_fields_keep_their_order(shape, variant):
    app = Whole(DOCUMENT, **shape, **FRESH_JSON)
    app.fields += [(b"link", b"</b>"), (b"x-one", b"1"), (b"link", b"</a>"), (b"link", b"</b>")]
    serial = serial_of(app)
    for _ in range(2):
        answer = await ask(serial, wanting(variant))
        assert answer.all("link") == [b"</b>", b"</a>", b"</b>"]
        order = [name for name, _ in answer.fields if name in (b"link", b"x-one")]
        assert order == [b"link", b"x-one", b"link", b"link"]


@awaited
async def test_what_the_app_has_encoded_is_not_encoded_again():
    """It goes to every client alike, as it would without the middleware."""
    app = Whole(gzip.compress(DOCUMENT), content_encoding="gzip", **FRESH_JSON)
    serial = serial_of(app)
    for request in (Request(), wanting(GZIP), wanting(("application/vnd.msgpack", "br"))):
        answer = await ask(serial, request)
        assert (answer.coding, answer.body, answer.content) == ("gzip", app.content, DOCUMENT)
    assert app.calls == 1
