"""Blocks of the documents in other languages than Python: commands, fields, configuration."""

import json
import re
import shlex
import tomllib
from urllib.parse import urlsplit

import pytest
import yaml

from asgi_serial import Reason, Settings
from asgi_serial.cli.main import run
from asgi_serial.settings.model import PREFIX
from tests.pages import DOCUMENTS, ROOT, name_of

BLOCK = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(language, block, id=f"{name_of(path)} {place}")
    for path in DOCUMENTS
    for place, (language, block) in enumerate(BLOCK.findall(path.read_text()))
    if language != "python"
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()


def commands_of(block):
    """The commands in a block: all lines, or those after a prompt if there are any."""
    lines = block.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or [line for line in lines if line.strip() and not line.startswith("#")]


def check_make(words):
    targets = [word for word in words if "=" not in word]
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)


def check_pip(words):
    assert words[0] == "install"
    for package in words[1:]:
        name, _, extras = package.partition("[")
        if name == PROJECT["name"]:
            wanted = {one for one in extras.rstrip("]").split(",") if one}
            assert wanted <= PROJECT["optional-dependencies"].keys()


def check_own(words, capsys):
    with pytest.raises(SystemExit) as ended:
        run([words[0], "--help"])
    assert ended.value.code == 0
    described = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in described] == []
    for setting in [words[place + 1] for place, word in enumerate(words) if word == "--set"]:
        assert setting.partition("=")[0] in Settings.model_fields


def check_curl(words):
    (address,) = [word for word in words if re.match(r"https?://|localhost|127\.0\.0\.1", word)]
    assert urlsplit(address if "://" in address else f"//{address}").hostname
    for place, word in enumerate(words):
        if word == "-H":
            assert re.fullmatch(r"[A-Za-z-]+: \S.*", words[place + 1])
        if word == "-d" and words[place + 1].startswith("{"):
            json.loads(words[place + 1])


def check_server(words):
    assert re.fullmatch(r"[\w.]+:\w+", words[0])


def check_python(words):
    if words[0] == "-m":
        assert words[1] in ("venv", "http.server") or (ROOT / words[1].replace(".", "/")).exists()
    else:
        assert (ROOT / words[0]).exists()


CHECKS = {
    "make": check_make,
    "pip": check_pip,
    "curl": check_curl,
    "uvicorn": check_server,
    "granian": lambda words: check_server(words[-1:]),
    "hypercorn": check_server,
    "gunicorn": check_server,
    "python": check_python,
    "python3": check_python,
}


def check_commands(block, capsys):
    commands = commands_of(block)
    assert commands
    for command in commands:
        words = shlex.split(command.partition(" | ")[0].partition(" && ")[0], comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            if name.startswith(PREFIX):
                Settings.load({}, {name: value})  # raises for a wrong one
        if not words:
            continue
        if words[0] == "asgi-serial":
            check_own(words[1:], capsys)
        else:
            CHECKS[words[0]](words[1:])


def check_nginx(block):
    lines = [re.sub(r"#.*", "", line).strip() for line in block.splitlines()]
    assert block.count("{") == block.count("}")
    assert [line for line in lines if line and line[-1] not in ";{}"] == []


def check_http(block):
    start, *fields = block.splitlines()
    assert re.fullmatch(r"HTTP/1\.1 \d{3} .+|[A-Z]+ \S+ HTTP/1\.1", start)
    assert [field for field in fields if not re.fullmatch(r"[\w-]+: \S.*", field)] == []


@pytest.mark.parametrize(("language", "block"), BLOCKS)
def test_a_block_is_well_formed(language, block, capsys):
    if language == "console":
        check_commands(block, capsys)
    elif language == "nginx":
        check_nginx(block)
    elif language == "http":
        check_http(block)
    elif language == "yaml":
        assert yaml.safe_load(block)
    elif language == "toml":
        assert tomllib.loads(block)
    elif language == "json":
        assert json.loads(block)
    else:
        assert language == "text", "name the language of the block, or text for output"


TOKENS = {reason.token for reason in Reason}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_reasons_that_are_quoted_are_those_that_there_are(document):
    # A state that Cache-Status gives in `detail` is no reason (RFC 9211, 2.8).
    states = {"stale-while-revalidate", "stale-if-error", "stale-accepted"}
    quoted = re.findall(r"\b(?:detail|not)=([a-z]+(?:-[a-z]+)*)", document.read_text())
    assert set(quoted) - TOKENS - states == set()
