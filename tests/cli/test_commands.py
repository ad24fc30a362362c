"""The command line: its options, its errors, and the commands that print or serve."""

import io
import json
import os
import subprocess
import sys

import pytest

from asgi_serial.__main__ import main
from asgi_serial.cli.command import FINDINGS, FINE, USAGE
from asgi_serial.cli.console import Console
from asgi_serial.cli.main import COMMANDS
from asgi_serial.cli.main import run as run_here
from asgi_serial.cli.settings import shown_settings
from asgi_serial.settings.model import Settings
from tests.apps import sites
from tests.cache.services import free_port, redis_server
from tests.cli.commands import ROOT, Run, clean_environment, run, serving
from tests.pages import read_page

PAGE = read_page("command-line")


@pytest.fixture
def inside(capsys, monkeypatch):
    """Run a command in this process, which takes no second to start."""
    for name in [name for name in os.environ if name.upper().startswith("ASGI_SERIAL_")]:
        monkeypatch.delenv(name)

    def run_inside(*arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            code = run_here(list(arguments), program="asgi-serial")
        except SystemExit as left:  # by argparse
            code = left.code
        return Run(code, *capsys.readouterr())

    return run_inside


def test_the_script_is_the_module():
    script = subprocess.run(
        [f"{sys.prefix}/bin/asgi-serial", "--version"], capture_output=True, text=True, check=True
    )
    ended = run("--version")
    assert script.stdout == ended.out == "asgi-serial 0.1.0\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_is_on_the_page(inside, command):
    ended = inside(command.name, "--help")
    assert ended.code == FINE
    assert ended.out.startswith(f"usage: asgi-serial {command.name} ")
    assert f"`{command.name}" in PAGE


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("doctor",), ("doctor", "a:b", "--no")])
def test_a_wrong_command_is_explained(arguments):
    ended = run(*arguments)
    assert (ended.code, ended.out) == (USAGE, "")
    assert ended.err.startswith("usage: python -m asgi_serial")


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        ("main", (), "'main' is not the name of an app; expected module:app, such as main:app."),
        (":app", (), "expected module:app, such as main:app."),
        (
            "examples/fastapi_app.py",
            (),
            "names a file; expected module:app, such as fastapi_app:app --app-dir examples.",
        ),
        ("fastapi_app.py:api", (), "expected module:app, such as fastapi_app:api."),
        ("exampels.fastapi_app:app", (), "There is no module 'exampels' in "),
        ("exampels.fastapi_app:app", (), "Did you mean 'examples'? --app-dir names another"),
        ("examples.nothing:app", (), "There is no module 'examples.nothing'"),
        ("examples.fastapi_app:api", (), "examples.fastapi_app has no 'api'. It has app."),
        ("tests.apps.faulty_import:app", (), "imports 'not_there_at_all', which is not installed"),
        ("tests.apps.faulty_code:app", (), "cannot be imported: ZeroDivisionError: "),
        ("tests.apps.faulty_code:app", (), "faulty_code.py"),
        ("tests.apps.faulty_exit:app", (), "exits when it is imported (3); does it start a server"),
        ("tests.apps.strange:number", (), "is of the type int; expected an ASGI app."),
        ("tests.apps.strange:make", (), "is it one that makes the app? Then use --factory."),
        ("tests.apps.strange:number", ("--factory",), "expected a function, or leave --factory"),
        ("tests.apps.strange:make_with", ("--factory",), "takes arguments; expected a function"),
        ("tests.apps.strange:make_later", ("--factory",), "is a coroutine function; expected a"),
        ("tests.apps.strange:fail", ("--factory",), "fail() has failed: LookupError: on purpose"),
        ("a:b", ("--app-dir", "/nowhere"), "--app-dir '/nowhere' is not a directory."),
    ],
)
def test_an_app_that_cannot_be_had_is_explained(spec, options, says, capsys):
    assert run_here(["routes", spec, *options]) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("asgi-serial routes: ")
    assert says in printed.err


def test_wrong_settings_of_an_app_are_explained(inside):
    ended = inside("settings", "tests.apps.wrong_settings:app")
    assert (ended.code, ended.out) == (USAGE, "")
    assert "The settings are wrong:\ngzip_levl is not a setting" in ended.err


def test_an_app_of_a_directory_and_one_of_a_factory(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from starlette.applications import Starlette\n"
        "from starlette.routing import Route\n"
        "async def prices(request): ...\n"
        "def make(): return Starlette(routes=[Route('/prices', prices)])\n"
    )
    for options in (("--app-dir", tmp_path), ()):
        ended = run(
            "routes",
            "shop:make",
            "--factory",
            "--json",
            *options,
            cwd=ROOT if options else tmp_path,
        )
        (row,) = ended.document
        assert (row["route"], row["methods"]) == ("/prices", ["GET", "HEAD"])
        assert row["where"].endswith("shop.py:3")


