"""The field that explains one response to its developer: what was done to it, and what was not."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from asgi_serial.asgi.exchange import Exchange
from asgi_serial.asgi.refresh import start_refresh
from asgi_serial.caching.serving import serve
from asgi_serial.engine.cache_status import field_behind
from asgi_serial.http.headers import read_fields
from asgi_serial.http.structured import Token, format_item
from asgi_serial.http.targeted import forbid_storing
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import plan_request
from asgi_serial.response.start import START_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asgi_serial.cache.entry import Entry, Representation
    from asgi_serial.caching.serving import Answer
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.flow import ResponseFlow
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send

WHY = b"asgi-serial-why"
_TYPE = frozenset({b"content-type"})
_COLLAPSED = {"collapsed": True}


async def serve_explained(
    engine: Engine, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a request as any other, and explain its response."""
    plan = plan_request(engine, scope)
    exchange = Exchange(engine, plan, receive, send, perf_counter())
    exchange.send_out = Explaining(exchange, exchange.send_out).send
    served = None
    if plan.key is not None:
        found = engine.responses.find(plan.key, plan)
        served = serve(engine, plan, found, plan.asked)
    if (served is not None or plan.may_end_early) and await exchange.answer_without_app(served):
        if exchange.lookup is not None and exchange.lookup.refreshes is not None:
            start_refresh(app, exchange, exchange.lookup.refreshes)
        return
    await exchange.run(app)


class Explaining:
    """Adds the explanation to the start of a response on its way to the client.

    It comes after everything else, so that it is never stored here. It is for this client only, and
    no cache on the way may keep it.
    """

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send

    async def send(self, message: Message) -> None:
        """Send a message of the response."""
        if message["type"] == START_TYPE:
            value = ", ".join(explain(self._exchange)).encode()
            # RFC 9111, 5.2.2.5: no-store: a cache must not store any part of the response.
            fields = [*forbid_storing(message.get("headers", ())), (WHY, value)]
            message = {**message, "headers": fields}
        await self._send(message)


def explain(exchange: Exchange) -> list[str]:
    """Return the members of the field, once the response of an exchange has started.

    Each has a subject, and either what was done to it or the reason why it was not.

    Source: RFC 9651, 3.1: a list, here of tokens with parameters.
    """
    plan = exchange.plan
    if exchange.refusal is not None:
        return [_not("request", exchange.refusal.reason)]
    members = _of_body(plan)
    answered = None if exchange.lookup is None else exchange.lookup.answered
    if answered is not None:
        return [*members, *_of_hit(exchange.engine, plan, answered)]
    if exchange.served == "stale":
        entry = plan.forward.stored
        assert entry is not None  # it is what was sent
        form = plan.forward.form or entry.all_forms[0]
        first = _did("cache", Token("stale"), why=Token(Reason.STALE_IF_ERROR.token))
        return [*members, first, *_of_form(form, entry)]
    members.append(_of_cache(exchange))
    if exchange.delivery is not None:
        return [*members, *_of_flow(exchange.engine, exchange.delivery.flow)]
    reasons = exchange.reasons
    if not exchange.engine.names_variants:
        reasons = (*reasons, Reason.TURNED_OFF)
    return [*members, *_of_storage(plan, reasons), *_of_content("", "", reasons)]


def _did(subject: str, done: str | int | Token, **more: str | int | Token) -> str:
    return format_item(subject, {"did": done, **more})


def _not(subject: str, reason: Reason, **more: str | int | Token) -> str:
    return format_item(subject, {"not": Token(reason.token), **more})


def _of_body(plan: RequestPlan) -> list[str]:
    """Explain what was done to the body of the request."""
    done = [_did("decoding", Token(coding)) for coding in plan.content_codings]
    if plan.body_format:
        done.append(_did("decoding", Token(plan.body_format)))
    return [*done, *[_not("decoding", reason) for reason in plan.undecoded]]


def _of_hit(engine: Engine, plan: RequestPlan, answered: Answer) -> list[str]:
    _, _, entry, why, form = answered
    ttl = int(entry.expires - engine.clock())
    more = _COLLAPSED if plan.forward.waited else {}
    if why is Reason.HIT:
        first = _did("cache", Token("hit"), ttl=ttl, **more)
    else:
        first = _did("cache", Token("stale"), why=Token(why.token), ttl=ttl, **more)
    return [first, *_of_form(form, entry)]


def _of_form(form: Representation, entry: Entry) -> list[str]:
    """Explain the stored form that was sent."""
    sent, made = (
        read_fields(fields, _TYPE).get(b"content-type") for fields in (form.fields, entry.fields)
    )
    media_type = "" if sent is None or sent == made else sent.decode("latin-1")
    return _of_content(media_type, form.coding, form.reasons)


def _of_cache(exchange: Exchange) -> str:
    """Explain why the app was called."""
    plan = exchange.plan
    why = plan.bypass or plan.forward.reason
    more = _COLLAPSED if plan.forward.waited else {}
    if not plan.caching:
        return _not("cache", Reason.CACHE_TURNED_OFF)
    if exchange.served == "validated":
        return _did("cache", Token("validated"), why=Token(why.token))
    return _not("cache", why, **_field_of(plan, why), **more)


def _field_of(plan: RequestPlan, reason: Reason) -> dict[str, str | int | Token]:
    """Return the parameter that names the request field behind a reason, if there is one."""
    name = field_behind(plan, reason)
    return {} if name is None else {"field": name.decode("ascii")}


def _of_flow(engine: Engine, flow: ResponseFlow) -> list[str]:
    plan, entry = flow.request, flow.entry
    reasons = flow.plan.reasons + flow.more_reasons
    if Reason.NOT_ACCEPTABLE in reasons:
        return [_not("request", Reason.NOT_ACCEPTABLE)]
    storage: list[str] = []
    if flow.unstored is not None:
        storage = [_not("storage", flow.unstored, **_field_of(plan, flow.unstored))]
    elif entry is not None:
        storage = [_did("storage", Token("stored"), ttl=int(entry.expires - engine.clock()))]
    elif flow.collector is not None:
        storage = [_did("storage", Token("collected"))]  # it is stored once it is complete
    return [*storage, *_of_content(flow.media_type, flow.coding, reasons)]


def _of_storage(plan: RequestPlan, reasons: Iterable[Reason]) -> list[str]:
    """Explain why a response that passes is not stored."""
    if not plan.caching:
        return []
    about = [reason for reason in reasons if reason.about in ("storage", "cache")]
    return [_not("storage", reason, **_field_of(plan, reason)) for reason in about[-1:]]


def _of_content(media_type: str, coding: str, reasons: Iterable[Reason]) -> list[str]:
    """Explain the format and the coding of the content."""
    shown = [reason for reason in reasons if reason.about in ("format", "coding", "content")]
    subjects = {reason.about for reason in shown}
    members = []
    if media_type:
        members.append(_did("format", media_type))
    elif subjects.isdisjoint(("format", "content")):
        members.append(_not("format", Reason.CLIENT_TAKES_OWN_FORMAT))
    if coding:
        members.append(_did("coding", Token(coding)))
    return [*members, *[_not(reason.about, reason) for reason in shown]]
