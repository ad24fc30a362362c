"""Signed values that stand for a token for a while: session cookies, and links that work once."""

from __future__ import annotations

import hmac
import secrets
from threading import Lock

SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 120
LONGEST_BYTES = 200
"""A value that is longer was not made here, and is not looked at."""

_MAX_SPENT = 1000


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
    return now < int(content.partition(".")[0])


def _sign(token: str, purpose: str, content: str) -> str:
    return hmac.new(token.encode(), f"{purpose}.{content}".encode(), "sha256").hexdigest()


class SpentLinks:
    """The links of this process that were used, until they expire.

    Only valid links get here, so nobody without the token can fill it. If it is full, a link is
    refused rather than used twice.
    """

    def __init__(self) -> None:
        self._expiries: dict[str, int] = {}
        self._lock = Lock()

    def spend(self, link: str, now: float) -> bool:
        """Note the use of a valid link; return whether it is the first one."""
        with self._lock:
            for spent in [each for each, expires in self._expiries.items() if expires <= now]:
                del self._expiries[spent]
            if link in self._expiries or len(self._expiries) >= _MAX_SPENT:
                return False
            self._expiries[link] = int(link.partition(".")[0])
            return True
