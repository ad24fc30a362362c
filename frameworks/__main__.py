"""`python -m frameworks [NAME ...]`: all suites, or those that are named.

`oldest` names the tests with the oldest releases (`oldest.py`), `oldest:quart` those of one.

A suite passes where each test that passes bare passes with the middleware around every app, but
for the differences that `differences.toml` names and explains. One that is named there and is none
any more is a failure, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path
from typing import Any, NamedTuple

from .oldest import CONTRACTS
from .oldest import check as check_oldest
from .suites import SUITES, Suite

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv" / "frameworks"
GOOD = ("passed", "xfailed")


class Outcomes(NamedTuple):
    """What has come of one run of a suite."""

    by_test: dict[str, str]
    requests: int
    """How many HTTP requests have gone through the middleware."""


def fetch(suite: Suite) -> Path:
    """Download the sources of a suite from PyPI, and return their folder."""
    source = HOME / f"{suite.name}-{suite.version}"
    if not source.is_dir():
        # For a name only: pip would build the build tools from their sources, too.
        options = ["--quiet", "--no-deps", "--no-binary", suite.name, "--dest", str(HOME)]
        release = f"{suite.name}=={suite.version}"
        subprocess.run([sys.executable, "-m", "pip", "download", *options, release], check=True)
        with tarfile.open(f"{source}.tar.gz") as archive:
            archive.extractall(HOME, filter="data")
    return source


def install(suite: Suite, source: Path) -> Path:
    """Return the Python of an environment with the framework, what its tests need, and us."""
    needs = [part.format(source=source) for part in suite.needs]
    wanted = [suite.requirement, *needs, "--editable", f"{ROOT}[speed]"]
    home = HOME / f"{suite.name}-venv"
    python, stamp = home / "bin" / "python", home / "installed"
    digest = hashlib.sha256(repr(wanted).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        venv.create(home, with_pip=True, clear=True)
        for arguments in (["--upgrade", "pip>=25.1"], wanted):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)
        stamp.write_text(digest)
    return python


def run(python: Path, source: Path, tests: list[str], *, around: bool) -> Outcomes:
    """Run tests in the folder of the sources, bare or with the middleware around every app."""
    written = source.with_name(f"{source.name}-{'around' if around else 'bare'}.json")
    written.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "frameworks"),
        "SUITE_AROUND": "1" if around else "",
        "SUITE_OUTCOMES": str(written),
    }
    plugins = ["-p", "asgi_serial_around", "-p", "no:cacheprovider"]
    with written.with_suffix(".log").open("w") as log:
        subprocess.run(
            [python, "-m", "pytest", "--quiet", *plugins, *tests],
            cwd=source,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if not written.is_file():
        raise SystemExit(f"pytest has not run to its end; see {log.name}.")
    read: dict[str, Any] = json.loads(written.read_text())
    return Outcomes(read["outcomes"], read["requests"])


def differing(bare: Outcomes, ours: Outcomes) -> set[str]:
    """The tests that pass bare, and not with the middleware around."""
    return {
        test
        for test, outcome in bare.by_test.items()
        if outcome in GOOD and ours.by_test.get(test) != outcome
    }


def check(suite: Suite, known: dict[str, str]) -> bool:
    """Run a suite both ways; print what has come of it, and return whether it passes."""
    source = fetch(suite)
    python = install(suite, source)
    bare = run(python, source, [*suite.tests], around=False)
    ours = run(python, source, [*suite.tests], around=True)
    found = differing(bare, ours)
    unexplained = {test for test in found if test.partition("[")[0] not in known}
    if unexplained:
        # A test that fails by chance does not do so twice, nor only with us.
        again = [
            run(python, source, sorted(unexplained), around=around) for around in (False, True)
        ]
        unexplained = differing(*again)
    stale = known.keys() - {test.partition("[")[0] for test in found}
    passed = sum(outcome in GOOD for outcome in bare.by_test.values())
    print(
        f"{suite.name} {suite.version}: {passed} of {len(bare.by_test)} tests pass bare; "
        f"{ours.requests} requests went through the middleware; "
        f"{len(found)} outcomes differ, {len(unexplained)} unexplained"
    )
    for test in sorted(unexplained):
        print(f"  unexplained: {test}: {bare.by_test[test]}, then {ours.by_test.get(test)}")
    for name in sorted(stale):
        print(f"  no longer a difference: {name}")
    if not passed or not ours.requests:
        print("  nothing was tested")
    return bool(passed and ours.requests and not unexplained and not stale)


def main() -> None:
    """Run the suites that are named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m frameworks")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a framework, `oldest`, or `oldest:` and one"
    )
    names = parser.parse_args().names
    oldest = [name for name in CONTRACTS if not names or {"oldest", f"oldest:{name}"} & set(names)]
    known_names = {suite.name for suite in SUITES} | {f"oldest:{name}" for name in CONTRACTS}
    unknown = set(names) - known_names - {"oldest"}
    if unknown:
        parser.error(f"no suite of {', '.join(sorted(unknown))}")
    HOME.mkdir(parents=True, exist_ok=True)
    written = tomllib.loads((ROOT / "frameworks" / "differences.toml").read_text())
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    known = {
        suite.name: {
            test: group["why"] for group in written.get(suite.name, []) for test in group["tests"]
        }
        for suite in chosen
    }
    results = [check(suite, known[suite.name]) for suite in chosen]
    results += [check_oldest(name, ROOT, HOME) for name in oldest]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
