"""Conditions between a client that knows the tags of variants and an app that knows its own."""

from dataclasses import replace
from typing import Any

import pytest

from .driver import Clock, Request, Whole, ask, awaited, serial_of
from .scripts import DOCUMENT, JSON, LARGE, body_of, start_of
from .variants import KNOWN_LENGTH, VARIANTS, variants_as, wanting

UNCACHED = {"cache": False}


class Conditional:
    """An app that answers conditions by its own tag, and keeps what it was asked."""

    def __init__(self, tag: str = '"v1"', **fields: str) -> None:
        self.tag = tag
        self.fields = fields
        self.conditions: list[bytes | None] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope["headers"])
        condition = given.get(b"if-none-match", given.get(b"if-match"))
        self.conditions.append(condition)
        held = [one.strip() for one in (condition or b"").decode().split(",")]
        status, fields = 200, {**JSON, **self.fields}
        if self.tag in held or f"W/{self.tag}" in held:
            status = 304 if b"if-none-match" in given else 200
            fields = self.fields if status == 304 else fields
        elif b"if-match" in given:
            status = 412
        content = DOCUMENT if status == 200 else b""
        if content:
            fields = {**fields, **KNOWN_LENGTH}
        await send(start_of(status, etag=self.tag, **fields))
        await send(body_of(content))


@pytest.mark.parametrize("settings", [{}, UNCACHED], ids=["with the cache", "without"])
@variants_as("variant")
@awaited
async def test_304_from_the_app_carries_the_clients_tag(settings, variant):
    app = Conditional()
    serial = serial_of(app, **settings)
    whole = await ask(serial, wanting(variant))
    tag = whole.one("etag")
    for method in ("GET", "HEAD"):
        answer = await ask(serial, wanting(variant, method).having(if_none_match=tag))
        assert (answer.status, answer.body) == (304, b"")
        assert (answer.one("etag"), answer.vary) == (tag, whole.vary)
        assert app.conditions[-1] == b'"v1"'


@variants_as("variant", "held")
@awaited
async def test_the_tag_of_another_variant_is_no_tag_of_the_apps(variant, held):
    """But for the own bytes of its format, which a client may get where coding does not pay."""
    app = Conditional()
    serial = serial_of(app, **UNCACHED)
    tag = (await ask(serial, wanting(held))).one("etag")
    answer = await ask(serial, wanting(variant).having(if_none_match=tag))
    if held == (variant[0], ""):
        assert (answer.status, answer.one("etag")) == (304, tag)
    else:
        assert (answer.status, answer.media_type, answer.coding) == (200, *variant)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"v1-gzip"', 304),
        ('W/"v1-gzip"', 304),
        ('"a", "v1-gzip", "b"', 304),
        ('"a,b" , W/"v1-gzip"', 304),
        ('"v1-br"', 200),
        ('"v1-msgpack-gzip"', 200),
        ('"v1-gzip-gzip"', 200),
        ('"v2-gzip"', 200),
        ("nonsense", 200),
        ("", 200),
    ],
)
@pytest.mark.parametrize("settings", [{}, UNCACHED], ids=["with the cache", "without"])
@awaited
async def test_lists_of_tags(settings, condition, status):
    serial = serial_of(Conditional(), **settings)
    request = wanting(("application/json", "gzip")).having(if_none_match=condition)
    assert (await ask(serial, request)).status == status


