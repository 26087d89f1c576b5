"""The fenced blocks of the docs, with what the author says about them in a comment before.

::

    <!-- not run: REASON -->      the block is not run; the reason is for the reader of the source
    <!-- with: NAME -->           what the block needs is made first: see ``needs.py``
    <!-- exit: 3 -->              the block's last command ends with this exit code

A TOML, YAML or Python block whose first line is a comment with an absolute path is that file: it
is written before the console blocks that follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?P<said>(?:^<!-- (?:not run|with|exit).*? -->\n+)*)"
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SAID = re.compile(r"<!-- (not run|with|exit):? ?(.*?) -->", re.DOTALL)
_FILE = re.compile(r"# (/\S+|\S+/\S+\.(?:py|toml|yaml))$")
COMMENTS = re.compile(r"^<!-- (?!generated: )(.*?)-->", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    said: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that the block is, where its first line says so."""
        found = _FILE.match(self.text.partition("\n")[0])
        return found[1] if found and self.language in ("toml", "yaml", "python") else ""


def pages() -> list[Path]:
    """Return all pages whose blocks count; those of lint's rules have tests of their own."""
    found = [ROOT / "README.md", *sorted((ROOT / "plugins").glob("*/README.md"))]
    return [*found, *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "rules")]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    return [
        Block(
            name,
            text.count("\n", 0, match.start("indent")) + 1,
            match["language"],
            re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            {key: " ".join(value.split()) for key, value in _SAID.findall(match["said"])},
        )
        for match in _BLOCK.finditer(text)
    ]


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what the page shows as its output."""

    line: str
    output: str


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block: lines that begin with ``$ `` or ``# ``."""
    found: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith(("$ ", "# ")):
            found.append([line[2:]])
        elif not found:
            raise ValueError(f"{block.where}: output before the first command")
        else:
            found[-1].append(line)
    return [_command(lines) for lines in found]


def _command(lines: list[str]) -> Command:
    end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
    return Command("\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :]))
