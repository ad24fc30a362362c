"""docs/explanation/library.md says what is so: its blocks run, its tables are whole."""

import asyncio
import re

import pytest

from asgi_serial import SerializationConfig, SerializationFormat
from asgi_serial.serialization.environment import OLDER_NAMES
from frameworks.oldest import CONTRACTS
from tests.pages import ROOT, blocks_of, read_page, run_program

from .models import Point

PAGE = read_page("library")
SETTINGS = re.findall(r"^\| `([a-z_]+)` \| (unset|`.+?`) \| (.+) \|$", PAGE, re.M)


def test_the_blocks_run_one_after_the_other(monkeypatch, capsys):
    for name in OLDER_NAMES:
        monkeypatch.delenv(name, raising=False)
    asyncio.run(run_program("\n".join(blocks_of(PAGE))))
    assert "Orders: zstd 12 saves" in capsys.readouterr().out


def test_the_oldest_release_of_pydantic_is_the_one_that_is_required_and_tested():
    (oldest,) = re.findall(r"It works with Pydantic ([\d.]+) and every later release", PAGE)
    assert f'"pydantic>={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert CONTRACTS["pydantic"].releases == (f"pydantic=={oldest}.0",)


def test_the_table_of_settings_is_whole_and_in_order():
    assert [name for name, _, _ in SETTINGS] == list(SerializationConfig.model_fields)


@pytest.mark.parametrize(("name", "default", "description"), SETTINGS)
def test_a_setting_is_described_as_it_is(name, default, description):
    field = SerializationConfig.model_fields[name]
    assert description == " ".join(field.description.split())
    if default == "unset":
        assert field.default is None
    else:
        written = SerializationConfig(**{name: default.strip("`")})
        assert getattr(written, name) == field.default


def test_the_table_of_older_names_is_whole():
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([a-z_]+)` \|$", PAGE, re.M)
    assert dict(rows) == OLDER_NAMES


def keys_of(value):
    """Every key in nested dicts."""
    for key, inner in value.items():
        yield key
        if isinstance(inner, dict):
            yield from keys_of(inner)


@pytest.mark.parametrize("format", list(SerializationFormat))
def test_every_key_of_statistics_and_report_is_named(make_manager, format):
    manager = make_manager(store="memory://", compression_threshold=0)
    for _ in range(2):
        manager.deserialize_sync(manager.serialize_sync(Point(x=1, y=2), format), Point, format)
    report = manager.get_performance_report()
    found = {*keys_of(manager.get_stats()), *keys_of(report["summary"])}
    found |= {key for row in report["operations"].values() for key in row} | report.keys()
    counters = {"adds", "increments", "deletes", "refusals", "oversized", "not_bytes"}
    found -= counters | {"skipped_by_breaker"}
    assert [key for key in sorted(found) if not re.search(rf"\b{key}\b", PAGE)] == []
