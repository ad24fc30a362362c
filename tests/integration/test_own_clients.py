"""Apps in one process over a Redis Cluster of three nodes, by a client of the user's own."""

import asyncio
import itertools
import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import httpx
import redis.asyncio as redis_client

from asgi_serial import SerialMiddleware
from asgi_serial.cache.leases import LEASE_SECONDS
from tests.cache.services import hurried, redis_cluster, run

# So long that only a node that is gone takes it, on a busy machine, too.
TIMEOUT_SECONDS = 20.0
# What a busy machine may add to it.
SLACK_SECONDS = 20.0

_processes = itertools.count()


class Site:
    """An app and its first level of the cache, as another process would have them."""

    def __init__(self, store: object, namespace: str) -> None:
        self.number = next(_processes)
        self.calls = 0
        self.serial = SerialMiddleware(
            self.app,
            store=store,
            cache=True,
            cache_store_timeout=TIMEOUT_SECONDS,
            cache_namespace=namespace,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.serial), base_url="http://site.test"
        )
        self.slowest = 0.0

    async def app(self, scope, receive, send):
        self.calls += 1
        body = json.dumps({"path": scope["path"], "process": self.number}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"max-age=60"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def get(self, path: str) -> tuple[str, int]:
        """What the cache says, and the number of the process that the answer is from."""
        began = time.monotonic()
        answer = await self.client.get(path)
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert answer.status_code == 200
        assert answer.json()["path"] == path
        return answer.headers["cache-status"].split("; ")[1], answer.json()["process"]


async def keepers_of_log(client: redis_client.RedisCluster) -> set[int]:
    """The ports of the nodes that have the number and the records of purges."""
    found = set()
    for node in client.get_nodes():
        for key in await client.keys(target_nodes=node):
            value = await client.get(key)
            if value is not None and (value.isdigit() or b"purge" in value[:10]):
                found.add(node.port)
    return found


async def find_namespace(client: redis_client.RedisCluster, port: int, sites: list[Site]) -> str:
    """One whose log of purges is not on the node of this port.

    Without it nothing would be believed that the other nodes have. `sites` keeps what is made
    until its loop ends, and closes its connections.
    """
    for number in range(100):
        namespace = f"n{number}"
        site = Site(client, namespace)
        sites.append(site)
        await site.serial.engine.responses.purge_sync.listen()
        # Where that took longer than a request waits for it, the log may not be there yet.
        while site.serial.engine.responses.purge_sync.log.heard_at == -math.inf:
            await asyncio.sleep(0.01)
        if port not in await keepers_of_log(client):
            return namespace
        await client.flushall(target_nodes=redis_client.RedisCluster.PRIMARIES)
    raise AssertionError("every namespace has its log there")


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[redis_client.RedisCluster]:
    """A client of a cluster, of which no connection is left when it ends."""
    client = redis_client.RedisCluster("127.0.0.1", port)
    try:
        yield await client.initialize()
    finally:
        # Those who still listen for purges would open connections again.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await client.aclose()
        # Where it was about to look for its nodes, it takes itself for closed, and leaves them.
        for nodes in ("nodes_cache", "startup_nodes"):
            await client.nodes_manager.aclose(nodes)


def test_processes_share_what_a_cluster_has_and_outlive_one_of_its_nodes():
    paths = [f"/document/{number}" for number in range(60)]

    async def main() -> None:
        async with client_of(cluster[0].port) as client, client_of(cluster[0].port) as another:
            sites: list[Site] = []
            namespace = await find_namespace(client, cluster[1].port, sites)
            first, second, third = (Site(client, namespace) for _ in range(3))
            await asyncio.gather(*(first.get(path) for path in paths))
            await first.serial.engine.responses.flush()
            answers = await asyncio.gather(*(second.get(path) for path in paths))
            assert answers == [("hit", first.number)] * 60
            assert second.calls == 0

            asking = asyncio.gather(*(third.get(path) for path in paths[:30]))
            cluster[1].kill()
            async with hurried():
                assert {number for _, number in await asking} <= {first.number, third.number}
                for path in paths[30:]:
                    cache, number = await third.get(path)
                    assert number == (first.number if cache == "hit" else third.number)
            # By and by the process has them all itself. On a busy machine, in haste above all, it
            # may not have heard of purges for so long that it believes nothing for a while.
            deadline, found = time.monotonic() + 120, set()
            while found != {"hit"} and time.monotonic() < deadline:
                answers = await asyncio.gather(*(third.get(path) for path in paths))
                found = {cache for cache, _ in answers}
            assert found == {"hit"}
            assert third.slowest < TIMEOUT_SECONDS + SLACK_SECONDS + LEASE_SECONDS

            # What the other nodes have is still shared. A process that begins now has a client of
            # its own: one of redis-py (8.1) may go on to put its own questions to the node that is
            # gone, and then fails in each call, of any node, before it is made.
            # In haste a node that is there may be taken for one that is not.
            deadline, shared = time.monotonic() + 120, 0
            haste = itertools.cycle([hurried, nullcontext])
            while shared <= 20 and time.monotonic() < deadline:
                fourth = Site(another, namespace)
                sites.append(fourth)
                async with next(haste)():
                    answers = [await fourth.get(path) for path in paths]
                shared = sum(cache == "hit" for cache, _ in answers)
                assert fourth.calls == 60 - shared
                # A lease may still hold whose end the node has not heard of.
                assert fourth.slowest < TIMEOUT_SECONDS + SLACK_SECONDS + LEASE_SECONDS
            assert 20 < shared < 60

    with redis_cluster() as cluster:
        run(main())