@pytest.mark.parametrize(
    "tag",
    ['"v1-gzip"', '"v1-identity"', 'W/"v1-br"', '"-gzip"', '"a-gzip-identity"', '"a,b"', '""'],
)
@variants_as("variant")
@awaited
async def test_tags_of_the_app_that_look_like_ours(tag, variant):
    """They never meet a tag of another variant, and are found again in a condition."""
    app = Whole(DOCUMENT, etag=tag, **JSON, **KNOWN_LENGTH)
    serial = serial_of(app, **UNCACHED)
    tags = [(await ask(serial, wanting(one))).one("etag") for one in VARIANTS]
    assert len({one.removeprefix("W/") for one in tags}) == len(VARIANTS)
    shown = tags[VARIANTS.index(variant)]
    request = wanting(variant).having(if_none_match=shown)
    answer = await ask(serial, request)
    assert (answer.status, answer.one("etag")) == (304, shown)
    assert dict(app.scopes[-1]["headers"])[b"if-none-match"].removeprefix(b"W/") == (
        tag.removeprefix("W/").encode()
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
@variants_as("variant")
@awaited
async def test_if_match_reaches_the_app_as_its_own_tag(method, variant):
    """What the client read in any form is the state that it means to change."""
    app = Conditional()
    serial = serial_of(app)
    tag = (await ask(serial, wanting(variant))).one("etag")
    assert (await ask(serial, Request(method).having(if_match=tag))).status == 200
    assert app.conditions[-1] == b'"v1"'
    assert (await ask(serial, Request(method).having(if_match='"v0-gzip"'))).status == 412


@awaited
async def test_if_none_match_of_any_stops_a_write():
    app = Conditional()
    await ask(serial_of(app), Request("PUT").having(if_none_match="*"))
    assert app.conditions == [b"*"]


@awaited
async def test_a_date_is_asked_only_where_no_tag_is():
    """RFC 9110, 13.1.3: If-Modified-Since is ignored beside If-None-Match."""
    modified = "Sun, 06 Nov 1994 08:49:37 GMT"
    app = Whole(DOCUMENT, last_modified=modified, cache_control="max-age=60", etag='"v1"', **JSON)
    serial = serial_of(app)
    await ask(serial, Request())
    since = Request().having(if_modified_since=modified)
    earlier = Request().having(if_modified_since="Sun, 06 Nov 1994 08:49:36 GMT")
    assert (await ask(serial, since)).status == 304
    assert (await ask(serial, earlier)).status == 200
    assert (await ask(serial, since.having(if_none_match='"v0"'))).status == 200
    assert (await ask(serial, earlier.having(if_none_match='"v1"'))).status == 304
    assert app.calls == 1


@awaited
async def test_a_response_that_is_no_200_answers_no_condition():
    app = Whole(DOCUMENT, status=404, cache_control="max-age=60", etag='"v1"', **JSON)
    serial = serial_of(app)
    for _ in range(2):
        answer = await ask(serial, Request().having(if_none_match='"v1"'))
        assert (answer.status, answer.document is None) == (404, False)


@pytest.mark.parametrize("pieces", [1, 3], ids=["whole", "streamed"])
@awaited
async def test_an_own_form_that_the_client_holds_is_not_sent(pieces):
    """The app need not know of conditions for it; what it sends after the start is dropped."""
    app = Whole(DOCUMENT, pieces=pieces, etag='"v1"', set_cookie="a=b", **JSON, **KNOWN_LENGTH)
    answer = await ask(serial_of(app), Request().having(if_none_match='"v1"'))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.all("set-cookie") == [b"a=b"]


@awaited
async def test_a_condition_is_no_reason_to_store_nothing():
    """The client gets its 304, the next one a hit."""
    app = Whole(LARGE[:3000], etag='"v1"', cache_control="max-age=60", content_type="text/css")
    serial = serial_of(app, clock=Clock())
    answer = await ask(serial, Request().having(if_none_match='"v1"'))
    assert (answer.status, answer.body) == (304, b"")
    answer = await ask(serial, Request())
    assert (answer.status, answer.cached, answer.body) == (200, "hit", app.content)


@pytest.mark.parametrize("tag", ["v1", "'v1'", '"v1', 'w/"v1"', "*"])
@variants_as("variant")
@awaited
async def test_what_is_no_tag_matches_nothing(tag, variant):
    """RFC 9110, 8.8.3: an ETag without its quotes names no representation, and so not another."""
    app = Whole(DOCUMENT, etag=tag, cache_control="max-age=60", **JSON, **KNOWN_LENGTH)
    for settings in ({}, UNCACHED):
        serial = serial_of(app, **settings)
        for _ in range(3):
            request = wanting(variant)
            request = request if tag == "*" else request.having(if_none_match=tag)
            answer = await ask(serial, request)
            assert (answer.status, answer.media_type, answer.coding) == (200, *variant)


async def compares_weakly(scope: Any, receive: Any, send: Any) -> None:
    """Evaluates If-None-Match as Starlette's StaticFiles does."""
    tag = scope["path"].removeprefix("/")
    held = dict(scope["headers"]).get(b"if-none-match", b"").decode()
    fields = {"etag": tag, "content_type": "application/json", "cache_control": "max-age=60"}
    if tag.removeprefix("W/") in [one.strip(" W/") for one in held.split(",")]:
        await send(start_of(304, **fields))
        await send(body_of())
    else:
        await send(start_of(**fields, **KNOWN_LENGTH))
        await send(body_of(DOCUMENT))


async def compares_nothing(scope: Any, receive: Any, send: Any) -> None:
    await compares_weakly({**scope, "headers": []}, receive, send)


@pytest.mark.parametrize("settings", [{}, UNCACHED], ids=["with the cache", "without"])
@pytest.mark.parametrize("app", [compares_weakly, compares_nothing])
@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"', 'W/"v1-gzip"'])
@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', '"other", W/{0}'])
@variants_as("variant")
@awaited
async def test_a_304_has_the_tag_of_a_200(variant, form, tag, app, settings):
    """RFC 9110, 15.4.5, whoever says it: If-None-Match is compared weakly (13.1.2)."""
    request = replace(wanting(variant), path=f"/{tag}")
    whole = (await ask(serial_of(app, **settings), request)).one("etag")
    condition = request.having(if_none_match=form.format(whole.removeprefix("W/")))
    serial = serial_of(app, **settings)
    first = await ask(serial, condition)
    await ask(serial, request)
    again = await ask(serial, condition)
    for answer in (first, again):
        assert answer.status == 304
        # Only its client knows whether an encoded form of a strong tag was streamed.
        is_told = app is compares_weakly and (answer is first or settings is UNCACHED)
        weak = "W/" if is_told and variant != VARIANTS[0] and "W/" in form else ""
        assert answer.one("etag") == (whole if whole.startswith("W/") else weak + whole)
