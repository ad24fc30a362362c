"""README.md, which GitHub and PyPI show: how long it is, how it renders, and that it is true."""

import asyncio
import re
import warnings
from importlib.metadata import entry_points

import httpx
import pytest

from benchmarks.traffic import SAME_ORIGIN
from tests.pages import ROOT, blocks_of, run_program

README = (ROOT / "README.md").read_text()
RAW = "https://raw.githubusercontent.com/asgi-serial/asgi-serial/main/"


def test_it_is_short():
    assert README.count("\n") <= 150


def test_pypi_can_render_it():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the renderer's own parts
        from readme_renderer import markdown

        html = markdown.render(README)
    assert html is not None
    assert html.count("<table>") == 2
    assert "<img" in html
    # What the renderer takes for an attack, or does not understand, it leaves as text.
    assert "&lt;" not in html
    assert "](" not in html
    assert "][" not in html


def test_every_link_and_picture_is_an_address_that_pypi_can_follow():
    targets = re.findall(r"\]\(([^)]+)\)|^\[[\w-]+\]: (\S+)$", README, re.MULTILINE)
    found = ["".join(pair) for pair in targets]
    assert len(found) > 15
    assert [target for target in found if not target.startswith("https://")] == []


def test_every_link_that_is_defined_is_used_and_the_other_way_round():
    defined = set(re.findall(r"^\[([\w-]+)\]: ", README, re.MULTILINE))
    code = r"^```.*?^```|`[^`\n]+`|^\[[^\]]+\]: .+$|!\[[^\]]*\]"
    prose = re.sub(code, "", README, flags=re.MULTILINE | re.DOTALL)
    used = {name.lower() for name in re.findall(r"\[([\w-]+)\](?!\[|\()", prose)}
    assert used == defined


def test_the_picture_is_small_and_has_its_words():
    (words, address), *others = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README)
    picture = (ROOT / address.removeprefix(RAW)).read_bytes()
    assert address.startswith(RAW)
    assert others == []
    assert len(words) > 50
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000


async def answers(program):
    """Two responses of the app to a browser."""
    app = (await run_program(program)).app
    transport = httpx.ASGITransport(app)
    fields = {name.decode(): value.decode() for name, value in SAME_ORIGIN.items()}
    async with httpx.AsyncClient(transport=transport) as client:
        return [await client.get("https://api.example.com/books", headers=fields) for _ in "12"]


def in_text(response):
    lines = [f"{name}: {value}" for name, value in response.headers.items()]
    return "\n".join(["HTTP/1.1 200 OK", *lines]) + "\n"


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_browser_gets_what_is_shown(is_after):
    program, _ = blocks_of(README)
    without = re.sub(r"^app\.add_middleware.*\n", "", program, flags=re.MULTILINE)
    _, second = asyncio.run(answers(program if is_after else without))
    shown = sorted(blocks_of(README, "http")[is_after].splitlines())
    real = sorted(in_text(second).splitlines())
    # The length depends on the release of zstd, and the ages on the time.
    vague = re.compile(r"(content-length: |age: |ttl=)\d+")
    assert [vague.sub(r"\1", line) for line in shown] == [vague.sub(r"\1", line) for line in real]


def test_the_commands_that_are_named_are_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in re.findall(r"python -m ([\w.]+)", README):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert "asgi-serial" in {one.name for one in entry_points(group="console_scripts")}
