"""The documentation as a site: it builds, its links lead somewhere, and a phone can show it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from mkdocs_hooks import ROOT_PAGES, format_docstring, link_names, list_pages, rewrite_links
from tests.integration.browser import open_browser
from tests.pages import DOCS, ROOT

# Attributes by which a page has something loaded as it is opened.
LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href")}


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, which names a Python function."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
NAV = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]


class Page(HTMLParser):
    """The ids of a page, and what it links to and loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = {""}, [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        for name in ("href", "src"):
            if (target := values.get(name)) is not None:
                self.links.append(target)
                if (tag, name) in LOADING and values.get("rel") != "canonical":
                    self.loaded.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, freshly built."""
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert "WARNING" not in ran.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    # 404.html may be sent for any path, and links from the root of a server.
    found = sorted({*site.rglob("*.html")} - {site / "404.html"})
    return {path: Page(path) for path in found}


def listed(nav):
    """The addresses of the pages in a part of the navigation."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in listed(part)]


def test_every_document_is_in_the_navigation_once():
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(listed(NAV)) == sorted(written | set(ROOT_PAGES.values()))


def test_the_list_for_language_models_is_up_to_date():
    assert (DOCS / "llms.txt").read_text() == list_pages(NAV), "make docs brings it up to date"


def test_the_list_for_language_models_names_files_of_the_site(site):
    assert (site / "llms.txt").exists()
    assert [page for page in listed(NAV) if not (site / page).read_text().startswith("# ")] == []


@pytest.mark.parametrize("page", listed(NAV))
def test_a_page_begins_with_what_it_is_about(page):
    names = {target: name for name, target in ROOT_PAGES.items()}
    path = ROOT / names[page] if page in names else DOCS / page
    _, first, *_ = path.read_text().split("\n\n")
    assert re.match(r"[A-Za-z]|`\w", first)
    assert re.search(r"[.:?]( |\n|$)", first)


REPOSITORY = "https://github.com/asgi-serial/asgi-serial"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param("[a](timing.md#the-page)", "[a](timing.md#the-page)", id="in its folder"),
        pytest.param("[a](../index.md)", "[a](../index.md)", id="in another folder"),
        pytest.param("[a](../../SECURITY.md#x)", "[a](../security.md#x)", id="a page of the root"),
        pytest.param(
            "[a](../../examples/caching.py)",
            f"[a]({REPOSITORY}/blob/main/examples/caching.py)",
            id="a file that is no page",
        ),
        pytest.param("[a](../../examples)", f"[a]({REPOSITORY}/tree/main/examples)", id="a folder"),
        pytest.param("[a](#here), [b](https://x.example/y)", None, id="nothing to rewrite"),
        pytest.param("```text\n[a](../../SECURITY.md)\n```", None, id="a block of code"),
    ],
)
def test_links_are_rewritten_for_the_site(written, shown):
    folder = Path("explanation")
    assert rewrite_links(written, DOCS / folder, folder) == (shown or written)


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        pytest.param("Do it.\n\nMore.", "Do it.\n\nMore.", id="text"),
        pytest.param(">>> f()\n1", "```pycon\n>>> f()\n1\n```", id="an example"),
        pytest.param("Raises: E if\n    it fails.", "**Raises:** E if\nit fails.", id="errors"),
        pytest.param("See docs/reference/api.md.", "See [api](../reference/api.md).", id="a page"),
    ],
)
def test_docstrings_become_markdown(docstring, shown):
    assert format_docstring(docstring) == shown


def test_names_in_a_table_lead_to_their_descriptions():
    text = "| `purge` | drops |\n| `other` | is not described |\n\n::: asgi_serial.purge\n"
    linked = text.replace("| `purge`", "| [`purge`](#asgi_serial.purge)")
    assert link_names(text) == linked


def test_every_link_and_anchor_of_the_site_leads_somewhere(site, pages):
    lost = []
    for path, page in pages.items():
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme in ("https", "mailto", "data"):
                continue
            file = path.parent / unquote(parts.path) if parts.path else path
            file = Path(os.path.normpath(file / "index.html" if file.is_dir() else file))
            known = pages[file].ids if file in pages else {""}
            if not file.exists() or unquote(parts.fragment) not in known:
                lost.append((path.relative_to(site).as_posix(), target))
    assert lost == []


def test_links_to_elsewhere_are_well_formed(pages):
    targets = {link for page in pages.values() for link in page.links}
    elsewhere = [urlsplit(link) for link in targets if "://" in link]
    assert elsewhere
    assert [link for link in elsewhere if link.scheme != "https" or "." not in link.netloc] == []


def test_no_page_loads_anything_from_elsewhere(pages):
    assert [
        (path.name, target)
        for path, page in pages.items()
        for target in page.loaded
        if urlsplit(target).netloc
    ] == []


WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_no_page_scrolls_sideways_on_a_phone_or_asks_another_host(site, pages):
    wide = []
    with open_browser() as browser, browser.page(width=390) as page:
        for path in pages:
            page.open(path.as_uri())
            wide += [(path.name, by) for by in [page.evaluate(WIDER)] if by > 0]
        asked = [
            event["params"]["request"]["url"]
            for event in page.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert page.complaints() == []
    assert wide == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
