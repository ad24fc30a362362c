"""Parse the URL of a store, and show it without its secrets."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from asgi_serial.errors import ConfigurationError

_REDIS_PORT, _MEMCACHED_PORT = 6379, 11211
_SCHEMES = {
    "memory": "memory",
    "redis": "redis",
    "rediss": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    "memcached": "memcached",
}
_EXPECTED = (
    "memory://, redis://[[user]:password@]host[:port][/database], the same with rediss:// "
    "(TLS), valkey:// or valkeys:// (TLS), or memcached://host[:port]"
)


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")
# A password may contain the characters that end a host. So nothing is shown of a URL in which an
# "@" follows them.
_SHOWN = re.compile(
    rf"(?P<scheme>{_SCHEME.pattern})://"
    r"(?:(?P<user>[^/?#]*)@)?(?P<host>[A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?P<port>:[^/?#@]*)?(?P<path>/[^?#@]*)?(?P<rest>[?#][^@]*)?",
    re.DOTALL,
)
_DATABASE = re.compile(r"/[0-9]{0,5}/?")


class StoreAddress(NamedTuple):
    """The parts of a store's URL; `kind` is `memory`, `redis` or `memcached`."""

    kind: str
    host: str = ""
    port: int = 0
    database: int = 0
    username: str | None = None
    password: str | None = None
    is_encrypted: bool = False

    def __repr__(self) -> str:
        hidden = self._replace(username=self.username and "***", password=self.password and "***")
        return f"StoreAddress{tuple(hidden)!r}"


def parse_store_url(url: str) -> StoreAddress:
    """Return the parts of a URL.

    >>> parse_store_url("redis://:secret@cache.example/2").port
    6379

    Raises: ConfigurationError, which shows only the scheme, the host, the port and the database.
    """
    try:
        parts = urlsplit(url)
        port, kind = parts.port, _SCHEMES.get(parts.scheme)
    except ValueError:
        # The original message repeats a part of the URL, which may be a password.
        raise _fault(url, "has an invalid host or port") from None
    if kind is None or "://" not in url:
        raise _fault(url, "has no known scheme")
    if parts.query or parts.fragment:
        raise _fault(url, "has a query or a fragment; pass your own client for further options")
    if kind == "memory":
        if parts.netloc or parts.path:
            raise _fault(url, "has more than its scheme")
        return StoreAddress(kind)
    if not parts.hostname or port == 0:
        raise _fault(url, "has no host, or the port 0")
    if kind == "memcached":
        return _memcached_address(url, parts, port)
    return _redis_address(url, parts, port)


def _memcached_address(url: str, parts: SplitResult, port: int | None) -> StoreAddress:
    if parts.username is not None or parts.path not in ("", "/"):
        raise _fault(url, "has a user or a path, which Memcached does not have")
    return StoreAddress("memcached", str(parts.hostname), port or _MEMCACHED_PORT)


def _redis_address(url: str, parts: SplitResult, port: int | None) -> StoreAddress:
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit() and len(database) < 6):
        raise _fault(url, "has a path that is not the number of a database")
    return StoreAddress(
        "redis",
        str(parts.hostname),
        port or _REDIS_PORT,
        int(database),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        is_encrypted=parts.scheme in ("rediss", "valkeys"),
    )


def _fault(url: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"the store's URL {shown_store_url(url)!r} {what}; expected {_EXPECTED}."
    )


def shown_store_url(url: str) -> str:
    """Return the URL for logs, with only its scheme, host, port and database.

    Everything else may be a secret.

    >>> shown_store_url("redis://user:p@ss@cache.example:6379/0?password=secret")
    'redis://***@cache.example:6379/0?***'
    >>> shown_store_url("redis://user:secret")
    'redis://user:***'
    """
    parts = _SHOWN.fullmatch(url)
    if parts is None:
        # A value that is not a URL may be a password in the wrong place.
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://***" if separator and _SCHEME.fullmatch(scheme) else "***"
    user, port, path = parts["user"], parts["port"], parts["path"]
    shown = [f"{parts['scheme']}://", "***@" * (user is not None), parts["host"]]
    if port is not None:
        shown.append(port if port[1:].isdecimal() and port.isascii() else ":***")
    if path:
        shown.append(path if _DATABASE.fullmatch(path) else "/***")
    return "".join(shown) + "?***" * (parts["rest"] is not None)
