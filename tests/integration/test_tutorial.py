"""The tutorial, followed step by step as a reader would, with real servers."""

import pytest

from tests.cache.services import redis_server
from tests.pages import read_page
from tests.transcripts import Terminal, resembles


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    with redis_server() as redis:
        terminal = Terminal(tmp_path_factory.mktemp("tutorial"), redis.port)
        with terminal.stack:
            yield terminal.follow(read_page("tutorial"))


def test_each_command_prints_what_the_page_says(followed):
    assert len(followed) > 15
    assert [one for one in followed if not resembles(*one[1:])] == []


def test_compression_makes_the_list_smaller(followed):
    whole, compressed = [
        int(real.split()[0]) for command, _, real in followed if "size_download" in command
    ]
    assert compressed < whole / 3


def test_the_report_has_the_routes_of_the_app(followed):
    (report,) = [real for command, _, real in followed if command.endswith("/-/timing")]
    assert "GET /books" in report
