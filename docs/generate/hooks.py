"""The site's hooks for mkdocs: pages from outside docs, generated texts, links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

from docs.generate.links import PAGES, ROOT, DeadLinkError, led
from docs.generate.texts import UnknownTextError, filled

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Fill in generated texts, and lead links.

    Raises:
        PluginError: a link to nowhere, or a text that nobody makes.
    """
    sources = {place: source for source, place in PAGES.items()}
    name = page.file.src_uri
    try:
        return filled(led(markdown, sources.get(name, f"docs/{name}")))
    except (DeadLinkError, UnknownTextError) as exc:
        raise PluginError(f"{name}: {exc}") from exc
