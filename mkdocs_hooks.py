"""Fit the project's Markdown, which is written to be read in the repository, into the site.

Three documents of the repository's root become pages, and links to any other file outside of
`docs/` lead to the repository on GitHub. The Markdown of each page, which `llms.txt` lists, is
written beside it.
"""

import os
import re
from pathlib import Path
from typing import Any

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


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie in the root of the repository."""
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Rewrite links out of `docs/`, and keep the Markdown for `on_post_build`."""
    here = Path(str(page.file.abs_src_path)).parent
    text = rewrite_links(markdown, here, Path(page.file.src_uri).parent)
    page.meta["markdown"] = text
    return text


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Write the Markdown of a page beside it."""
    target = Path(config.site_dir) / page.file.src_uri
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.meta["markdown"], encoding="utf-8")
    return output


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
