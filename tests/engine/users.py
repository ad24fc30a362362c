"""A site whose answers say whose they are, and what a user of it may be told."""

import asyncio
import json
import re
from email.utils import formatdate
from typing import Any, NamedTuple

from asgi_serial import set_policy

from .client import Answer

AUTHORIZATION, COOKIE, NOTHING = "authorization", "cookie", ""
BADGE = "x-badge"  # of which no cache knows that it names a user
APART = "c"  # the path whose responses are kept for each user; only there badges count
EPOCH_SECONDS = 1_700_000_000
TAG = re.compile(r'(?:W/)?"([abc])\.(\d+)\.(\d+)\.(\w*)')
PART = re.compile(rb"bytes (\d+)-(\d+)/(\d+)")


class User(NamedTuple):
    """Somebody whom the site knows by one field of the request."""

    name: str
    field: str = ""

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The lines of a request that say who it is."""
        return ((self.field, self.name),) if self.field else ()

    @property
    def kind(self) -> str:
        """Which kind of credentials that is to a cache; an API key counts as a cookie does."""
        if self.field in (NOTHING, BADGE):
            return NOTHING
        return AUTHORIZATION if self.field == AUTHORIZATION else COOKIE


USERS = (
    User("anybody"),
    *(User(name, "authorization") for name in ("alice", "bob")),
    *(User(name, "cookie") for name in ("carol", "dave")),
    *(User(name, "x-api-key") for name in ("erin", "frank")),
    *(User(name, BADGE) for name in ("gina", "henry")),
)


def user_of(path: str, fields: dict[str, str]) -> User:
    """Whom the site takes a request for."""
    known = [user for user in USERS if user.field and fields.get(user.field) == user.name]
    return next((user for user in known if path == APART or user.field != BADGE), USERS[0])


def name_of(scope: Any) -> str | None:
    """What tells the users apart; None for nobody in particular."""
    fields = {name.decode(): value.decode() for name, value in scope["headers"]}
    user = user_of(APART, fields)
    return user.name if user.field else None


class Manner(NamedTuple):
    """How one path is answered since its last change."""

    epoch: int
    directives: str = ""
    is_personal: bool = True  # what it says depends on the user
    tag: str = ""  # "row": of the version, as a weak one; "own": of the very bytes
    is_dated: bool = False
    varies: bool = False  # on the language
    sets_cookie: bool = False
    status: int = 200

    @property
    def said(self) -> dict[str, str]:
        """The directives with their arguments."""
        parts = (part.strip().partition("=") for part in self.directives.split(","))
        return {name: argument for name, _, argument in parts if name}

    def is_unstored(self, *, shared: bool, strips_cookies: bool = False) -> bool:
        """Whether no cache may keep it that is one user's, or `shared` by all.

        `strips_cookies`: it may be kept without the cookie that it sets, if it is meant to be.
        """
        is_private = shared and self.said.get("private") == ""
        is_meant = not {"max-age", "s-maxage", "public"}.isdisjoint(self.said)
        is_kept_without = strips_cookies and is_meant
        sets_cookie = self.sets_cookie and not is_kept_without
        return sets_cookie or is_private or "no-store" in self.said

    def lifetime(self, otherwise: float) -> float:
        """For how many seconds it is fresh; `otherwise`: where it does not say."""
        said = self.said
        return float(said.get("s-maxage") or said.get("max-age") or otherwise)

    def allows(self, kind: str) -> bool:
        """Whether it is for others, too, though its request had credentials of this kind."""
        said = self.said
        if kind == NOTHING or "public" in said:
            return True
        is_fresh_once = self.lifetime(0) > 0 and "no-cache" not in said
        is_meant = "s-maxage" in said or "must-revalidate" in said
        return kind == AUTHORIZATION and is_meant and is_fresh_once


class Call(NamedTuple):
    """One whole answer of the site."""

    path: str
    user: User
    manner: Manner
    version: int
    language: str
    asked: float
    body: bytes


class Failure(Exception):
    """The site's own."""


