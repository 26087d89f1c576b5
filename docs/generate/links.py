"""Files of the repository that are pages of the site, and links that lead out of docs."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/k0sruntime/k0sruntime"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{
        f"plugins/{name}/README.md": f"providers/{name}.md"
        for name in ("dockerd", "gvisor", "mirrors", "nvidia")
    },
    "examples/vendors/k0sruntime-crun/README.md": "examples/crun.md",
    "examples/vendors/k0sruntime-stargz/README.md": "examples/stargz.md",
}
"""Files outside docs that are pages: where they lie, and where on the site."""
_LINK = re.compile(r"(?<!!)\]\((?!https?:|mailto:|#)([^)\s#]*)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


class DeadLinkError(Exception):
    """A page links to a file that is not there."""


def led(markdown: str, file: str) -> str:
    """Return a page with its relative links right for the site.

    Args:
        markdown: the page.
        file: where it lies in the repository, such as ``docs/migrate.md``.

    Raises:
        DeadLinkError: the repository has no such file.
    """
    parts = _FENCE.split(markdown)
    return "".join(p if p.startswith("```") else _LINK.sub(_leader(file), p) for p in parts)


def _leader(file: str) -> Callable[[re.Match[str]], str]:
    here = posixpath.dirname(place(file))

    def lead(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        if not (ROOT / path).exists():
            raise DeadLinkError(f"{file} links to {target}, and there is no {path}")
        if path in PAGES or (path.startswith("docs/") and path.endswith((".md", ".svg"))):
            return f"]({posixpath.relpath(place(path), here or '.')}{anchor})"
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{path}{anchor})"

    return lead


def place(file: str) -> str:
    """Return where a file of the repository is on the site."""
    return PAGES.get(file, file.removeprefix("docs/"))
