"""The frameworks whose own tests are run, at the releases that are pinned here."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """One framework's source distribution, and how its tests are run."""

    name: str
    version: str
    needs: tuple[str, ...]
    """What pip installs beside the framework; `{source}` is the folder of its sources."""
    tests: tuple[str, ...]
    """Arguments for pytest, in that folder."""
    extras: str = ""

    @property
    def requirement(self) -> str:
        """The framework itself, for pip."""
        return f"{self.name}{self.extras}=={self.version}"


_LITESTAR_UNITS = (
    *("asgi", "di.py", "guards.py", "handlers", "kwargs", "middleware", "response"),
    *("security", "static_files"),
)

SUITES = (
    Suite(
        "starlette",
        "1.10.0",
        ("--group", "{source}/pyproject.toml:dev"),
        ("tests",),
    ),
    # With tests/test_async_dependency_cleanup.py.
    Suite(
        "fastapi",
        "0.165.0",
        ("--group", "{source}/pyproject.toml:tests"),
        ("tests", "--timeout=300"),
        "[all]",
    ),
    # The last release whose source distribution has the tests. Of its unit tests, those that make
    # requests; no test that needs a database server. SQLAlchemy 2.1 warns on import.
    Suite(
        "litestar",
        "2.13.0",
        (
            *("pytest<8", "pytest-asyncio", "pytest-lazy-fixtures", "pytest-mock"),
            *("pytest-rerunfailures", "pytest-timeout", "pytest-xdist", "time-machine"),
            *("beautifulsoup4", "fsspec", "greenlet", "hypothesis", "python-dotenv", "starlette"),
            *("trio", "aiosqlite", "psutil", "httpx-sse", "opentelemetry-sdk", "picologging"),
            *("asyncpg", "psycopg[pool,binary]<3.2", "psycopg2-binary", "sqlalchemy<2.1"),
        ),
        (
            *("tests/e2e", "--ignore=tests/e2e/test_advanced_alchemy.py"),
            *(f"tests/unit/test_{part}" for part in _LITESTAR_UNITS),
            "--timeout=300",
        ),
        "[annotated-types,attrs,brotli,cli,cryptography,jinja,jwt,mako,minijinja,opentelemetry,"
        "pydantic,redis,sqlalchemy,standard,structlog]",
    ),
    # Its servers' tests run the apps in other processes, where nothing is put around them.
    Suite(
        "falcon",
        "4.4.0",
        ("-r", "{source}/requirements/tests"),
        ("tests", "--ignore=tests/asgi/test_asgi_servers.py"),
    ),
)
