"""What the documentation tells people to type."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def typed(block: str) -> list[str]:
    """Return the lines of a console that somebody types, without their prompts."""
    return [line[2:] for line in block.splitlines() if line[:2] in ("$ ", "# ")]


def ours(page: str) -> list[str]:
    """Return every call of our program on a page, in whatever block it stands."""
    text = "\n".join(re.findall(r"```\w+\n(.*?)```", (DOCS / page).read_text(), re.DOTALL))
    return re.findall(r"(?<![\w./-])(?:/\S*/)?k0sruntime ([a-z][^\n\"]*)", text)
