"""Clients of Redis, or Valkey, with the settings of a user's client and connections of their own.

A client of redis-py belongs to the event loop that it was first used in: its connections, and
those to the sentinels or nodes that it asks for addresses, are of that loop.
"""

import asyncio
import copy
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from inspect import signature
from typing import Any, TypeAlias

Renewed: TypeAlias = tuple[Any, Callable[[], Awaitable[object]]]
"""A client, and the function that closes it."""

# By package, the names of its client and of its client for clusters.
_CLIENTS = {"redis": ("Redis", "RedisCluster"), "valkey": ("Valkey", "ValkeyCluster")}

# The look for a cluster's nodes ends by then, whatever time-outs the user's client has.
_INITIALIZE_SECONDS = 10.0
# Arguments of a cluster's client that it keeps itself, and that its `nodes_manager` keeps.
_OF_CLUSTER = (
    "read_from_replicas",
    "load_balancing_strategy",
    "reinitialize_steps",
    "maint_notifications_config",
)
_OF_NODES = {
    "require_full_coverage": "require_full_coverage",
    "dynamic_startup_nodes": "_dynamic_startup_nodes",
    "address_remap": "address_remap",
}


def renew_client(client: Any) -> Renewed | None:
    """Return a client with the settings of another that has made no connection yet.

    None for another library's, and for a pool or a client for clusters of the user's own class:
    how one is made is not known. What is a `Redis` is made anew as that.
    """
    package = _package_of(client)
    if package is None:
        return None
    module = sys.modules[f"{package}.asyncio"]
    plain, cluster = (getattr(module, name) for name in _CLIENTS[package])
    if type(client) is cluster:
        renewed = _renew_cluster(client)
        return renewed, _initialize_apart(renewed)
    pool = getattr(client, "connection_pool", None)
    if type(pool) in (module.ConnectionPool, module.BlockingConnectionPool):
        renewed = plain(connection_pool=_renew_pool(pool))
        return renewed, lambda: renewed.aclose(close_connection_pool=True)
    if type(pool) is module.SentinelConnectionPool:
        return _renew_master(plain, pool)
    return None


def _package_of(client: Any) -> str | None:
    packages = [cls.__module__.partition(".")[0] for cls in type(client).__mro__]
    return next((package for package in packages if package in _CLIENTS), None)


def max_connections_of(client: Any) -> int | None:
    """Return how many connections to a server a client makes at most; None if it does not say."""
    pool = getattr(client, "connection_pool", None)
    settings = getattr(client, "connection_kwargs", None)
    most = getattr(pool, "max_connections", None)
    if most is None and isinstance(settings, dict):  # a cluster's, for each of its nodes
        most = settings.get("max_connections")
    return most if isinstance(most, int) and most > 0 else None


def _renew_pool(pool: Any) -> Any:
    settings = dict(pool.connection_kwargs)
    if hasattr(pool, "timeout"):
        settings["timeout"] = pool.timeout
    return type(pool)(
        connection_class=pool.connection_class,
        max_connections=pool.max_connections,
        **settings,
    )


def _renew_master(plain: Any, pool: Any) -> Renewed:
    """Return a client of the master, or of the replicas, that sentinels of its own name."""
    sentinels = copy.copy(pool.sentinel_manager)
    sentinels.sentinels = [
        plain(connection_pool=_renew_pool(sentinel.connection_pool))
        for sentinel in sentinels.sentinels
    ]
    settings = dict(pool.connection_kwargs)
    del settings["connection_pool"]  # a reference to the old one
    renewed = type(pool)(
        pool.service_name,
        sentinels,
        connection_class=pool.connection_class,
        max_connections=pool.max_connections,
        is_master=pool.is_master,
        check_connection=pool.check_connection,
        **settings,
    )
    clients = [plain(connection_pool=renewed), *sentinels.sentinels]

    async def close() -> None:
        await asyncio.gather(
            *[each.aclose(close_connection_pool=True) for each in clients], return_exceptions=True
        )

    return clients[0], close


def _renew_cluster(client: Any) -> Any:
    """Return a client of the same cluster, made by what the other still knows of its arguments."""
    nodes, settings = client.nodes_manager, client.connection_kwargs
    arguments: dict[str, Any] = {}
    # The parameters differ from release to release.
    for name, parameter in signature(type(client)).parameters.items():
        known = settings.get(name, parameter.default)
        if name in _OF_CLUSTER:
            known = getattr(client, name, known)
        elif name in _OF_NODES:
            known = getattr(nodes, _OF_NODES[name], known)
        # redis-py warns of parameters that are going out of use, whatever is said.
        if known != parameter.default:
            arguments[name] = known
    package = _package_of(client)
    ssl_connection = sys.modules[f"{package}.asyncio"].SSLConnection
    arguments["ssl"] = issubclass(settings["connection_class"], ssl_connection)
    # To try again it closes the connections to all nodes, also those under a command: one node
    # that is gone would fail the calls of all others. Whether to try again is the store's to say.
    no_backoff = import_module(f"{package}.backoff").NoBackoff()
    arguments["retry"] = import_module(f"{package}.asyncio.retry").Retry(no_backoff, 0)
    # In redis-py 5 and valkey-py these are apart; there a pipeline with 0 attempts is never run.
    older = {"cluster_error_retry_attempts": 1, "connection_error_retry_attempts": 0}
    arguments |= {name: count for name, count in older.items() if hasattr(client, name)}
    # At each look for its nodes a client replaces these by what it has found.
    arguments["startup_nodes"] = list(nodes.startup_nodes.values())
    return type(client)(**arguments)


def _initialize_apart(client: Any) -> Callable[[], Awaitable[object]]:
    """Have a cluster's client look for its nodes in a task of its own; return what closes it.

    It takes several calls, more than one command has time for: cancelled with each command that
    waits for it, it would begin anew each time, and leave connections behind. And redis-py 8 sends
    a command that comes before it to any node, and closes all connections after some redirects.
    """
    initialize, execute_command = client.initialize, client.execute_command
    running: asyncio.Task[Any] | None = None

    async def within_time(*args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(_INITIALIZE_SECONDS):
            return await initialize(*args, **kwargs)

    async def join(*args: Any, **kwargs: Any) -> Any:
        nonlocal running
        if running is None or running.done():
            running = asyncio.get_running_loop().create_task(within_time(*args, **kwargs))
            running.add_done_callback(_read_exception)
        return await asyncio.shield(running)

    async def execute(*args: Any, **kwargs: Any) -> Any:
        if client.get_default_node() is None:
            await join()
        return await execute_command(*args, **kwargs)

    async def close() -> None:
        if running is not None and not running.done():
            running.cancel()
            await asyncio.wait((running,))
        await client.aclose()
        # Where it was about to look for its nodes, it takes itself for closed, and leaves them.
        for nodes in ("nodes_cache", "startup_nodes"):
            await client.nodes_manager.aclose(nodes)

    client.initialize, client.execute_command = join, execute
    return close


def _read_exception(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # asyncio reports an exception that nobody read
