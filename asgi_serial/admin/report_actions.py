"""Actions of a reader of the report: sign in and out, make a link that works once, and purge."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from asgi_serial.admin.access import COOKIE_NAME, SESSION, Refusal, refuse_access
from asgi_serial.admin.forms import read_form
from asgi_serial.admin.purge_request import build_purges, purge_stored
from asgi_serial.admin.sessions import (
    LINK_SECONDS,
    SESSION_SECONDS,
    expiry_of,
    is_same_text,
    is_valid,
    issue,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.admin.access import Head
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Field, Receive, Scope

LINK = "link"

_KINDS = {"tag": "tags", "uri": "uris", "prefix": "prefixes"}
_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")


class Redirect(NamedTuple):
    """An action that was carried out: where the browser goes on."""

    location: str
    fields: tuple[Field, ...] = ()


def refuse_report(engine: Engine, head: Head) -> Refusal | None:
    """Return why a request may not see the report; None if it may."""
    return refuse_access(
        head,
        engine.settings.report_token,
        setting="report_token",
        realm="timing report",
        now=engine.clock(),
    )


def make_link(engine: Engine, head: Head) -> str | None:
    """Return a link that signs a browser in once; None if the report has no token."""
    token = engine.settings.report_token
    if token is None:
        return None
    link = issue(token.get_secret_value(), LINK, engine.clock(), LINK_SECONDS)
    return f"{own_url(head)}?link={link}"


def own_url(head: Head) -> str:
    """Return the URL of a request as its client knows it; the path alone, if the Host is odd."""
    host = head.fields.get(b"host", b"")
    is_plain = _HOST.fullmatch(host) is not None
    origin = f"{'https' if _is_https(head) else 'http'}://{host.decode()}" if is_plain else ""
    return f"{origin}{own_path(head.scope)}"


async def open_link(engine: Engine, link: str) -> bool:
    """Whether a link is valid, and is used for the first time.

    Processes that share a second level tell each other by it which links were used. Without one, or
    if it does not answer, each process knows only those that were used in it.
    """
    token = engine.settings.report_token
    now = engine.clock()
    if token is None or not is_valid(link, token.get_secret_value(), LINK, now):
        return False
    if not engine.spent_links.spend(link, expiry_of(link), now):
        return False
    store = engine.responses.store
    key = f"link-{sha256(link.encode()).hexdigest()[:40]}"
    return store is None or await store.add(key, b"1", ttl=LINK_SECONDS) is not False


def begin_session(engine: Engine, head: Head) -> Field:
    """Return the field that gives a browser the cookie of a session."""
    token = engine.settings.report_token
    assert token is not None  # only a token lets one begin a session
    value = issue(token.get_secret_value(), SESSION, engine.clock(), SESSION_SECONDS)
    return _cookie(head, value, SESSION_SECONDS)


def _cookie(head: Head, value: str, seconds: int) -> Field:
    # RFC 6265bis, 4.1.2: the cookie goes to this path alone, never along with a request that
    # another site has caused, and no script can read it.
    parts = [
        f"{COOKIE_NAME.decode()}={value}",
        f"Path={own_path(head.scope)}",
        f"Max-Age={seconds}",
        "HttpOnly",
        "SameSite=Strict",
        *(["Secure"] if _is_https(head) else []),
    ]
    return b"set-cookie", "; ".join(parts).encode("latin-1")


def _is_https(head: Head) -> bool:
    # A proxy that ends TLS says so in this field; a client that invents it harms only itself.
    given = head.fields.get(b"x-forwarded-proto", b"").strip().lower()
    return head.scope.get("scheme") == "https" or given == b"https"


def own_path(scope: Scope) -> str:
    """Return the path of a request as a URI has it."""
    return quote(scope["path"], safe="/!$&'()*+,=:@~")


def may_purge(engine: Engine) -> bool:
    """Whether the page offers to purge: only if purging over HTTP is on at all."""
    return engine.settings.purge_path is not None and engine.settings.cache


def has_one_token(engine: Engine) -> bool:
    """Whether the token of the report permits to purge as well, since they are the same."""
    report, purge = engine.settings.report_token, engine.settings.purge_token
    if report is None or purge is None:
        return False
    return is_same_text(report.get_secret_value(), purge.get_secret_value())


async def act(engine: Engine, head: Head, receive: Receive) -> Redirect | Refusal:
    """Carry out what a form of the page asks for."""
    if not head.is_same_origin:
        return Refusal(403, "This form was not sent by the page of the report.")
    form = await read_form(receive)
    action, path = form.get("action", ""), own_path(head.scope)
    if action == "sign-in":
        return _sign_in(engine, head, form.get("token", ""))
    refusal = refuse_report(engine, head)
    if refusal is not None:
        return refusal
    if action == "sign-out":
        return Redirect(path, (_cookie(head, "", 0),))
    if action in ("purge", "purge-everything") and may_purge(engine):
        return Redirect(f"{path}?done={await _purge(engine, form, action)}#message")
    return Refusal(400, "The form does not say what to do.")


def _sign_in(engine: Engine, head: Head, given: str) -> Redirect | Refusal:
    token = engine.settings.report_token
    if token is None:
        return Refusal(400, "The report has no token.")
    if not is_same_text(given.strip(), token.get_secret_value()):
        return Refusal(401, "This is not the token.")
    return Redirect(own_path(head.scope), (begin_session(engine, head),))


async def _purge(engine: Engine, form: Mapping[str, str], action: str) -> str:
    """Purge, and return the word for what came of it."""
    token = engine.settings.purge_token
    assert token is not None  # Settings.load refuses a purge_path without a purge_token
    given = form.get("token", "").strip()
    if not has_one_token(engine) and not is_same_text(given, token.get_secret_value()):
        return "refused"
    value = form.get("value", "").strip()
    kind = _KINDS.get(form.get("kind", ""))
    try:
        if action == "purge-everything":
            purges = build_purges({"everything": True}, engine.clock())
        elif kind is None or not value:
            return "wrong"
        else:
            purges = build_purges({kind: [value]}, engine.clock())
    except ValueError:
        return "wrong"
    return "purged" if await purge_stored(engine, purges) else "not-told"
