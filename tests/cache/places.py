"""Stores at each kind of URL, on real servers."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .services import certificate, free_port, redis_cluster, redis_sentinel, redis_server

PASSWORD = "p@ss/w#rd?%"
ENCODED = quote(PASSWORD, safe="")
START_SECONDS = 120.0


@contextmanager
def at_socket() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a b@redis.sock"
        with redis_server("--unixsocket", path, "--requirepass", PASSWORD):
            deadline = time.monotonic() + START_SECONDS
            while not Path(path).exists():
                assert time.monotonic() < deadline
            yield f"unix://:{ENCODED}@{quote(path)}?db=2"


@contextmanager
def at_database() -> Iterator[str]:
    with redis_server("--requirepass", PASSWORD) as service:
        yield f"redis://:{ENCODED}@127.0.0.1:{service.port}?db=3"


@contextmanager
def at_tls() -> Iterator[str]:
    with certificate() as tls, redis_server(tls=tls) as service:
        yield f"rediss://127.0.0.1:{service.port}/1?ssl_ca_certs={tls.file}"


@contextmanager
def at_unchecked_tls() -> Iterator[str]:
    with certificate() as tls, redis_server(tls=tls) as service:
        yield f"valkeys://localhost:{service.port}?ssl_cert_reqs=none"


@contextmanager
def at_mutual_tls() -> Iterator[str]:
    with certificate() as tls, redis_server("--tls-auth-clients", "yes", tls=tls) as service:
        files = f"ssl_certfile={tls.file}&ssl_keyfile={tls.key}&ssl_ca_certs={tls.file}"
        yield f"rediss://127.0.0.1:{service.port}?{files}"


@contextmanager
def at_sentinel() -> Iterator[str]:
    lines = (f'sentinel auth-pass main "{PASSWORD}"', 'requirepass "s3cret"')
    with (
        redis_server("--requirepass", PASSWORD) as master,
        redis_sentinel(master, *lines) as sentinel,
    ):
        # The first of the sentinels is not there.
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
        yield f"redis+sentinel://:{ENCODED}@{hosts}/main/4?sentinel_password=s3cret"


@contextmanager
def at_tls_sentinel() -> Iterator[str]:
    with (
        certificate() as tls,
        redis_server(tls=tls) as master,
        redis_sentinel(master, tls=tls) as sentinel,
    ):
        yield f"rediss+sentinel://127.0.0.1:{sentinel.port}/main?ssl_ca_certs={tls.file}"


@contextmanager
def at_cluster() -> Iterator[str]:
    with redis_cluster(password=PASSWORD) as nodes:
        # The first of the nodes is not there.
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{nodes[1].port}"
        yield f"redis+cluster://:{ENCODED}@{hosts}"


@contextmanager
def at_tls_cluster() -> Iterator[str]:
    with certificate() as tls, redis_cluster(tls=tls) as nodes:
        yield f"valkeys+cluster://127.0.0.1:{nodes[0].port}?ssl_ca_certs={tls.file}"


PLACES = [
    at_socket,
    at_database,
    at_tls,
    at_unchecked_tls,
    at_mutual_tls,
    at_sentinel,
    at_tls_sentinel,
    at_cluster,
    at_tls_cluster,
]
