"""Detection of clients that the scope identifies by more than the fields of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.types import Scope


def has_known_client(scope: Scope) -> bool:
    """Whether the server has the client's certificate, or an outer middleware has found a user.

    Source: ASGI's TLS extension: `client_cert_name`, `client_cert_chain`. Starlette, Litestar and
    Channels put an authenticated user into `user` and `auth`.
    """
    extensions = scope.get("extensions")
    if extensions and "tls" in extensions and _has_certificate(extensions["tls"]):
        return True
    return ("user" in scope and _is_somebody(scope["user"])) or (
        "auth" in scope and _allows_something(scope["auth"])
    )


def _has_certificate(tls: Mapping[str, object] | None) -> bool:
    return bool(tls and (tls.get("client_cert_name") or tls.get("client_cert_chain")))


def _is_somebody(user: object) -> bool:
    """Whether this is a user, or an object of an unknown kind, which may be one."""
    if user is None:
        return False
    try:
        return getattr(user, "is_authenticated", True) is not False
    except Exception:
        return True  # a lazy object that loads its user now, which is not always possible


def _allows_something(auth: object) -> bool:
    """Whether these are more than the credentials of an anonymous client."""
    if auth is None:
        return False
    try:
        return bool(getattr(auth, "scopes", True))
    except Exception:
        return True
