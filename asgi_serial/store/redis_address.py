"""The client of redis-py for a store's URL."""

import ssl
from collections.abc import Mapping
from typing import Any

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.redis_clients import set_connection_class
from asgi_serial.store.redis_parser import bounded_parser
from asgi_serial.store.url import StoreAddress

# A Redis server answers about 100,000 commands a second; more connections would only wait.
_CONNECTIONS = 32

# A sentinel or node that does not answer must not keep the next one from being asked.
_DISCOVERY_SECONDS = 4.0

_VERIFY_MODES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def client_at(address: StoreAddress, max_value_bytes: int) -> Any:
    """Return a client that is not connected.

    Raises: ConfigurationError if a certificate cannot be read, ImportError without redis-py.
    """
    from redis.asyncio import (
        BlockingConnectionPool,
        Redis,
        SSLConnection,
        UnixDomainSocketConnection,
    )

    context = None if address.tls is None else _context_of(address.tls)
    if address.kind == "cluster":
        return _cluster_at(address, context)
    # RESP 2 spares the handshake of RESP 3, which has nothing that is needed here. redis-py's own
    # time-outs are off, since they would cost a task per command; the guard has a time-out.
    settings: dict[str, Any] = {
        "socket_timeout": None,
        "protocol": 2,
        "db": address.database,
        "username": address.username,
        "password": address.password,
    }
    parser = bounded_parser(max_value_bytes)
    if parser is not None:
        settings["parser_class"] = parser
    if address.kind == "sentinel":
        return _master_at(address, settings, context)
    if address.kind == "unix":
        settings |= {"connection_class": UnixDomainSocketConnection, "path": address.path}
    else:
        ((settings["host"], settings["port"]),) = address.servers
    if context is not None:
        settings["connection_class"] = _sharing(context, SSLConnection)
    return Redis(connection_pool=BlockingConnectionPool(_CONNECTIONS, timeout=None, **settings))


def _master_at(
    address: StoreAddress, settings: dict[str, Any], context: ssl.SSLContext | None
) -> Any:
    """Return a client of the master that the sentinels name, also after a failover."""
    from redis.asyncio import SSLConnection
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel, SentinelManagedSSLConnection
    from redis.backoff import NoBackoff

    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        address.servers,
        sentinel_kwargs={
            "username": address.sentinel_username,
            "password": address.sentinel_password,
            "protocol": 2,
            "socket_timeout": _DISCOVERY_SECONDS,
            "socket_connect_timeout": _DISCOVERY_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        },
    )
    if context is not None:
        settings["connection_class"] = _sharing(context, SentinelManagedSSLConnection)
        for sentinel in sentinels.sentinels:
            sentinel.connection_pool.connection_class = _sharing(context, SSLConnection)
    return sentinels.master_for(address.master, max_connections=_CONNECTIONS, **settings)


def _cluster_at(address: StoreAddress, context: ssl.SSLContext | None) -> Any:
    from redis.asyncio import RedisCluster, SSLConnection
    from redis.asyncio.cluster import ClusterNode

    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.servers],
        username=address.username,
        password=address.password,
        max_connections=_CONNECTIONS,
        # The nodes that are there go on if others are lost.
        require_full_coverage=False,
        protocol=2,
        socket_timeout=_DISCOVERY_SECONDS,
        socket_connect_timeout=_DISCOVERY_SECONDS,
        ssl=context is not None,
    )
    if context is not None:
        set_connection_class(cluster, _sharing(context, SSLConnection))
    return cluster


def _sharing(context: ssl.SSLContext, connection_class: type[Any]) -> type[Any]:
    """Return a class whose connections share one TLS context.

    redis-py makes one for each connection. That reads the certificates of all authorities that the
    system trusts: 27 ms on Debian, in which the event loop stands still.
    """

    class Connection(connection_class):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.ssl_context.context = context

    return Connection


def _context_of(tls: Mapping[str, Any]) -> ssl.SSLContext:
    """Return the context for the options of a URL. Raises: ConfigurationError."""
    context = ssl.create_default_context()
    context.check_hostname = tls["ssl_check_hostname"]
    context.verify_mode = _VERIFY_MODES[tls["ssl_cert_reqs"]]
    try:
        if "ssl_ca_certs" in tls:
            context.load_verify_locations(cafile=tls["ssl_ca_certs"])
        if "ssl_certfile" in tls:
            # Without a password OpenSSL would ask for that of a key at the terminal.
            context.load_cert_chain(tls["ssl_certfile"], tls.get("ssl_keyfile"), password="")
    except (OSError, ValueError) as error:  # also ssl.SSLError
        named = {name: tls[name] for name in _FILES if name in tls}
        raise ConfigurationError(
            f"the store's URL names {named!r}, which cannot be read as certificates and a key "
            f"without a password: {error}."
        ) from error
    return context
