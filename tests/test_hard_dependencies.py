"""Everything can be imported where no extra and no other framework is installed."""

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = {
    *("msgspec", "isal", "zlib_ng", "cbor2", "redis", "valkey", "aiomcache", "fastapi", "litestar"),
}
sys.meta_path.insert(0, Absent())

import asgi_serial
for module in pkgutil.walk_packages(asgi_serial.__path__, "asgi_serial."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted(ABSENT & set(sys.modules)))
"""


def test_every_module_imports_with_the_hard_dependencies_alone():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")
