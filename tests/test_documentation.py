"""The documents say what is so: the reference of settings, the errors they quote, their links."""

import asyncio
import json
import logging
import re

import pytest

import asgi_serial
from asgi_serial.codecs.decoding import UnsupportedCoding
from asgi_serial.codecs.registry import CODINGS
from asgi_serial.errors import ConfigurationError
from asgi_serial.formats import registry
from asgi_serial.reasons import SUBJECTS, Reason
from asgi_serial.representation.problem import TITLES, Problem
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import RoutePolicy
from asgi_serial.timing.recorder import CACHE_OUTCOMES
from frameworks.oldest import OLDEST
from tests.pages import (
    DOCUMENTS,
    ROOT,
    anchors_of,
    blocks_of,
    name_of,
    programs_of,
    read_page,
    run_program,
)
from tests.test_words import DIALECT

README = (ROOT / "README.md").read_text()
SETTINGS = read_page("settings")
CONFIGURATION = read_page("configuration")
FORMATS = read_page("formats")
# Two pages are run in tests of their own.
PROGRAMS = [
    pytest.param(program, id=f"{name_of(path)} {place}")
    for path in DOCUMENTS
    if path.stem not in ("caching", "library")
    for place, program in enumerate(programs_of(blocks_of(path.read_text())))
]

SETTING = re.compile(r"^### `(\w+)`\n\n(.+)\n\n(Default: .+)$", re.MULTILINE)


def written_default(name):
    """The default of a setting as a user would write it; None if that is to leave it out."""
    default = re.search(rf"^### `{name}`\n.*?^Default: (?:unset|`(.+?)`)\. ", SETTINGS, re.M | re.S)
    return default and default[1]


def expected_value(name):
    """What the error says that is raised for a wrong value."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        Settings.load({name: object()}, {})
    return str(caught.value).partition("expected ")[2].removesuffix(".")


def test_the_reference_has_every_setting_once():
    assert sorted(name for name, _, _ in SETTING.findall(SETTINGS)) == sorted(Settings.model_fields)
    assert SETTINGS.count("\n### ") == len(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_reference_describes_a_setting_as_it_is(name):
    field, default = Settings.model_fields[name], written_default(name)
    if default is None:
        assert not field.default
    else:
        written = Settings.load({}, {f"ASGI_SERIAL_{name.upper()}": default})
        assert getattr(written, name) == field.default
    facts = (
        f"Default: {f'`{default}`' if default else 'unset'}. Value: {expected_value(name)}. "
        f"Variable: `ASGI_SERIAL_{name.upper()}`."
    )
    assert f"### `{name}`\n\n{field.description}\n\n{facts}\n" in SETTINGS


@pytest.mark.parametrize("name", RoutePolicy._fields)
def test_the_configuration_guide_lists_every_policy_option(name):
    assert f"| `{name}` |" in CONFIGURATION


def test_the_page_of_formats_lists_what_no_format_carries_over():
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", FORMATS, re.MULTILINE)
    losses = [(one.name, loss) for one in registry.FORMATS for loss in one.losses]
    names = {one.name for one in registry.FORMATS}
    assert [row for row in listed if row[0] in names] == losses


def test_the_settings_name_every_coding_and_its_levels():
    described = {name: field.description for name, field in Settings.model_fields.items()}
    assert described["codings"].endswith(f": {', '.join(one.name for one in CODINGS)}.")
    for one in CODINGS:
        assert f"{one.levels.lowest} to {one.levels.highest}" in described[one.level_setting]


def test_the_page_of_timing_explains_how_the_cache_can_take_part():
    page = read_page("timing")
    table = page.partition("| in `cache` | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE) == [
        each for each in CACHE_OUTCOMES if each
    ]


def test_the_page_of_timing_names_the_oldest_releases_that_are_tested():
    page = " ".join(read_page("timing").split())
    named = re.search(r"They are known from (.+?) on\.", page)[1]
    written = {name.lower(): version for name, version in re.findall(r"(\w+) ([\d.]+\d)", named)}
    tested = {name: wanted[0].partition("==")[2] for name, wanted in OLDEST.items()}
    assert written.keys() == tested.keys()
    assert all(
        version == written[name] or version == f"{written[name]}.0"
        for name, version in tested.items()
    )


def test_the_refusal_that_is_quoted_is_the_one_that_is_sent():
    quoted = json.loads(re.search(r"^\{.*\}$", read_page("errors"), re.M)[0])
    detail = f"{str(UnsupportedCoding('lzma')).capitalize()}."
    _, body = Problem(415, Reason.UNSUPPORTED_CODING, detail).messages()
    assert quoted == json.loads(body["body"])


def test_the_reasons_of_refusals_are_those_of_the_code():
    page = read_page("errors")
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \| ", page, re.MULTILINE)
    assert len(rows) == 7
    for status, reason in rows:
        assert int(status) in TITLES
        assert reason.replace("-", "_").upper() in Reason.__members__


def test_the_page_of_reasons_lists_all_of_them():
    page = read_page("reasons")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [
        (reason.token, reason.about, reason.cause, reason.remedy or "nothing")
        for about in SUBJECTS
        for reason in Reason
        if reason.about == about
    ]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (r"^### `(\w+)`$", list(Settings.model_fields)),
        (rf"^\| `([a-z-]+)` \| (?:{'|'.join(SUBJECTS)}) \|", [each.token for each in Reason]),
        (r"^::: asgi_serial\.(\w+)$", asgi_serial.__all__),
    ],
    ids=["setting", "reason", "public name"],
)
def test_each_stands_once_in_the_reference(written, names):
    text = "\n".join(path.read_text() for path in sorted((ROOT / "docs/reference").glob("*.md")))
    assert sorted(re.findall(written, text, re.MULTILINE)) == sorted(names)


def test_the_errors_that_are_quoted_are_those_that_are_raised():
    quoted = blocks_of(SETTINGS, "text")[0].splitlines()
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({}, {"ASGI_SERIAL_GZIP_LEVEL": "12", "ASGI_SERIAL_GZIP_LEVL": "1"})
    assert sorted(quoted) == sorted(str(caught.value).splitlines())


@pytest.fixture
def level_restored():
    logger = logging.getLogger("asgi_serial")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("level_restored")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_block_runs(program):
    asyncio.run(run_program(program))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_between_documents_lead_somewhere(document):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_document_uses_the_dialect(document):
    assert DIALECT.findall(" ".join(document.read_text().split())) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_are_there(document):
    named = re.findall(
        r"`((?:asgi_serial|benchmarks|contrib|docs|examples|frameworks|tests)/[\w./]+\.\w+)`",
        document.read_text(),
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_to_a_heading_lead_to_one(document):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([\w-]+)\)", document.read_text())
    places = [(document.parent / name if name else document, anchor) for name, anchor in links]
    assert [link for link in places if link[1] not in anchors_of(link[0])] == []


HOME = re.compile(
    r"https://github\.com/asgi-serial/asgi-serial/(blob|tree)/main/([^\s)#]+)(#[\w-]+)?"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_into_the_repository_lead_to_a_file_of_it(document):
    for kind, name, anchor in HOME.findall(document.read_text()):
        path = ROOT / name
        assert path.is_dir() if kind == "tree" else path.is_file(), name
        assert not anchor or anchor[1:] in anchors_of(path)
