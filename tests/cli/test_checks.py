"""The checks of `doctor` on what is not installed here, and the progress of long commands."""

import io
import os
import pty
import types
from threading import Event

import pytest
from starlette.applications import Starlette

from asgi_serial.cli import console as consoles
from asgi_serial.cli.apps import Layer, find_engines, layers_of, parts_of
from asgi_serial.cli.checks.configuration import _may_match
from asgi_serial.cli.checks.layers import check_layers
from asgi_serial.cli.checks.subject import Subject
from asgi_serial.cli.console import Console, Progress
from asgi_serial.cli.findings import Code, Finding
from asgi_serial.cli.route_list import list_routes
from asgi_serial.engine.engine import Engine
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.model import Settings


async def app(scope, receive, send):
    raise AssertionError("a check does not call the app")


def of_package(module, name):
    """A middleware class as a package has it."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)

    return type(name, (), {"__module__": module, "__init__": __init__, "__call__": __call__})


def findings_of(subject):
    found = Subject("main:app", subject, [], layers_of(subject), [], [])
    return [finding.code.value for finding in check_layers(found)]


@pytest.mark.parametrize(
    ("module", "name", "inside", "outside"),
    [
        ("brotli_asgi", "BrotliMiddleware", "compressed-inside", "compressed-outside"),
        ("starlette_compress", "CompressMiddleware", "compressed-inside", "compressed-outside"),
        ("starlette.middleware.gzip", "GZipMiddleware", "compressed-inside", "compressed-outside"),
        ("zstd_asgi", "ZstdMiddleware", "compressed-inside", "compressed-outside"),
        ("starlette_caches.middleware", "CacheMiddleware", "cached-elsewhere", "cached-elsewhere"),
        ("msgpack_asgi", "MessagePackMiddleware", "formats-elsewhere", "formats-elsewhere"),
        (
            "starlette.middleware.base",
            "BaseHTTPMiddleware",
            "base-http-inside",
            "base-http-outside",
        ),
        ("starlette.middleware.cors", "CORSMiddleware", None, None),
        ("uvicorn.middleware.proxy_headers", "ProxyHeadersMiddleware", None, None),
        ("shop", "Anything", None, None),
    ],
)
def test_a_middleware_is_known_by_its_package_inside_and_outside(module, name, inside, outside):
    cls = of_package(module, name)
    derived = type("Derived", (cls,), {"__module__": "shop"})
    for one in (cls, derived):
        assert findings_of(SerialMiddleware(one(app))) == ([inside] if inside else [])
        assert findings_of(one(SerialMiddleware(app))) == ([outside] if outside else [])


def test_an_app_without_the_middleware_has_no_order():
    assert findings_of(of_package("brotli_asgi", "BrotliMiddleware")(app)) == []


def test_the_layers_of_an_app_are_seen_from_the_outside_in():
    outer = of_package("shop", "Outer")
    inner = of_package("shop", "Inner")
    seen = layers_of(outer(SerialMiddleware(inner(app))))
    assert [layer.name for layer in seen][:3] == [
        "shop.of_package.<locals>.Outer" if "." in outer.__qualname__ else "shop.Outer",
        "asgi_serial.middleware.SerialMiddleware",
        "shop.of_package.<locals>.Inner" if "." in inner.__qualname__ else "shop.Inner",
    ]
    assert [layer.is_ours for layer in seen][:3] == [False, True, False]


def test_an_app_that_wraps_itself_has_an_end():
    loop = of_package("shop", "Loop")(None)
    loop.app = loop
    assert list(parts_of(loop)) == [loop]


def test_a_middleware_that_is_listed_only_has_its_engine_made_or_given():
    engine = Engine(Settings.load({}, {}))
    given, made = Starlette(), Starlette()
    given.add_middleware(SerialMiddleware, engine=engine)
    made.add_middleware(SerialMiddleware, gzip_level=3)
    assert find_engines(given) == [engine]
    assert [one.settings.gzip_level for one in find_engines(made)] == [3]
    assert find_engines(Starlette()) == []


@pytest.mark.parametrize(
    ("template", "path", "may"),
    [
        ("/a", "/a", True),
        ("/a", "/b", False),
        ("/a/{x}", "/a/7", True),
        ("/a/{x}", "/b/7", False),
        ("/a/{x}/b", "/a/7/b", True),
        ("/a/{x}/b/{y}", "/a/7/b/8", True),
        ("/a/{x}/b/{y}", "/a/7/c/8", False),
        ("/{path}", "/any/path", True),
    ],
)
def test_a_route_may_take_a_path(template, path, may):
    assert _may_match(template, path) is may


def test_a_layer_of_any_object_has_a_name():
    assert Layer(len, {}).name == "builtins.len"
    assert Layer(7, {}).name


def test_findings_are_values():
    finding = Finding(Code.NESTED, "Two.", "here")
    assert finding.to_dict() == {
        "code": "nested",
        "level": "warning",
        "message": "Two.",
        "what_to_do": Code.NESTED.remedy,
        "where": "here",
    }


@pytest.mark.parametrize("subject", [7, None, object(), types.SimpleNamespace(routes=3), app])
def test_an_object_of_no_framework_has_no_routes(subject):
    assert list_routes(subject) == []


class Written(io.StringIO):
    """A file that tells when a text has been written to it."""

    def __init__(self, wanted, *, is_terminal):
        super().__init__()
        self._wanted, self._is_terminal = wanted, is_terminal
        self.has_it = Event()

    def isatty(self):
        return self._is_terminal

    def write(self, text):
        written = super().write(text)
        if self._wanted in self.getvalue():
            self.has_it.set()
        return written


def shown_by(err, total):
    """What the progress of a task has written, once the wanted text is there."""
    progress = Progress(err, "Asking", total)
    progress.step("first")
    try:
        assert err.has_it.wait(300)  # only a progress that is never shown takes this long
    finally:
        progress.stop()
    return err.getvalue()


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(consoles, "SHOWN_AFTER_SECONDS", 0.0)
    shown = shown_by(Written("first ...\n", is_terminal=False), 3)
    assert set(shown.splitlines()) <= {"Asking 0/3 ...", "Asking 1/3 first ..."}


def test_progress_is_one_line_on_a_terminal_without_rich(monkeypatch):
    monkeypatch.setattr(consoles, "SHOWN_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(consoles, "find_spec", lambda name: None)
    shown = shown_by(Written("Asking first (", is_terminal=True), 0)
    assert "\n" not in shown
    assert shown.endswith("\r")


def test_progress_is_a_bar_of_rich_on_a_terminal(monkeypatch):
    monkeypatch.setattr(consoles, "SHOWN_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    assert "\033[" in shown_by(Written("Asking 1/3 first", is_terminal=True), 3)


def test_what_is_quick_shows_no_progress():
    err = io.StringIO()
    with Console(io.StringIO(), err).progress("Asking", 3) as progress:
        progress.step("first")
    assert err.getvalue() == ""


def test_a_terminal_is_coloured():
    """A pseudo-terminal is one for the command, too."""
    leader, follower = pty.openpty()
    try:
        with open(follower, "w", closefd=False) as out:
            assert Console(out).paint("x", "red") == (
                "x" if os.environ.get("NO_COLOR") else "\033[31mx\033[0m"
            )
    finally:
        os.close(leader)
        os.close(follower)
