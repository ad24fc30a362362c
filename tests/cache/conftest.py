from collections.abc import Iterator

import pytest

from .services import Service, memcached_server, redis_server


@pytest.fixture(scope="session")
def redis() -> Iterator[Service]:
    """A Redis that a test may hang, but leaves running."""
    with redis_server() as service:
        yield service


@pytest.fixture(scope="session")
def memcached() -> Iterator[Service]:
    """A Memcached that a test may hang, but leaves running."""
    with memcached_server() as service:
        yield service


@pytest.fixture(params=["redis", "memcached"])
def server(request: pytest.FixtureRequest) -> tuple[str, Service]:
    """Each kind of server, with the scheme of its URL."""
    return request.param, request.getfixturevalue(request.param)