def test_settings_say_where_they_come_from():
    ended = run(
        "settings",
        "examples.fastapi_app:app",
        "--json",
        ASGI_SERIAL_GZIP_LEVEL="4",
        ASGI_SERIAL_CACHE_URL="redis://user:secret@localhost/1",
    )
    rows = {row["name"]: row for row in ended.document}
    assert list(rows) == list(Settings.model_fields)
    assert (rows["gzip_level"]["value"], rows["gzip_level"]["source"]) == (
        4,
        "ASGI_SERIAL_GZIP_LEVEL",
    )
    assert (rows["report_path"]["value"], rows["report_path"]["source"]) == ("/timing", "argument")
    assert (rows["min_size"]["value"], rows["min_size"]["source"]) == (500, "default")
    assert rows["routes"]["value"] == {"/export": {"compression": False}}
    assert rows["cache_url"]["value"] == "redis://***@localhost/1"


def test_settings_of_the_environment_alone(inside):
    ended = inside(
        "settings", "--changed", ASGI_SERIAL_REPORT_TOKEN="s3cret", ASGI_SERIAL_CACHE="off"
    )
    assert ended.code == FINE
    assert ended.out.splitlines() == [
        "setting       value     from",
        "cache         off       ASGI_SERIAL_CACHE",
        "report_token  (secret)  ASGI_SERIAL_REPORT_TOKEN",
    ]


def test_settings_of_which_none_is_given(inside):
    assert inside("settings", "--changed").out == "All settings have their defaults.\n"
    assert json.loads(inside("settings", "--changed", "--json").out) == []


def test_settings_need_the_middleware(inside):
    ended = inside("settings", "tests.apps.strange:alone")
    assert ended.code == USAGE
    assert "has no SerialMiddleware" in ended.err


def test_settings_can_be_shown_as_json_without_their_secrets():
    secrets = {"purge_token": "t0ken", "report_token": "r3port", "cache_secret": "s3cret" * 3}
    settings = Settings.load(
        {
            **secrets,
            "purge_path": "/p",
            "report_path": "/r",
            "cache_url": "redis://:p4ss@h",
            "routes": {"/a": {"cache_partition": len}, "/b": {"cache_partition": "cookie:a"}},
        },
        {},
    )
    shown = json.dumps(shown_settings(settings))
    assert [value for value in ("p4ss", *secrets.values()) if value in shown] == []
    rows = {row["name"]: row for row in json.loads(shown)}
    assert rows["routes"]["value"]["/b"] == {"cache_partition": ["cookie:a"]}
    assert all(row["description"] for row in rows.values())


@pytest.mark.parametrize("name", [name for name in sites.FRAMEWORKS if name != "plain"])
def test_the_routes_of_each_framework_are_listed(name):
    ended = run("routes", f"tests.apps.sites:{name}", "--json")
    assert ended.code == FINE, ended.err
    routes = {row["route"]: row for row in ended.document}
    assert {"/", "/items/{id}", "/api/v1/users/{name}/posts/{post}", "/drop"} <= set(routes)
    assert any(route.startswith("/files/{") for route in routes)
    if name != "django":
        assert "GET" in routes["/"]["methods"]
        assert "POST" in routes["/drop"]["methods"]
        assert "GET" not in routes["/drop"]["methods"]
    assert all(row["handler"] for row in ended.document)


def test_routes_show_their_policies():
    ended = run("routes", "examples.fastapi_app:app")
    lines = {line.split()[1]: line for line in ended.out.splitlines()}
    assert lines["/books"].endswith("add_book") or "cache_ttl=60s" in lines["/books"]
    assert lines["/search"].endswith("cache_ttl=60s, cache_body=True")
    assert lines["/export"].endswith("compression=False")


def test_an_app_without_routes_is_explained(inside):
    ended = inside("routes", "tests.apps.strange:odd")
    assert ended.code == USAGE
    assert "has no routes that can be listed" in ended.err


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    settings = ("report_path=/-/r", "report_token=r3port", "purge_path=/-/p", "purge_token=p")
    options = [word for each in (*settings, "cache_ttl=60s") for word in ("--set", each)]
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, "tests.apps.plain_page:app", *options) as server:
        yield server


def test_an_app_is_served_with_the_middleware(served):
    assert [served.get("/page").cache for _ in range(2)] == ["fwd=uri-miss", "hit"]


def test_the_report_of_a_server_is_printed(served):
    served.get("/page")
    url = f"{served.url}/-/r"
    ended = run("report", url, "--token", "r3port")
    assert (ended.code, ended.err) == (FINE, "")
    assert " requests " in ended.out
    document = run("report", url, "--json", ASGI_SERIAL_REPORT_TOKEN="r3port").document
    assert document["schema"] == 2
    assert document["totals"]["count"] >= 1


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("/-/r", (), "requires a token (401); pass report_token by --token."),
        ("/-/r", ("--token", "wrong"), "does not accept the token (401); compare it with"),
        ("/page", (), "is not a timing report (text/plain; charset=utf-8)."),
        ("/missing", (), "does not exist (404); expected the report_path of the server."),
        ("/moved", ("--token", "r3port"), "has answered with the status 302; expected 200."),
        ("/broken", (), "has answered with the status 500; expected 200."),
    ],
)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_what_is_no_report_is_said(inside, served, path, options, says, as_json):
    ended = inside("report", f"{served.url}{path}", *options, *as_json)
    assert (ended.code, ended.out) == (FINDINGS, "")
    assert says in ended.err


