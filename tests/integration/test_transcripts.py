"""Pages are followed step by step, as a reader would, with real servers."""

import pytest

from tests.cache.services import redis_server
from tests.pages import DOCS, ROOT, name_of, path_of
from tests.transcripts import Terminal, resembles


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


@pytest.fixture
def follow(tmp_path, redis):
    terminal = Terminal(tmp_path, redis.port)
    with terminal.stack:
        yield lambda path: terminal.follow(path.read_text())


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", DOCS / "index.md", path_of("caching")], ids=name_of
)
def test_each_command_of_a_page_prints_what_it_says(follow, path):
    followed = follow(path)
    assert len(followed) > 1
    assert [one for one in followed if not resembles(*one[1:])] == []


def test_each_command_of_the_tutorial_prints_what_it_says(follow):
    followed = follow(path_of("tutorial"))
    assert len(followed) > 15
    assert [one for one in followed if not resembles(*one[1:])] == []
    whole, compressed = [
        int(real.split()[0]) for command, _, real in followed if "size_download" in command
    ]
    assert compressed < whole / 3
    (report,) = [real for command, _, real in followed if command.endswith("/-/timing")]
    assert "GET /books" in report
