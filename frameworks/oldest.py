"""The oldest releases of frameworks that are supported, and the tests that they pass.

`python -m frameworks oldest` installs each in an environment of its own and runs the contract of
routes with it, the tests of OpenAPI documents with FastAPI and Litestar together, and those of how
documents are read with Pydantic. The newest releases are in the test requirements of
`pyproject.toml`.
"""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path
from typing import NamedTuple

OLDEST: dict[str, tuple[str, ...]] = {
    "starlette": ("starlette==0.37.0",),
    "fastapi": ("fastapi==0.115.0",),
    "litestar": ("litestar==2.12.0", "sniffio"),
    "quart": ("quart==0.19.0", "flask<3.1", "werkzeug<3.1"),
    "django": ("django==4.2.0",),
    "falcon": ("falcon==4.0.0",),
    "blacksheep": ("blacksheep==2.6.2",),
    "sanic": ("sanic==23.12.0", "setuptools<81"),
}
"""What pip installs, by the name of the site in `tests/sites`."""


class Contract(NamedTuple):
    """Tests, and the releases that they are run with."""

    releases: tuple[str, ...]
    tests: tuple[str, ...]
    """The arguments of pytest."""
    extras: str = ""


CONTRACTS = {
    **{
        name: Contract(releases, ("tests/timing/test_routes_contract.py", "-k", name))
        for name, releases in OLDEST.items()
    },
    "openapi": Contract(
        (*OLDEST["fastapi"], *OLDEST["litestar"], "httpx>=0.27"), ("tests/openapi",), "[cbor]"
    ),
    "pydantic": Contract(
        ("pydantic==2.7.0",),
        (
            "tests/serialization/test_plain_reading.py",
            "tests/serialization/test_rebuilt.py",
            "tests/serialization/test_read_back.py::test_a_result_that_is_read_as_it_was_is_stored",
            "tests/serialization/test_read_back.py::test_other_values_differ",
        ),
        "[cbor]",
    ),
}


def check(name: str, root: Path, home: Path) -> bool:
    """Run a contract with the oldest releases; return whether it is kept."""
    contract = CONTRACTS[name]
    package = f"{root}{contract.extras}"
    wanted = [*contract.releases, "pytest>=8", "hypothesis>=6.100", "--editable", package]
    folder = home / f"oldest-{name}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    digest = hashlib.sha256(repr(wanted).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        stamp.write_text(digest)
    # The old release may use what Python or another package has deprecated since.
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", *contract.tests]
    ran = subprocess.run(
        [python, "-m", "pytest", *options], cwd=root, capture_output=True, text=True
    )
    summary = ran.stdout.strip().splitlines()[-1:] or [ran.stderr.strip()]
    print(f"{' '.join(contract.releases)}: {summary[0]}")
    if ran.returncode:
        print(ran.stdout[-8_000:])
    return ran.returncode == 0
