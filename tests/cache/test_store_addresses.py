"""Each kind of URL over real servers: sockets, TLS, sentinels with a failover, clusters."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import GuardedStore

from .operations import failures, new_key, try_every_operation
from .places import ENCODED, PASSWORD, PLACES
from .services import (
    Proxy,
    Service,
    Watched,
    certificate,
    free_port,
    hurried,
    redis_client,
    redis_cluster,
    redis_sentinel,
    redis_server,
    redis_watched,
    run,
)

# So long that only a server that is gone takes it, on a busy machine, too.
TIMEOUT_SECONDS = 20.0
RECOVERY_SECONDS = 120.0


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_every_operation_works(
    place: Callable[[], AbstractContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(store: GuardedStore) -> None:
        await try_every_operation(store)
        assert store.is_shared

    with place() as url:
        store = open_store(url, timeout=TIMEOUT_SECONDS)
        # A context reads all authorities of the system, and the event loop waits for that.
        monkeypatch.delattr(ssl, "create_default_context")
        for _ in range(2):  # each loop has connections of its own
            run(main(store))
        assert PASSWORD not in store.state()["target"]
        assert ENCODED not in store.state()["target"]


def test_the_database_of_the_url_is_used() -> None:
    async def main(url: str) -> None:
        await open_store(url, timeout=TIMEOUT_SECONDS).set("key", b"value", ttl=60)

    with redis_server() as master, redis_sentinel(master) as sentinel:
        for number, url in enumerate(
            [
                f"redis://127.0.0.1:{master.port}?db=1",
                f"redis+sentinel://127.0.0.1:{sentinel.port}/main/2",
                f"redis+sentinel://127.0.0.1:{sentinel.port}/main?db=3",
            ],
            1,
        ):
            run(main(url))
            with redis_client(master.port) as client:
                client.execute_command("SELECT", number)
                assert client.get("asgi_serial:key") == b"value"


class TestCertificates:
    @pytest.mark.parametrize(
        ("host", "query"),
        [("127.0.0.1", ""), ("localhost", "?ssl_ca_certs={}")],
        ids=["an unknown authority", "another name"],
    )
    def test_one_that_does_not_check_out_is_a_failure(self, host: str, query: str) -> None:
        async def main(url: str) -> None:
            store = open_store(url, timeout=TIMEOUT_SECONDS)
            assert await store.get("key") is None
            assert failures(store) == {"errors": 1}

        with certificate() as tls, redis_server(tls=tls) as service:
            run(main(f"rediss://{host}:{service.port}{query.format(tls.file)}"))

    def test_its_name_may_be_left_unchecked(self) -> None:
        async def main(url: str) -> None:
            store = open_store(url, timeout=TIMEOUT_SECONDS)
            await store.set("key", b"value", ttl=60)
            assert await store.get("key") == b"value"

        with certificate() as tls, redis_server(tls=tls) as service:
            options = f"ssl_ca_certs={tls.file}&ssl_check_hostname=no"
            run(main(f"rediss://localhost:{service.port}?{options}"))

    def test_a_file_that_is_not_there_is_refused_at_once(self, tmp_path: Path) -> None:
        url = f"rediss://:s3cret@h?ssl_ca_certs={tmp_path}/none.pem"
        with pytest.raises(ConfigurationError, match=r"none\.pem'}, which cannot be read") as error:
            open_store(url)
        assert "s3cret" not in str(error.value)

    @pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
    def test_a_file_of_something_else_is_refused_at_once(self, tmp_path: Path, option: str) -> None:
        (tmp_path / "text.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError, match=rf"{option}.*text\.pem'}}, which cannot be"):
            open_store(f"rediss+cluster://h?{option}={tmp_path}/text.pem")

    def test_a_key_of_another_certificate_is_refused_at_once(self) -> None:
        with certificate() as one, certificate() as other:
            url = f"rediss://h?ssl_certfile={one.file}&ssl_keyfile={other.key}"
            with pytest.raises(ConfigurationError, match=r"ssl_keyfile.* cannot be read"):
                open_store(url)


@pytest.fixture
def watched() -> Iterator[Watched]:
    with redis_watched() as found:
        yield found


def url_of(watched: Watched) -> str:
    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in watched.sentinels)
    return f"redis+sentinel://{hosts}/main"


async def store_again(store: GuardedStore) -> None:
    """Wait until a value that is set is found again."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        key = new_key()
        await store.set(key, b"value", ttl=60)
        if await store.get(key) == b"value":
            return
        assert time.monotonic() < deadline, store.state()
        await asyncio.sleep(0.05)


async def fill_connections(store: GuardedStore) -> None:
    """Open all connections that the store may have."""
    keys = [new_key() for _ in range(100)]
    await asyncio.gather(*(store.set(key, b"value", ttl=60) for key in keys))
    assert await asyncio.gather(*(store.get(key) for key in keys)) == [b"value"] * 100


