"""Fit the project's Markdown, which is written to be read in the repository, into the site.

Three documents of the repository's root become pages, and links to any other file outside of
`docs/` lead to the repository on GitHub. `docs/llms.txt` lists the pages for language models, whose
Markdown is written beside them. Docstrings, which the reference of the public API shows, are made
Markdown as well.
"""

import os
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent
REPOSITORY = "https://github.com/asgi-serial/asgi-serial"
ROOT_PAGES = {
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}

# A code block, which stays as it is, or the target of a link.
_BLOCK_OR_LINK = re.compile(r"^```.*?^```|(?<=\]\()(?![a-z]+:|#)([^)#\s]+)", re.M | re.S)

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def on_config(config: MkDocsConfig) -> None:
    """Bring `docs/llms.txt` up to date with the navigation and the pages."""
    path, text = ROOT / "docs" / "llms.txt", list_pages(config.nav or [])
    # It is left alone if nothing has changed, so that a server which watches it comes to rest.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def list_pages(nav: list[dict[str, Any]]) -> str:
    """Return `llms.txt`: each page with its address and its first sentence, by section."""
    alone, sections = [], []
    for title, pages in (entry for part in nav for entry in part.items()):
        (alone if isinstance(pages, str) else sections).append((title, pages))
    lines = ["# asgi_serial", "", f"> {_introduce(alone[0][1])}"]
    for section, pages in [("Start", [dict(alone[1:])]), *sections]:
        lines += ["", f"## {section}", ""]
        lines += [
            f"- [{title}]({page}): {_introduce(page)}"
            for one in pages
            for title, page in one.items()
        ]
    return "\n".join(lines) + "\n"


def _introduce(page: str) -> str:
    """Return the first sentence of a page."""
    sources = {target: ROOT / name for name, target in ROOT_PAGES.items()}
    text = sources.get(page, ROOT / "docs" / page).read_text(encoding="utf-8")
    paragraph = " ".join(text.split("\n\n")[1].split())
    sentence = re.match(r".+?\.(?= |$)", paragraph)
    return _LINK.sub(r"\1", sentence[0] if sentence else paragraph.rstrip(":") + ".")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie in the root of the repository."""
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Rewrite links out of `docs/`, and keep the Markdown for `on_post_build`."""
    here = Path(str(page.file.abs_src_path)).parent
    text = link_names(rewrite_links(markdown, here, Path(page.file.src_uri).parent))
    page.meta["markdown"] = text
    return text


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Write the Markdown of a page beside it."""
    target = Path(config.site_dir) / page.file.src_uri
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.meta["markdown"], encoding="utf-8")
    return output


def link_names(markdown: str) -> str:
    """Return the text with names in the first column of a table linked to their descriptions."""

    def link(match: re.Match[str]) -> str:
        described = f"\n::: asgi_serial.{match[1]}\n" in markdown
        return f"| [`{match[1]}`](#asgi_serial.{match[1]}) |" if described else match[0]

    return re.sub(r"^\| `(\w+)` \|", link, markdown, flags=re.MULTILINE)


def rewrite_links(markdown: str, here: Path, folder: Path) -> str:
    """Return the text with its links as the site needs them.

    `here` is the folder of the document, and `folder` that of its page in the site.
    """

    def rewrite(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        path = Path(os.path.normpath(here / match[1])).relative_to(ROOT).as_posix()
        if path in ROOT_PAGES:
            return os.path.relpath(ROOT_PAGES[path], folder)
        if path.startswith("docs/"):
            return os.path.relpath(path.removeprefix("docs/"), folder)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{path}"

    return _BLOCK_OR_LINK.sub(rewrite, markdown)


class Docstrings(griffe.Extension):
    """Makes the docstrings of the package Markdown, for mkdocstrings to show."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = format_docstring(obj.docstring.value)


def format_docstring(text: str) -> str:
    """Return a docstring with its examples in blocks of code, and its errors marked."""
    paragraphs = text.split("\n\n")
    for place, paragraph in enumerate(paragraphs):
        if paragraph.startswith(">>> "):
            paragraphs[place] = f"```pycon\n{paragraph}\n```"
        else:
            lines = map(str.strip, paragraph.splitlines())
            marked = re.sub(r"\b(Raises:?) ", r"**\1** ", "\n".join(lines))
            paragraphs[place] = re.sub(r"docs/(\w+/([\w-]+))\.md", r"[\2](../\1.md)", marked)
    return "\n\n".join(paragraphs)