class Site:
    """An app that knows its users, and remembers what it has told them."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.manners: dict[str, Manner] = {}
        self.tells_apart = False  # its handler says what tells users apart
        self.versions: dict[str, int] = {}
        self.seen = ""
        self.trouble = ""  # "raises", or the status of an error
        self.calls: list[Call] = []
        # What was said of a version without telling it again: how many calls were before, when.
        self.confirmed: dict[tuple[str, int, int], tuple[int, float]] = {}
        self.events = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by the state of this moment, when the gate is open."""
        fields = {name.decode(): value.decode() for name, value in scope["headers"]}
        # What clients add without being asked, which shows in the answer.
        cookie = fields.get("cookie", "")
        self.seen = scope["query_string"].decode() + cookie * cookie.startswith("_ga")
        status, lines, body = self._answer(scope["method"], scope["path"][1:], fields)
        await self.gate.wait()
        if status is None:
            raise Failure
        pairs = [(name.encode(), value.encode()) for name, value in lines.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    def _answer(
        self, method: str, path: str, fields: dict[str, str]
    ) -> tuple[int | None, dict[str, str], bytes]:
        if method in ("PUT", "POST"):
            return self._write(method, path)
        if self.trouble:
            status = None if self.trouble == "raises" else int(self.trouble)
            return status, {"content-type": "application/json"}, b'"trouble"'
        return self._read(method, path, fields)

    def _write(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """A PUT makes a new version of its path, a POST of another one as well, which it names."""
        self.versions[path] += 1
        if method == "PUT":
            return 204, {}, b""
        other = next(name for name in self.versions if name != path)
        self.versions[other] += 1
        return 201, {"location": f"/{other}", "content-type": "application/json"}, b"{}"

    def _read(
        self, method: str, path: str, fields: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        manner, version = self.manners[path], self.versions[path]
        user = user_of(path, fields)
        if path == APART and self.tells_apart:
            set_policy(cache_partition=name_of)
        language = fields.get("accept-language", "") if manner.varies else ""
        lines = self._lines(path, user, language, fields)
        is_held = manner.status == 200 and _is_held(fields, lines)
        self.events += 1
        if is_held or method == "HEAD":
            self.confirmed[path, manner.epoch, version] = (self.events, self.clock())
        if is_held:
            return 304, lines, b""
        whose = user.name if manner.is_personal else "everybody"
        document = {
            **{"path": path, "epoch": manner.epoch, "version": version, "language": language},
            **{"owner": whose, "padding": f"{whose} " * 90, "seen": self.seen},
        }
        body = json.dumps(document).encode()
        if method == "GET":
            self.calls.append(Call(path, user, manner, version, language, self.clock(), body))
            # What only comes with a body tells which answer a stored one is.
            lines["x-call"] = str(len(self.calls) - 1)
            lines["x-event"] = str(self.events)
        return manner.status, lines, body

    def _lines(
        self, path: str, user: User, language: str, fields: dict[str, str]
    ) -> dict[str, str]:
        manner, version = self.manners[path], self.versions[path]
        lines = {"content-type": "application/json", "x-owner": user.name}
        lines["x-request-id"] = fields.get("x-request-id", "")
        if manner.directives:
            lines["cache-control"] = manner.directives
        if manner.tag:
            whose = user.name if manner.is_personal and manner.tag == "own" else ""
            seen = self.seen.encode().hex()
            tag = f'"{path}.{manner.epoch}.{version}.{whose}.{language}.{seen}"'
            lines["etag"] = tag if manner.tag == "own" else f"W/{tag}"
        if manner.is_dated:
            seconds = EPOCH_SECONDS + 1000 * manner.epoch + version
            lines["last-modified"] = formatdate(seconds, usegmt=True)
        if manner.varies:
            lines["vary"] = "Accept-Language"
        if manner.sets_cookie:
            lines["set-cookie"] = f"session={user.name}"
        if "origin" in fields:
            # As apps do that tell other origins only, and say nothing in Vary.
            lines["access-control-allow-origin"] = fields["origin"]
        return lines


def _is_held(fields: dict[str, str], lines: dict[str, str]) -> bool:
    if "if-none-match" in fields:
        return lines.get("etag", "no tag") in fields["if-none-match"]
    return "last-modified" in lines and fields.get("if-modified-since") == lines["last-modified"]


def parts_of(answer: Answer) -> list[tuple[int, int, int, bytes]]:
    """The parts that a 206 has: the first byte's place, the last's, the whole length, the bytes."""
    boundary = (answer.one("content-type") or "").partition("boundary=")[2].encode()
    if not boundary:
        found = PART.fullmatch((answer.one("content-range") or "").encode())
        assert found is not None
        return [(int(found[1]), int(found[2]), int(found[3]), answer.body)]
    parts = []
    for piece in answer.body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        found = PART.search(head)
        assert found is not None
        parts.append((int(found[1]), int(found[2]), int(found[3]), content[:-2]))
    return parts
