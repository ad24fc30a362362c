"""Parse the URL of a store, and show it without its secrets."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from asgi_serial.errors import ConfigurationError

_PORTS = {"redis": 6379, "sentinel": 26379, "cluster": 6379, "memcached": 11211}

# The kind of address by scheme, and whether the connections are encrypted.
_SCHEMES = {"memory": ("memory", False), "memcached": ("memcached", False), "unix": ("unix", False)}
for _name in ("redis", "valkey"):
    _SCHEMES[f"{_name}+unix"] = ("unix", False)
    for _kind, _suffix in (("redis", ""), ("sentinel", "+sentinel"), ("cluster", "+cluster")):
        _SCHEMES[f"{_name}{_suffix}"] = (_kind, False)
        _SCHEMES[f"{_name}s{_suffix}"] = (_kind, True)

_AT = "[[user]:password@]host[:port]"
_EXPECTED = {
    "redis": f"redis://{_AT}[/database], or the same with rediss:// (TLS), valkey:// or valkeys://",
    "unix": "unix://[[user]:password@]/path/of/socket[?db=database]",
    "sentinel": f"redis+sentinel://{_AT},host[:port]/name of the master[/database], or the same "
    "with rediss+sentinel:// (TLS)",
    "cluster": f"redis+cluster://{_AT},host[:port], or the same with rediss+cluster:// (TLS)",
    "memcached": "memcached://host[:port]",
    "memory": "memory://",
}
_ANY_EXPECTED = (
    "memory://, redis://, rediss:// (TLS), valkey://, valkeys:// (TLS), unix://, "
    "redis+sentinel://, redis+cluster:// or memcached://"
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")
_URL = re.compile(
    rf"(?P<scheme>{_SCHEME.pattern})://(?P<place>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
# An option that reads differently may be a part of a password, and is not shown.
_OPTION = re.compile(r"[a-z_]{1,32}")
_DATABASE = re.compile(r"[0-9]{1,5}")
_MASTER = re.compile(r"[A-Za-z0-9_.-]{1,100}")

_SECRET_OPTIONS = ("sentinel_username", "sentinel_password")
_TLS_OPTIONS = (
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_check_hostname",
)
_OPTIONS = {
    "redis": ("db",),
    "unix": ("db",),
    "sentinel": ("db", *_SECRET_OPTIONS),
}
# As redis-py and Celery write them.
_CERT_REQS = {
    f"{prefix}{name}": name for prefix in ("", "cert_") for name in ("none", "optional", "required")
}
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

# A password may contain the characters that end a host. So nothing is shown of a URL in which an
# "@" follows them.
_HOST = r"[A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]"
_ADDRESS = rf"(?:{_HOST})(?::[0-9]*)?"
_SHOWN = re.compile(
    rf"(?P<scheme>{_SCHEME.pattern})://(?:(?P<user>[^/?#]*)@)?"
    rf"(?:(?P<hosts>{_ADDRESS}(?:,{_ADDRESS})*)|(?P<host>{_HOST}):[^/?#@]*)"
    r"(?P<path>/[^?#@]*)?(?P<rest>[?#][^@]*)?",
    re.DOTALL,
)
_SHOWN_PATHS = {
    "unix": re.compile(r"/.*", re.DOTALL),
    "sentinel": re.compile(rf"/{_MASTER.pattern}(?:/[0-9]{{0,5}})?/?"),
}
_SHOWN_PATH = re.compile(r"/[0-9]{0,5}/?")
_SHOWN_REST = re.compile(r"\?db=[0-9]{1,5}")


class StoreAddress(NamedTuple):
    """The parts of a store's URL.

    `kind` is `memory`, `redis`, `unix`, `sentinel`, `cluster` or `memcached`. `servers` are those
    to connect to: with `sentinel` these are the sentinels, which know where `master` is.
    """

    kind: str
    servers: tuple[tuple[str, int], ...] = ()
    database: int = 0
    username: str | None = None
    password: str | None = None
    path: str = ""
    """The path of a Unix socket."""
    master: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: Mapping[str, Any] | None = None
    """The `ssl_` options, with `ssl_cert_reqs` and `ssl_check_hostname`; None without TLS."""

    def __repr__(self) -> str:
        hidden = self._replace(
            username=self.username and "***",
            password=self.password and "***",
            sentinel_username=self.sentinel_username and "***",
            sentinel_password=self.sentinel_password and "***",
        )
        return f"StoreAddress{tuple(hidden)!r}"


class _Fault(Exception):
    """A URL is wrong; the message shows nothing that may be a secret."""


def parse_store_url(url: str) -> StoreAddress:
    """Return the parts of a URL.

    >>> parse_store_url("redis://:secret@cache.example/2").servers
    (('cache.example', 6379),)

    Raises: ConfigurationError, which shows only the scheme, hosts, ports, the path of a socket, the
        name of a master, the database, and the names of options.
    """
    found = _URL.fullmatch(url)
    kind, is_encrypted = "", False
    if found is not None:
        kind, is_encrypted = _SCHEMES.get(found["scheme"].lower(), (kind, is_encrypted))
    try:
        if found is None or not kind:
            raise _Fault("has no known scheme")
        return _parse(kind, found, is_encrypted=is_encrypted)
    except _Fault as fault:
        message = str(fault)
    # Not raised above: its context might repeat a part of the URL.
    expected = _EXPECTED.get(kind, _ANY_EXPECTED)
    raise ConfigurationError(
        f"the store's URL {shown_store_url(url)!r} {message}; expected {expected}."
    )


def _parse(kind: str, found: re.Match[str], *, is_encrypted: bool) -> StoreAddress:
    path, query, fragment = found["path"], found["query"], found["fragment"]
    if "@" in f"{path}{query}{fragment}":
        raise _Fault(
            "has an '@' after a '/', '?' or '#'; percent-encode the user and password, as "
            "urllib.parse.quote(password, safe='') does"
        )
    if fragment is not None:
        raise _Fault("has a fragment, which begins at the '#'; percent-encode it in a password")
    options = _parse_options(kind, query, is_encrypted=is_encrypted)
    if kind == "memory":
        if found["place"] or path:
            raise _Fault("has more than its scheme")
        return StoreAddress(kind)
    if kind == "memcached":
        if "@" in found["place"] or path not in ("", "/"):
            raise _Fault("has a user or a path, which Memcached does not have")
        return StoreAddress(kind, _parse_servers(kind, found["place"]))
    user, _, hosts = found["place"].rpartition("@")
    username, _, password = user.partition(":")
    address = StoreAddress(
        kind,
        username=_decode(username) or None,
        password=_decode(password) or None,
        sentinel_username=options.pop("sentinel_username", None),
        sentinel_password=options.pop("sentinel_password", None),
    )
    by_option = options.pop("db", None)
    if kind == "unix":
        if hosts or not path.strip("/"):
            raise _Fault("has a host, or no path")
        return address._replace(path=_decode(path), database=_parse_database("", by_option))
    servers, database = _parse_servers(kind, hosts), path.strip("/")
    if kind == "sentinel":
        master, _, database = database.partition("/")
        if not _MASTER.fullmatch(master):
            raise _Fault("does not name the master that the sentinels watch")
        address = address._replace(master=master)
    if kind == "cluster" and database not in ("", "0"):
        raise _Fault("has a path, but a cluster has no database other than 0")
    return address._replace(
        servers=servers,
        database=_parse_database(database, by_option),
        tls=_tls_settings(options) if is_encrypted else None,
    )


def _parse_servers(kind: str, hosts: str) -> tuple[tuple[str, int], ...]:
    servers = []
    if "," in hosts and kind not in ("sentinel", "cluster"):
        raise _Fault("names several servers, which only redis+sentinel:// and redis+cluster:// do")
    for place in hosts.split(","):
        try:
            parts = urlsplit(f"//{place}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _Fault("has an invalid host or port") from None
        if not host or port == 0:
            raise _Fault("has no host, or the port 0")
        servers.append((host, port or _PORTS[kind]))
    return tuple(servers)


def _parse_database(by_path: str, by_option: str | None) -> int:
    if by_path and by_option is not None:
        raise _Fault("names the database twice, by its path and by 'db'")
    database = (by_path or "0") if by_option is None else by_option
    if not _DATABASE.fullmatch(database):
        raise _Fault(f"has {'a path' if by_path else 'a db'} that is not the number of a database")
    return int(database)


def _parse_options(kind: str, query: str | None, *, is_encrypted: bool) -> dict[str, str]:
    """Return the options that a query names. Raises: _Fault for those that are not known."""
    accepted = _OPTIONS.get(kind, ()) + (_TLS_OPTIONS if is_encrypted else ())
    options: dict[str, str] = {}
    for pair in filter(None, (query or "").split("&")):
        name, separator, value = pair.partition("=")
        # An '&' in a password ends it: what follows looks like another option.
        is_secret = not separator or any(secret in options for secret in _SECRET_OPTIONS)
        shown = repr(name) if _OPTION.fullmatch(name) and not is_secret else "***"
        if name in _TLS_OPTIONS and not is_encrypted:
            raise _Fault(f"has the option {name!r}, which only URLs with TLS have")
        if name not in accepted:
            known = f"it may have {', '.join(accepted)}" if accepted else "it may have none"
            raise _Fault(f"has the unknown option {shown} in its query ({known})")
        if name in options:
            raise _Fault(f"has the option {name!r} twice")
        options[name] = _decode(value)
    return options


def _tls_settings(options: Mapping[str, str]) -> dict[str, Any]:
    """Return the options; certificates and the names in them are checked by default.

    Raises: _Fault.
    """
    settings: dict[str, Any] = dict(options)
    settings["ssl_cert_reqs"] = reqs = _choose(_CERT_REQS, "ssl_cert_reqs", options, "required")
    is_checked = "false" if reqs == "none" else "true"
    settings["ssl_check_hostname"] = _choose(_SWITCHES, "ssl_check_hostname", options, is_checked)
    if settings["ssl_check_hostname"] and reqs == "none":
        raise _Fault("has ssl_check_hostname, but ssl_cert_reqs=none accepts any certificate")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise _Fault("has ssl_keyfile without ssl_certfile")
    return settings


def _choose(choices: Mapping[str, Any], name: str, options: Mapping[str, str], default: str) -> Any:
    value = options.get(name, default).lower()
    if value not in choices:
        raise _Fault(f"has an unknown value of {name!r} (it is one of {', '.join(choices)})")
    return choices[value]


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _Fault("is percent-encoded, but not as UTF-8") from None


def shown_store_url(url: str) -> str:
    """Return the URL for logs, with only its scheme, hosts, ports, path and database.

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
    kind, _ = _SCHEMES.get(parts["scheme"].lower(), ("", False))
    hosts, path, rest = parts["hosts"], parts["path"], parts["rest"]
    shown = [f"{parts['scheme']}://", "***@" * (parts["user"] is not None)]
    shown.append(f"{parts['host']}:***" if hosts is None else hosts)
    if path:
        # Without an "@", what stands before the path of a socket may be a password.
        pattern = (
            _SHOWN_PATH if kind == "unix" and hosts != "" else _SHOWN_PATHS.get(kind, _SHOWN_PATH)
        )
        shown.append(path if pattern.fullmatch(path) else "/***")
    if rest is not None:
        shown.append(rest if _SHOWN_REST.fullmatch(rest) else "?***")
    return "".join(shown)
