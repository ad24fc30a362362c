"""Other versions of the package, to be measured in place of the one beside this folder."""

import compileall
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "asgi_serial"
ROOT = str(Path(__file__).parents[1])


@contextmanager
def package_of(source: str, root: str = ROOT) -> Iterator[str]:
    """Give a folder that holds the package alone, for as long as it is measured.

    `source` is the path of a checkout, or names a commit of `root`.
    Raises: ValueError, where it is neither.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(source, NAME)
        if checkout.is_dir():
            os.symlink(checkout.resolve(), Path(folder, NAME))
        else:
            _unpack(source, root, folder)
        # No worker has to compile it, which takes long under callgrind.
        compileall.compile_dir(str(Path(folder, NAME).resolve()), quiet=2)
        yield folder


def _unpack(commit: str, root: str, folder: str) -> None:
    command = ["git", "-C", root, "archive", commit, "--", NAME]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(
            f"{commit!r} is no checkout of {NAME} and no commit: {done.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
