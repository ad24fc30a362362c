"""Decide who may use an endpoint of the middleware's own: the one rule for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.admin.sessions import is_valid
from asgi_serial.http.access import has_bearer_token, is_from_this_machine, is_same_origin
from asgi_serial.http.headers import read_fields
from asgi_serial.http.users import find_cookie

if TYPE_CHECKING:
    from pydantic import SecretStr

    from asgi_serial.types import Fields, Scope

COOKIE_NAME = b"asgi_serial_session"
SESSION = "session"

_WANTED = frozenset(
    {
        *(b"accept", b"accept-encoding", b"authorization", b"content-type", b"cookie"),
        *(b"host", b"origin", b"sec-fetch-site", b"x-forwarded-proto"),
    }
)


class Refusal(NamedTuple):
    """A request that is not carried out."""

    status: int
    detail: str
    fields: tuple[tuple[bytes, bytes], ...] = ()


class Head(NamedTuple):
    """The head of a request for an endpoint."""

    scope: Scope
    pairs: Fields
    fields: dict[bytes, bytes]

    @property
    def method(self) -> str:
        """The method."""
        return str(self.scope["method"])

    @property
    def is_same_origin(self) -> bool:
        """Whether a page of this host has sent the request."""
        fields = self.fields
        return is_same_origin(
            fields.get(b"host", b""), fields.get(b"origin"), fields.get(b"sec-fetch-site")
        )


def read_head(scope: Scope) -> Head:
    """Read the head of a request; its fields may be an iterator that gives them once."""
    pairs = list(scope["headers"])
    return Head(scope, pairs, read_fields(pairs, _WANTED))


def refuse_access(
    head: Head, token: SecretStr | None, *, setting: str, realm: str, now: float | None = None
) -> Refusal | None:
    """Return why a request may not use an endpoint; None if it may.

    With a `token`, the request must carry it in Authorization or, if `now` is given, a session
    cookie that was issued for it. Without one, the request must come from this machine. `setting`
    is the name of the token's setting, for the message to others.

    A token is asked for on this machine, too: a proxy that runs beside the app makes the requests
    of all its clients from here, and need not say so.
    """
    if token is None:
        if is_from_this_machine(head.scope.get("client"), head.pairs):
            return None
        return Refusal(
            403,
            "Without a token, this answers only requests from the same machine that are made to "
            f"localhost and have passed no proxy. Set {setting} to allow others.",
        )
    secret = token.get_secret_value()
    if has_bearer_token(head.fields.get(b"authorization", b""), secret.encode()):
        return None
    if now is not None and has_session(head, secret, now):
        return None
    challenge = (b"www-authenticate", f'Bearer realm="{realm}"'.encode())
    return Refusal(401, "A valid Bearer token is required.", (challenge,))


def has_session(head: Head, secret: str, now: float) -> bool:
    """Whether a request has the cookie of a session that was begun with this token."""
    cookie = find_cookie(head.fields.get(b"cookie", b""), COOKIE_NAME)
    return cookie is not None and is_valid(cookie.decode("latin-1"), secret, SESSION, now)


def path_within(scope: Scope) -> str:
    """Return the path of a request below the place where the app is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path") or "")
