"""The documents say what is so: the table of settings, the errors they quote, their links."""

import json
import logging
import re
from pathlib import Path

import pytest

from asgi_serial.codecs.decoding import UnsupportedCoding
from asgi_serial.codecs.registry import CODINGS
from asgi_serial.errors import ConfigurationError
from asgi_serial.formats.registry import wire_formats
from asgi_serial.reasons import SUBJECTS, Reason
from asgi_serial.representation.problem import TITLES, Problem
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import RoutePolicy
from asgi_serial.timing.recorder import CACHE_OUTCOMES
from frameworks.oldest import OLDEST
from tests.test_words import DIALECT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
FORMATS = (ROOT / "docs" / "formats.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
# The blocks of the other pages run one after the other, in tests of their own.
BLOCKS = [
    pytest.param(first, block, id=f"{page} {place}")
    for page in (
        "README.md",
        "docs/configuration.md",
        "docs/formats.md",
        "docs/metrics.md",
        "docs/timing.md",
    )
    for first, *others in [
        re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    ]
    for place, block in enumerate(["", *others])
]

ROWS = re.findall(r"^\| `(\w+)` \| (unset|`.+?`) \| (.+) \|$", README, re.MULTILINE)


def test_the_readme_lists_every_setting_in_order():
    assert [name for name, _, _ in ROWS] == list(Settings.model_fields)


@pytest.mark.parametrize(("name", "default", "description"), ROWS)
def test_the_readme_describes_a_setting_as_it_is(name, default, description):
    field = Settings.model_fields[name]
    assert description == field.description
    if default == "unset":
        assert not field.default
    else:
        written = Settings.load({}, {f"ASGI_SERIAL_{name.upper()}": default.strip("`")})
        assert getattr(written, name) == field.default


@pytest.mark.parametrize("name", RoutePolicy._fields)
def test_the_configuration_guide_lists_every_policy_option(name):
    assert f"| `{name}` |" in CONFIGURATION


def test_the_page_of_formats_lists_what_no_format_carries_over():
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", FORMATS, re.MULTILINE)
    losses = [(one.name, loss) for one in wire_formats() for loss in one.losses]
    names = {one.name for one in wire_formats()}
    assert [row for row in listed if row[0] in names] == losses


def test_the_settings_name_every_coding_and_its_levels():
    described = {name: field.description for name, field in Settings.model_fields.items()}
    assert described["codings"].endswith(f": {', '.join(one.name for one in CODINGS)}.")
    for one in CODINGS:
        assert f"{one.levels.lowest} to {one.levels.highest}" in described[one.level_setting]


def test_the_page_of_timing_explains_how_the_cache_can_take_part():
    page = (ROOT / "docs" / "timing.md").read_text()
    table = page.partition("| in `cache` | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE) == [
        each for each in CACHE_OUTCOMES if each
    ]


def test_the_page_of_timing_names_the_oldest_releases_that_are_tested():
    page = " ".join((ROOT / "docs" / "timing.md").read_text().split())
    named = re.search(r"They are known from (.+?) on\.", page)[1]
    written = {name.lower(): version for name, version in re.findall(r"(\w+) ([\d.]+\d)", named)}
    tested = {name: wanted[0].partition("==")[2] for name, wanted in OLDEST.items()}
    assert written.keys() == tested.keys()
    assert all(
        version == written[name] or version == f"{written[name]}.0"
        for name, version in tested.items()
    )


def test_the_refusal_that_is_quoted_is_the_one_that_is_sent():
    quoted = json.loads(re.search(r"^\{.*\}$", (ROOT / "docs" / "errors.md").read_text(), re.M)[0])
    detail = f"{str(UnsupportedCoding('lzma')).capitalize()}."
    _, body = Problem(415, Reason.UNSUPPORTED_CODING, detail).messages()
    assert quoted == json.loads(body["body"])


def test_the_reasons_of_refusals_are_those_of_the_code():
    page = (ROOT / "docs" / "errors.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \| ", page, re.MULTILINE)
    assert len(rows) == 7
    for status, reason in rows:
        assert int(status) in TITLES
        assert reason.replace("-", "_").upper() in Reason.__members__


def test_the_page_of_reasons_lists_all_of_them():
    page = (ROOT / "docs" / "reasons.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [
        (reason.token, reason.about, reason.cause, reason.remedy or "nothing")
        for about in SUBJECTS
        for reason in Reason
        if reason.about == about
    ]


def test_the_errors_that_are_quoted_are_those_that_are_raised():
    quoted = re.search(r"```text\n(.*?)\n```", README, re.DOTALL)[1].splitlines()
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
@pytest.mark.parametrize(("first", "block"), BLOCKS)
def test_a_block_runs_after_the_first_one_of_its_page(first, block):
    namespace = {"__name__": __name__}
    exec(first, namespace)
    exec(block, namespace)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_uses_the_dialect(document):
    assert DIALECT.findall(" ".join(document.read_text().split())) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_are_there(document):
    named = re.findall(
        r"`((?:asgi_serial|benchmarks|contrib|docs|examples|frameworks|tests)/[\w./]+\.\w+)`",
        document.read_text(),
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def anchors_of(path):
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_a_heading_lead_to_one(document):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([\w-]+)\)", document.read_text())
    places = [(document.parent / name if name else document, anchor) for name, anchor in links]
    assert [link for link in places if link[1] not in anchors_of(link[0])] == []


def test_the_picture_of_the_readme_is_small_and_has_its_words():
    (words, path), *others = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README)
    picture = (ROOT / path).read_bytes()
    assert others == []
    assert len(words) > 50
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000
