from collections.abc import Iterator

import pytest

from .services import Service, memcached_server, redis_server


@pytest.fixture(scope="session")
def _redis() -> Iterator[Service]:
    with redis_server() as service:
        yield service


@pytest.fixture(scope="session")
def _memcached() -> Iterator[Service]:
    with memcached_server() as service:
        yield service


@pytest.fixture
def redis(_redis: Service) -> Service:
    """An empty Redis that a test may hang, but leaves running."""
    _redis.ask(b"FLUSHALL")
    return _redis


@pytest.fixture
def memcached(_memcached: Service) -> Service:
    """An empty Memcached that a test may hang, but leaves running."""
    _memcached.ask(b"flush_all")
    return _memcached


@pytest.fixture(params=["redis", "memcached"])
def server(request: pytest.FixtureRequest) -> tuple[str, Service]:
    """Each kind of server, with the scheme of its URL."""
    return request.param, request.getfixturevalue(request.param)
