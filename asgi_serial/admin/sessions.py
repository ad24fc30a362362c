"""Signed values that stand for a token for a while: session cookies, and links that work once."""

from __future__ import annotations

import hmac
import secrets

from asgi_serial.http.access import MAX_CREDENTIALS_BYTES

SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 120
LONGEST_BYTES = 200
"""A value that is longer was not made here, and is not looked at."""


def issue(token: str, purpose: str, now: float, seconds: float) -> str:
    """Return a value that shows for `seconds` from `now` that its holder knew the token.

    It is the time at which it expires, a random part, and the HMAC of both with the token as key:
    other processes with the same token accept it, and a new token ends it.
    """
    content = f"{int(now + seconds)}.{secrets.token_urlsafe(18)}"
    return f"{content}.{_sign(token, purpose, content)}"


def is_valid(value: str, token: str, purpose: str, now: float) -> bool:
    """Whether `issue` made this value for the same token and purpose, and it has not expired."""
    if len(value) > LONGEST_BYTES or not value.isascii():
        return False
    content, _, signature = value.rpartition(".")
    if not hmac.compare_digest(signature, _sign(token, purpose, content)):
        return False
    return now < expiry_of(value)


def _sign(token: str, purpose: str, content: str) -> str:
    return hmac.new(token.encode(), f"{purpose}.{content}".encode(), "sha256").hexdigest()


def expiry_of(value: str) -> int:
    """Return the time at which a valid value expires."""
    return int(value.partition(".")[0])


def is_same_text(given: str, secret: str) -> bool:
    """Whether a text is the secret one; it is compared in constant time, and not if too long."""
    if len(given) > MAX_CREDENTIALS_BYTES:
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
