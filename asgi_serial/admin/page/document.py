"""The page as a whole: its head, its landmarks, and the order of its sections."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from asgi_serial.admin.page.html import Child, Html, tag
from asgi_serial.admin.page.overview import show_overview, show_recommendations
from asgi_serial.admin.page.parts import bounded, section
from asgi_serial.admin.page.routes import show_routes
from asgi_serial.admin.page.style import ICON, STYLE
from asgi_serial.admin.page.system import show_cost, show_settings, show_store, show_versions
from asgi_serial.admin.page.traffic import show_bytes, show_cache, show_reasons, show_slowest
from asgi_serial.admin.page.view import MESSAGES, REFRESHES, View


class Rights(NamedTuple):
    """The actions that the page offers to its reader."""

    may_purge: bool = False
    purge_needs_token: bool = True
    has_session: bool = False


_SECTIONS = (
    ("recommendations", "Recommendations"),
    ("routes", "Routes"),
    ("bytes", "Bodies"),
    ("cache", "Cache"),
    ("reasons", "Reasons"),
    ("slowest", "Slowest"),
    ("store", "Caches"),
    ("cost", "Cost"),
    ("purge", "Purge"),
    ("settings", "Settings"),
    ("versions", "Versions"),
)

_NO_RIGHTS = Rights()


def render_page(
    report: Mapping[str, Any], view: View, now: float, rights: Rights = _NO_RIGHTS
) -> bytes:
    """Return the page for a report (`Report.to_dict`); keys that it lacks are left out."""
    totals = report["totals"]
    sections: list[Html | None] = [
        show_recommendations(report["recommendations"]),
        show_routes(report, view),
        tag("div", show_bytes(totals), show_cache(totals), class_="pair"),
        show_reasons(totals),
        show_slowest(report.get("slowest")),
        tag("div", show_store(report), show_cost(report.get("cost")), class_="pair"),
        _purge(rights) if rights.may_purge else None,
        show_settings(report.get("settings")),
        show_versions(report.get("versions")),
    ]
    shown = "".join(filter(None, sections))
    links = [(id_, title) for id_, title in _SECTIONS if f'<section id="{id_}"' in shown]
    return document(
        "Timing report",
        tag("a", "Skip to the figures", href="#content", class_="skip"),
        _header(report, view, now, links),
        tag(
            "main",
            _message(view.done),
            show_overview(report, view),
            Html(shown),
            id="content",
        ),
        _footer(rights),
        refresh=str(view.refresh) if view.refresh else None,
    )


def document(title: str, *body: Child, refresh: str | None = None) -> bytes:
    """Return an HTML document in our style; `refresh` is the content of its meta tag."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="robots", content="noindex"),
        None if refresh is None else tag("meta", http_equiv="refresh", content=refresh),
        tag("title", title),
        tag("link", rel="icon", href=ICON),
        tag("style", Html(STYLE)),
    )
    page = f"<!doctype html>{tag('html', head, tag('body', body), lang='en')}\n"
    return page.encode("utf-8", "replace")


def _header(
    report: Mapping[str, Any], view: View, now: float, links: list[tuple[str, str]]
) -> Html:
    moment = datetime.fromtimestamp(now, UTC)
    shown = tag(
        "time",
        f"{moment.day} {moment:%B %Y, %H:%M:%S} UTC",
        datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    )
    choices: list[Child] = [
        tag(
            "a",
            f"{seconds} s" if seconds else "off",
            href=view.link(refresh=seconds),
            aria_current="true" if seconds == view.refresh else None,
        )
        for seconds in (0, *REFRESHES)
    ]
    return tag(
        "header",
        tag("div", tag("h1", "Timing report"), tag("p", [*_counted(report), shown])),
        tag("nav", "Refresh every ", choices, class_="choice", aria_label="Refresh"),
        tag(
            "nav",
            tag("ul", [tag("li", tag("a", title, href=f"#{id_}")) for id_, title in links]),
            class_="sections",
            aria_label="Sections",
        ),
    )