async def time_out(store: GuardedStore, keys: list[str]) -> None:
    """Have calls of a server that hangs time out, at once, until no more are made."""
    async with hurried():
        assert None in await asyncio.gather(*(store.get(key) for key in keys))
    assert store.statistics()["timeouts"] >= 3


class TestFailover:
    """A master that is gone is a miss, until the sentinels have named another one."""

    def test_from_a_master_that_is_killed(self, watched: Watched) -> None:
        async def main() -> None:
            store = open_store(url_of(watched), timeout=TIMEOUT_SECONDS)
            await fill_connections(store)
            gone = watched.master()
            gone.kill()
            assert await store.get(new_key()) is None
            assert set(failures(store)) == {"errors"}
            await store_again(store)
            assert watched.master() is not gone

        run(main())

    def test_from_a_master_that_hangs(self, watched: Watched) -> None:
        """None of the connections to it is ever closed."""
        now = [0.0]

        async def main() -> None:
            store = open_store(url_of(watched), timeout=TIMEOUT_SECONDS, clock=lambda: now[0])
            await fill_connections(store)
            gone = watched.master()
            gone.hang()
            await time_out(store, [new_key() for _ in range(3)])
            while watched.master() is gone:
                await asyncio.sleep(0.05)
            began, deadline = store.statistics()["timeouts"], time.monotonic() + RECOVERY_SECONDS
            while await store.increment("number", ttl=60) is None:
                assert time.monotonic() < deadline, store.state()
                now[0] += 60
            # A sentinel may not know of the new master yet; but it is not one probe per connection.
            assert store.statistics()["timeouts"] - began < 10
            await fill_connections(store)
            gone.go_on()

        run(main(), seconds=600)

    def test_through_other_sentinels_if_the_first_hangs(self, watched: Watched) -> None:
        async def main() -> None:
            store = open_store(url_of(watched), timeout=TIMEOUT_SECONDS)
            watched.sentinels[0].hang()
            await store_again(store)
            watched.sentinels[0].go_on()

        run(main())


def test_a_master_that_the_sentinels_do_not_know_is_a_failure() -> None:
    async def main(sentinel: Service) -> None:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/other"
        store = open_store(url, timeout=TIMEOUT_SECONDS)
        assert await store.get("key") is None
        assert failures(store) == {"errors": 1}
        assert "MasterNotFoundError" in store.state()["last_failure"]["error"]

    with redis_server() as master, redis_sentinel(master) as sentinel:
        run(main(sentinel))


class TestLostNodes:
    def test_a_replica_takes_over_from_a_node_that_hangs(self) -> None:
        """Nothing is answered by it, so that nothing says where its slots are now."""
        now = [0.0]

        async def main(nodes: list[Service], spare: Service) -> None:
            url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
            keys = [new_key() for _ in range(60)]
            patient = open_store(url, timeout=TIMEOUT_SECONDS)
            await asyncio.gather(*(patient.set(key, b"value", ttl=600) for key in keys))
            # The client's own time-out is longer, so it does not notice that the node hangs.
            store = open_store(url, timeout=3.0, clock=lambda: now[0])
            while None in [await store.get(key) for key in keys]:
                now[0] += 60
            nodes[2].hang()
            await time_out(store, keys)
            with redis_client(spare.port) as client:
                while client.info("replication")["role"] != "master":
                    await asyncio.sleep(0.05)
            deadline = time.monotonic() + RECOVERY_SECONDS
            while None in [await store.get(key) for key in keys]:
                assert time.monotonic() < deadline, store.state()
                now[0] += 60
            nodes[2].go_on()

        with redis_cluster("--cluster-node-timeout", "2000", has_spare=True) as nodes:
            run(main(nodes[:3], nodes[3]), seconds=600)

    def test_a_node_that_is_not_there_is_a_miss_at_once(self) -> None:
        async def main() -> None:
            store = open_store(f"redis+cluster://127.0.0.1:{free_port()}", timeout=TIMEOUT_SECONDS)
            async with hurried():
                assert await store.get("key") is None
            assert sum(failures(store).values()) == 1

        run(main())


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
def test_one_probe_leaves_all_connections_that_never_answer(
    scheme: str, request: pytest.FixtureRequest
) -> None:
    """A name may have come to mean another server, while nobody closes those to the first."""
    now = [0.0]
    service = request.getfixturevalue(scheme)

    async def main() -> None:
        async with Proxy(service.port) as proxy:
            store = open_store(
                f"{scheme}://127.0.0.1:{proxy.port}", timeout=TIMEOUT_SECONDS, clock=lambda: now[0]
            )
            await fill_connections(store)
            silent = set(proxy._tasks)
            assert len(silent) > 4

            async def answer(data: bytes) -> bytes:
                if asyncio.current_task() in silent:
                    await asyncio.Event().wait()
                return data

            proxy.answer = answer
            await time_out(store, [new_key() for _ in range(3)])
            assert failures(store) == {"timeouts": 3}
            now[0] += 60
            assert await store.get(new_key()) is None  # the probe
            await fill_connections(store)
            assert failures(store) == {"timeouts": 3}

    run(main())
