"""Where a store is, read from a URL."""

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


class StoreAddress(NamedTuple):
    """The parts of a store's URL; `kind` is `memory`, `redis` or `memcached`."""

    kind: str
    host: str = ""
    port: int = 0
    database: int = 0
    username: str | None = None
    password: str | None = None
    is_encrypted: bool = False


def parse_store_url(url: str) -> StoreAddress:
    """Give the parts of a URL.

    Raises: ConfigurationError, which shows neither user, password nor query.

    >>> parse_store_url("redis://:secret@cache.example/2").port
    6379
    """
    try:
        parts = urlsplit(url)
        port, kind = parts.port, _SCHEMES.get(parts.scheme)
    except ValueError as error:
        raise _fault(url, "has a host or a port that can not be read") from error
    if kind is None or "://" not in url:
        raise _fault(url, "has no known scheme")
    if parts.query or parts.fragment:
        raise _fault(url, "has a query or a fragment; hand over a client of your own for more")
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
        raise _fault(url, "has a user or a path, which Memcached does not know")
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
    """Give a URL that may be logged: without user, password, query, or what may be one.

    >>> shown_store_url("redis://user:p@ss@cache.example:6379/0?password=secret")
    'redis://***@cache.example:6379/0?***'
    >>> shown_store_url("redis://user:secret")
    'redis://user:***'
    """
    scheme, separator, _ = url.partition("://")
    if not (separator and scheme.isalnum()):
        scheme = separator = ""
    _, at, place = url.removeprefix(scheme + separator).rpartition("@")
    place, question, _ = place.replace("#", "?").partition("?")
    host, slash, path = place.partition("/")
    name, colon, port = host.rpartition(":")
    if colon and not (port.isdigit() or port.endswith("]")):
        host = f"{name}:***"
    hidden = "***@" if at else ""
    return f"{scheme}{separator}{hidden}{host}{slash}{path}{'?***' if question else ''}"
