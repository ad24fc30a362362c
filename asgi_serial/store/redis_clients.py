"""Copy a user's Redis or Valkey client, so that each event loop has its own connections.

A client of redis-py belongs to the event loop in which it was first used: its connections, and
those to the sentinels or nodes that it asks for addresses, are bound to that loop.
"""

import asyncio
import copy
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from inspect import signature
from typing import Any, NamedTuple


class Renewed(NamedTuple):
    """A client and two functions.

    `close` closes it. `reconnect` makes further calls use new connections, to the servers that are
    in charge now; calls in progress keep theirs.
    """

    client: Any
    close: Callable[[], Awaitable[object]]
    reconnect: Callable[[], Awaitable[object]]


# The names of the client and of the cluster client in each package.
_CLIENTS = {"redis": ("Redis", "RedisCluster"), "valkey": ("Valkey", "ValkeyCluster")}

# The limit for discovering a cluster's nodes, or the master of sentinels, whatever time-outs the
# user's client has.
_DISCOVERY_SECONDS = 10.0
# Arguments that a cluster client keeps as attributes, itself or on its `nodes_manager`.
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
    """Return an unconnected client with the settings of another one.

    None for clients of other libraries, and for user-defined classes of pools and cluster clients,
    whose constructors are not known. A subclass of `Redis` becomes a plain `Redis`.
    """
    package = _package_of(client)
    if package is None:
        return None
    module = sys.modules[f"{package}.asyncio"]
    plain, cluster = (getattr(module, name) for name in _CLIENTS[package])
    if type(client) is cluster:
        return _initialize_apart(_renew_cluster(client))
    pool = getattr(client, "connection_pool", None)
    if type(pool) in (module.ConnectionPool, module.BlockingConnectionPool):
        renewed = plain(connection_pool=_renew_pool(pool))
        return Renewed(
            renewed,
            lambda: renewed.aclose(close_connection_pool=True),
            lambda: renewed.connection_pool.disconnect(inuse_connections=False),
        )
    if type(pool) is module.SentinelConnectionPool:
        return _renew_master(plain, pool)
    return None


def _package_of(client: Any) -> str | None:
    packages = [cls.__module__.partition(".")[0] for cls in type(client).__mro__]
    return next((package for package in packages if package in _CLIENTS), None)


def max_connections_of(client: Any) -> int | None:
    """Return the limit of a client's connections to one server; None if it states none."""
    pool = getattr(client, "connection_pool", None)
    settings = getattr(client, "connection_kwargs", None)
    most = getattr(pool, "max_connections", None)
    if most is None and isinstance(settings, dict):  # a cluster client, with a limit per node
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
    """Return a client of the master or replicas, with its own clients for the sentinels."""
    sentinels = copy.copy(pool.sentinel_manager)
    sentinels.discover_master = discovery = _Apart(sentinels.discover_master)
    sentinels.sentinels = [
        plain(connection_pool=_renew_pool(sentinel.connection_pool))
        for sentinel in sentinels.sentinels
    ]
    settings = dict(pool.connection_kwargs)
    del settings["connection_pool"]  # a reference to the old pool
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
        await discovery.cancel()
        await asyncio.gather(
            *[each.aclose(close_connection_pool=True) for each in clients], return_exceptions=True
        )

    return Renewed(clients[0], close, lambda: renewed.disconnect(inuse_connections=False))


def _renew_cluster(client: Any) -> Any:
    """Return a client of the same cluster, from the arguments that the other one has kept."""
    nodes, settings = client.nodes_manager, client.connection_kwargs
    arguments: dict[str, Any] = {}
    # The parameters differ between releases.
    for name, parameter in signature(type(client)).parameters.items():
        known = settings.get(name, parameter.default)
        if name in _OF_CLUSTER:
            known = getattr(client, name, known)
        elif name in _OF_NODES:
            known = getattr(nodes, _OF_NODES[name], known)
        # redis-py warns about deprecated parameters whenever they are given, even by default.
        if known != parameter.default:
            arguments[name] = known
    package = _package_of(client)
    ssl_connection = sys.modules[f"{package}.asyncio"].SSLConnection
    arguments["ssl"] = issubclass(settings["connection_class"], ssl_connection)
    # Before a retry, the client closes its connections to all nodes, including those in use: one
    # lost node would fail the calls to all others. So it does not retry; the store decides that.
    no_backoff = import_module(f"{package}.backoff").NoBackoff()
    arguments["retry"] = import_module(f"{package}.asyncio.retry").Retry(no_backoff, 0)
    # redis-py 5 and valkey-py have separate arguments; a pipeline with 0 attempts would never run.
    older = {"cluster_error_retry_attempts": 1, "connection_error_retry_attempts": 0}
    arguments |= {name: count for name, count in older.items() if hasattr(client, name)}
    # A client replaces its startup nodes by those that it discovers.
    arguments["startup_nodes"] = list(nodes.startup_nodes.values())
    renewed = type(client)(**arguments)
    set_connection_class(renewed, settings["connection_class"])
    return renewed


def set_connection_class(cluster: Any, connection_class: type[Any]) -> None:
    """Make a cluster client that is not connected use connections of this class."""
    cluster.connection_kwargs["connection_class"] = connection_class
    for node in cluster.nodes_manager.startup_nodes.values():
        node.connection_class = connection_class


def _initialize_apart(client: Any) -> Renewed:
    """Let a cluster client discover its nodes in a separate task.

    redis-py 8 would send a command that comes earlier to any node, and close all connections after
    some redirects.
    """
    initialize, execute_command = _Apart(client.initialize), client.execute_command
    # A node that does not answer is left only if the others are asked who has its slots.
    rediscover = _Apart(client.nodes_manager.initialize)

    async def execute(*args: Any, **kwargs: Any) -> Any:
        if client.get_default_node() is None:
            await initialize()
        return await execute_command(*args, **kwargs)

    async def close() -> None:
        await initialize.cancel()
        await rediscover.cancel()
        await client.aclose()
        # A client that has not discovered its nodes believes that it is closed, and leaves these.
        for nodes in ("nodes_cache", "startup_nodes"):
            await client.nodes_manager.aclose(nodes)

    async def reconnect() -> None:
        if client.get_default_node() is not None:
            await rediscover()

    client.initialize, client.execute_command = initialize, execute
    return Renewed(client, close, reconnect)


class _Apart:
    """Make a function run in one separate task, whose result all concurrent callers get.

    Discovery takes several calls, more than fit into the time of one command. If it were cancelled
    with each command that waits for it, it would start over each time and leak connections.
    """

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        self._function = function
        self._running: asyncio.Task[Any] | None = None

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run(*args, **kwargs))
            self._running.add_done_callback(_read_exception)
        return await asyncio.shield(self._running)

    async def _run(self, *args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(_DISCOVERY_SECONDS):
            return await self._function(*args, **kwargs)

    async def cancel(self) -> None:
        """Cancel the function if it is running."""
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait((self._running,))


def _read_exception(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # read it, or asyncio would log that it was never retrieved