def test_a_server_that_is_not_there_is_said(inside):
    ended = inside("report", f"http://127.0.0.1:{free_port()}/-/r")
    assert ended.code == FINDINGS
    assert "cannot be reached" in ended.err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8000/x", "/-/r", "ftp://h/x"])
def test_only_http_is_asked(inside, url):
    ended = inside("report", url)
    assert (ended.code, ended.out) == (USAGE, "")
    assert "is not a URL of HTTP" in ended.err


def test_a_server_is_told_to_purge(served):
    served.get("/page?purged")
    assert served.get("/page?purged").cache == "hit"
    ended = run("purge", f"{served.url}/-/p", "--uri", "/page?purged", "--token", "p")
    assert (ended.code, ended.out) == (FINE, f"Purged at {served.url}/-/p.\n")
    assert served.get("/page?purged").cache != "hit"


@pytest.mark.parametrize(
    ("path", "token", "options", "code", "says"),
    [
        ("/-/p", "x", ("--everything",), FINDINGS, "does not accept the token (401)"),
        ("/-/p", None, ("--everything",), USAGE, "A server purges with a token only"),
        ("/-/p", "p", (), USAGE, "There is nothing to purge; name it by --tag"),
        ("/page", "p", ("--tag", "a"), FINDINGS, "does not purge (405)"),
        ("/-/p", "p", ("--uri", "not a uri"), FINDINGS, "has not purged (400). 'not a uri'"),
    ],
)
def test_a_purge_that_is_refused_is_said(inside, served, path, token, options, code, says):
    variables = {"ASGI_SERIAL_PURGE_TOKEN": token} if token else {}
    ended = inside("purge", f"{served.url}{path}", *options, **variables)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err


def test_a_store_that_servers_share_is_purged(tmp_path):
    with redis_server() as redis:
        url = f"redis://127.0.0.1:{redis.port}/0"
        variables = {"ASGI_SERIAL_CACHE_URL": url, "ASGI_SERIAL_CACHE_POLL": "10ms"}
        options = ("--set", "cache_ttl=60s")
        with serving(tmp_path, "tests.apps.plain_page:app", *options, **variables) as server:
            server.get("/page")
            assert server.get("/page").cache == "hit"
            ended = run("purge", "--prefix", "/page", "--json", **variables)
            assert ended.document == {"url": url, "purged": True, "fault": None}
            while server.get("/page").cache == "hit":
                pass
            other = run("purge", url, "--everything", "--namespace", "other")
            assert other.code == FINE


def test_a_store_that_is_not_there_is_not_purged(inside):
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    ended = inside("purge", url, "--everything", "--json")
    assert ended.code == FINDINGS
    assert ended.document["purged"] is False
    assert "secret" not in ended.out + ended.err


def test_nothing_to_purge_from_is_said(inside):
    ended = inside("purge", "--everything")
    assert (ended.code, "There is nothing to purge from" in ended.err) == (USAGE, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--set", "cache_ttl"), "has no '='; expected NAME=VALUE"),
        (("--set", "ttl=60"), "ttl is not a setting; did you mean cache_ttl?"),
        (("--set", "cache_ttl=1", "--set", "cache_ttl=2"), "--set names cache_ttl twice."),
    ],
)
def test_a_wrong_setting_is_not_served(inside, options, says):
    ended = inside("serve", "tests.apps.plain_page:app", *options)
    assert ended.code == USAGE
    assert says in ended.err


def test_an_app_that_has_the_middleware_takes_no_settings(inside):
    ended = inside("serve", "examples.fastapi_app:app", "--set", "cache_ttl=60s")
    assert ended.code == USAGE
    assert "has a SerialMiddleware already" in ended.err


def test_an_app_that_has_the_middleware_is_served_as_it_is(tmp_path):
    with serving(tmp_path, "examples.fastapi_app:app", "--log-level", "warning") as server:
        assert server.get("/books").cache == "fwd=uri-miss"
        assert "served as it is" in server.log()


def test_several_workers_serve(tmp_path):
    options = ("--workers", "2", "--set", "cache_name=w")
    with serving(tmp_path, "tests.apps.plain_page:app", *options) as server:
        assert server.get("/page").fields["cache-status"].startswith("w;")


def test_a_reader_that_leaves_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "asgi_serial", "settings"],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


def test_the_module_returns_the_code(capsys):
    assert main(["settings"]) == FINE
    assert "cache_ttl" in capsys.readouterr().out


class Terminal(io.StringIO):
    """A terminal, as far as a console asks."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("variable", "colour"), [("", "\033[31mx\033[0m"), ("1", "x")])
def test_colours_are_for_terminals_that_want_them(monkeypatch, variable, colour):
    monkeypatch.setenv("NO_COLOR", variable)
    assert Console(Terminal()).paint("x", "red") == colour
    assert Console(io.StringIO()).paint("x", "red") == "x"