def _counted(report: Mapping[str, Any]) -> list[Child]:
    processes = report.get("processes")
    if not processes:
        return []
    pids = processes.get("pids") or []
    counted = bounded(processes.get("counted", ""))
    if len(pids) == 1:
        counted = f"{counted}, pid {pids[0]}"
    elif pids:
        counted = f"{counted} ({len(pids)})"
    note = processes.get("note")
    return ["Figures of ", counted, f", {bounded(note)}" if note else None, " · "]


def _message(done: str) -> Html | None:
    if not done:
        return None
    is_good, words = MESSAGES[done]
    class_ = "message" if is_good else "message bad"
    return tag("section", words, class_=class_, role="status", aria_label="Message", id="message")


def _purge(rights: Rights) -> Html:
    options = [
        tag("option", words, value=value)
        for value, words in (
            ("tag", "a tag"),
            ("uri", "a path or URI"),
            ("prefix", "all that begins with"),
        )
    ]
    token = (
        tag(
            "div",
            tag("label", "Purge token", for_="purge-token"),
            tag(
                "input",
                id="purge-token",
                name="token",
                type="password",
                autocomplete="off",
                required=True,
            ),
        )
        if rights.purge_needs_token
        else None
    )
    return section(
        "purge",
        "Purge stored responses",
        tag(
            "form",
            tag(
                "div",
                tag("label", "Drop", for_="purge-kind"),
                tag("select", options, id="purge-kind", name="kind"),
            ),
            tag(
                "div",
                tag("label", "Name", for_="purge-value"),
                tag("input", id="purge-value", name="value", autocomplete="off", maxlength=1000),
            ),
            token,
            tag("button", "Purge", name="action", value="purge"),
            tag(
                "button", "Purge everything", name="action", value="purge-everything", class_="bad"
            ),
            method="post",
        ),
    )


def _footer(rights: Rights) -> Html:
    leave = tag("form", tag("button", "Sign out", name="action", value="sign-out"), method="post")
    return tag(
        "footer",
        tag(
            "p",
            "The same report as text: ask with curl. As JSON: ask with Accept: application/json.",
        ),
        leave if rights.has_session else None,
    )


def render_sign_in(url: str, fault: str = "") -> bytes:
    """Return the page that asks a browser for the token; `fault` is about the one it has sent."""
    wrong = tag("p", fault, role="alert") if fault else None
    return document(
        "Timing report: sign in",
        tag(
            "main",
            section(
                "sign-in",
                "Sign in to the timing report",
                wrong,
                tag(
                    "form",
                    # Password managers want a name beside the password.
                    tag(
                        "input",
                        name="username",
                        value="timing report",
                        autocomplete="username",
                        hidden=True,
                    ),
                    tag(
                        "div",
                        tag("label", "The report's token", for_="token"),
                        tag(
                            "input",
                            id="token",
                            name="token",
                            type="password",
                            autocomplete="current-password",
                            required=True,
                            autofocus=True,
                        ),
                    ),
                    tag("button", "Sign in", name="action", value="sign-in"),
                    method="post",
                ),
                tag("p"),
                tag(
                    "p",
                    "Or make a link that works once, and open what it prints:",
                    tag("br"),
                    tag("code", f"curl -X POST -H 'Authorization: Bearer TOKEN' '{bounded(url)}'"),
                    class_="note",
                ),
            ),
            class_="sign",
            id="content",
        ),
    )


def render_signed_in(path: str) -> bytes:
    """Return the page that leads on from a link that works once.

    It leads there by itself, since a browser that came from another site would not send a
    SameSite=Strict cookie along with a redirect (RFC 6265bis, 5.2).
    """
    return document(
        "Timing report: signed in",
        tag(
            "main",
            section(
                "signed-in",
                "You are signed in",
                tag("p", tag("a", "Open the timing report", href=path)),
            ),
            class_="sign",
            id="content",
        ),
        refresh=f"0; url={path}",
    )


def render_refusal(title: str, detail: str) -> bytes:
    """Return the page that says why there is nothing to see."""
    return document(
        f"Timing report: {title.lower()}",
        tag("main", section("refusal", title, tag("p", detail)), class_="sign", id="content"),
    )
