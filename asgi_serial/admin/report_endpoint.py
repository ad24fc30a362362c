"""The timing report over HTTP: for browsers, for terminals, and for programs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.admin.access import Refusal, read_head
from asgi_serial.admin.forms import FORM_TYPE
from asgi_serial.admin.page.document import (
    Rights,
    render_page,
    render_refusal,
    render_sign_in,
    render_signed_in,
)
from asgi_serial.admin.page.style import POLICY
from asgi_serial.admin.page.view import View, read_query, read_view
from asgi_serial.admin.report_actions import (
    Redirect,
    act,
    begin_session,
    has_one_token,
    make_link,
    may_purge,
    open_link,
    own_path,
    own_url,
    refuse_report,
)
from asgi_serial.admin.responses import VARY, respond
from asgi_serial.admin.state import engine_report
from asgi_serial.codecs.registry import coding_aliases
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.http.negotiation import choose_coding, choose_format
from asgi_serial.representation.problem import TITLES

if TYPE_CHECKING:
    from asgi_serial.admin.access import Head
    from asgi_serial.codecs.base import Codec
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Field, Message, Receive, Scope

TEXT, JSON, HTML = "text/plain", "application/json", "text/html"

_POLICY: tuple[Field, ...] = (
    (b"content-security-policy", POLICY.encode()),
    # Under `no-referrer` a form would say `Origin: null`, as one of another site may.
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ALLOW: Field = (b"allow", b"GET, HEAD, POST")


async def report_messages(engine: Engine, scope: Scope, receive: Receive) -> list[Message]:
    """Return the response to a request for the report, or to a form of its page."""
    head = read_head(scope)
    if head.method == "POST" and _is_form(head):
        done = await act(engine, head, receive)
        return _redirect(done) if isinstance(done, Redirect) else _explain(head, done, done.detail)
    query: bytes = scope.get("query_string") or b""
    refusal = refuse_report(engine, head)
    if refusal is None:
        if head.method in ("GET", "HEAD"):
            return await _report(engine, head, read_view(query))
        link = make_link(engine, head) if head.method == "POST" else None
        if link is not None:
            fields = ((b"location", link.encode()), VARY)
            return respond(201, b"text/plain", f"{link}\n".encode(), is_head=False, fields=fields)
        refusal = Refusal(405, "Use GET or HEAD.", (_ALLOW,))
    elif head.method == "GET" and (link := read_query(query).get("link", "")):
        if await open_link(engine, link):
            page = render_signed_in(own_path(scope))
            return _page(head, 200, page, (begin_session(engine, head),))
        return _explain(head, refusal, "This link has expired, or was used before.")
    return _explain(head, refusal)


def _is_form(head: Head) -> bool:
    # What has Authorization is a program's; a page of another site cannot send it unasked.
    content_type = head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return content_type == FORM_TYPE and b"authorization" not in head.fields


async def _report(engine: Engine, head: Head, view: View) -> list[Message]:
    """Return the report as the client prefers it: as a page, as text or as JSON."""
    settings = engine.settings
    media_type = _choose_type(head)
    accepted = head.fields.get(b"accept-encoding")
    coding = choose_coding(accepted, settings.codings, coding_aliases())
    rights = Rights(
        may_purge=may_purge(engine),
        purge_needs_token=not has_one_token(engine),
        has_session=settings.report_token is not None and b"authorization" not in head.fields,
    )
    codec = engine.negotiator.codecs[coding] if coding else None
    write = partial(_write, engine, media_type, codec, view, rights)
    # It takes up to a tenth of a second, which the requests of others should not wait for.
    body = await run_in_thread(write, engine.workers.encoders)
    fields: list[Field] = [VARY]
    if coding:
        fields.append((b"content-encoding", coding.encode()))
    if media_type == HTML:
        fields += _POLICY
    shown = media_type if media_type == JSON else f"{media_type}; charset=utf-8"
    return respond(200, shown.encode(), body, is_head=head.method == "HEAD", fields=fields)


def _write(
    engine: Engine, media_type: str, codec: Codec | None, view: View, rights: Rights
) -> bytes:
    report = engine_report(engine)
    if media_type == HTML:
        body = render_page(report.to_dict(), view, engine.clock(), rights)
    elif media_type == JSON:
        body = report.to_json()
    else:
        body = report.to_text().encode("utf-8", "replace")
    return body if codec is None else codec.compress(body)


def _choose_type(head: Head) -> str:
    """Return the media type that the client prefers: text for one that takes anything, as curl."""
    accept = head.fields.get(b"accept", b"")
    # A program that names JSON beside text, as `application/json, text/plain, */*`, reads JSON.
    offers = [(TEXT,), (HTML,), (JSON,)] if JSON.encode() in accept else [(HTML,), (JSON,)]
    first = JSON if JSON.encode() in accept else TEXT
    return choose_format(accept, first, tuple(offers)).media_type


def _redirect(done: Redirect) -> list[Message]:
    # RFC 9110, 15.4.4: 303 redirects to another resource, which the browser asks for by GET.
    fields = ((b"location", done.location.encode()), VARY, *done.fields)
    return respond(303, b"text/plain", b"", is_head=False, fields=fields)


def _explain(head: Head, refusal: Refusal, fault: str = "") -> list[Message]:
    """Return a refusal: as a page for browsers, which asks for a missing token, or as text.

    `fault` says what was wrong with the credentials that were given.
    """
    status, detail, fields = refusal
    if _choose_type(head) == HTML:
        if status == 401:
            page = render_sign_in(own_url(head), fault)
        else:
            page = render_refusal(TITLES[status], detail)
        return _page(head, status, page, fields)
    is_head = head.method == "HEAD"
    body = f"{detail}\n".encode()
    return respond(status, b"text/plain", body, is_head=is_head, fields=(VARY, *fields))


def _page(head: Head, status: int, page: bytes, fields: tuple[Field, ...]) -> list[Message]:
    content_type = f"{HTML}; charset=utf-8".encode()
    is_head = head.method == "HEAD"
    return respond(status, content_type, page, is_head=is_head, fields=(VARY, *_POLICY, *fields))
