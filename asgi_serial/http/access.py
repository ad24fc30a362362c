"""Rules about who may see what is not meant for the public: a token, or the machine itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address

from asgi_serial.types import Field

MAX_CREDENTIALS_BYTES = 4096
"""A longer Authorization, Origin or Host is not read: no token that can be configured needs it."""

# RFC 8586, 2: a CDN adds CDN-Loop to each request.
_PROXY_NAMES = frozenset({b"forwarded", b"via", b"x-real-ip", b"cdn-loop", b"x-amzn-trace-id"})
_PROXY_PREFIXES = (b"x-forwarded", b"x-original-", b"x-envoy-", b"cf-")
_PROXY_ENDS = (b"client-ip", b"clientip")

# RFC 3986, 3.2.2 and 3.2.3: a host, possibly in brackets, and a port.
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::([0-9]{0,5}))?", re.ASCII)


def has_bearer_token(authorization: bytes, token: bytes) -> bool:
    """Whether an Authorization value carries the Bearer token.

    >>> has_bearer_token(b"bearer secret", b"secret"), has_bearer_token(b"Basic secret", b"secret")
    (True, False)

    Source: RFC 9110, 11.1: the scheme is case-insensitive.
    """
    scheme, _, given = authorization.partition(b" ")
    # Compared in constant time, whatever the scheme.
    return has_token(given, token) and scheme.lower() == b"bearer"


def has_token(given: bytes, token: bytes) -> bool:
    """Whether a value is the token, compared in constant time."""
    return len(given) <= MAX_CREDENTIALS_BYTES and compare_digest(given.strip(b" "), token)


def is_from_this_machine(client: object, pairs: Iterable[Field]) -> bool:
    """Whether a request was made on this machine, to this machine, and passed no proxy.

    `client` is the address in the scope. The Host has to be a name of loopback as well, since a
    page on the web can let its own name resolve to 127.0.0.1 (DNS rebinding). A page of another
    origin is refused, too, as its scripts read what a CORS middleware lets them.
    """
    if not (isinstance(client, list | tuple) and client and is_loopback_address(client[0])):
        return False
    hosts = []
    for name, value in pairs:
        spelt = name.lower().replace(b"_", b"-")
        if spelt in _PROXY_NAMES or spelt.startswith(_PROXY_PREFIXES):
            return False
        if spelt.endswith(_PROXY_ENDS):
            return False
        if spelt == b"host":
            hosts.append(value)
        elif spelt == b"origin" and not _is_loopback_origin(value):
            return False
    return len(hosts) == 1 and is_loopback_host(hosts[0])


def is_loopback_address(address: object) -> bool:
    """Whether this is an address of loopback, in IPv4, IPv6, or IPv4 within IPv6.

    >>> [is_loopback_address(each) for each in ("127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "x")]
    [True, True, False, False]
    """
    if not isinstance(address, str):
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # Python before 3.13 does not look at the IPv4 address within.
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def is_loopback_host(value: bytes) -> bool:
    """Whether a Host names this machine: localhost, a name below it, or an address of loopback.

    >>> [is_loopback_host(each) for each in (b"localhost:8000", b"[::1]", b"example.org")]
    [True, True, False]

    Source: RFC 6761, 6.3: names that end in localhost resolve to loopback.
    """
    parsed = _AUTHORITY.fullmatch(value) if len(value) <= MAX_CREDENTIALS_BYTES else None
    if parsed is None:
        return False
    host = parsed[1].lower().decode("latin-1").removesuffix(".")
    return (
        host == "localhost" or host.endswith(".localhost") or is_loopback_address(host.strip("[]"))
    )


def _is_loopback_origin(value: bytes) -> bool:
    scheme, separator, authority = value.partition(b"://")
    return bool(separator) and scheme in (b"http", b"https") and is_loopback_host(authority)


def is_same_origin(host: bytes, origin: bytes | None, fetch_site: bytes | None) -> bool:
    """Whether a form was sent by a page of the host that receives it.

    The scheme is not compared: behind a proxy that ends TLS, the server knows only http. Without
    both fields it is unknown who has sent it, and the answer is no.

    >>> is_same_origin(b"a.example", b"https://a.example", b"same-origin")
    True
    >>> is_same_origin(b"a.example", b"null", None), is_same_origin(b"a.example", None, None)
    (False, False)

    Source: RFC 6454, 7: a user agent sends Origin with requests that are not safe. W3C Fetch
    Metadata, 2.3: `same-origin` says that the page has the origin of the URL that it requests.
    """
    if fetch_site is not None and fetch_site != b"same-origin":
        return False
    if origin is None:
        return fetch_site is not None
    if len(origin) > MAX_CREDENTIALS_BYTES:
        return False
    scheme, separator, authority = origin.partition(b"://")
    is_web = bool(separator) and scheme in (b"http", b"https")
    return is_web and bool(host) and authority.lower() == host.lower()
