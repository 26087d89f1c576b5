"""TOML as a list of statements, so that keys can move between tables with their comments.

tomlkit keeps comments too, but inside its tree of tables: there a key cannot leave ``[a.b]`` for
``[c]`` with the comment above it. A statement knows the text it was written as; all that is not
rewritten is written again to the byte. Only text that has been parsed may be given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from k0sruntime.lines import Path, split_key

PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
KEY = rf"{PART}(?:[ \t]*\.[ \t]*{PART})*"
_HEADER = re.compile(rf"([ \t]*)\[(\[)?[ \t]*({KEY})[ \t]*\](?(2)\])([^\n]*\n?)")
_SETTING = re.compile(rf"([ \t]*)({KEY})([ \t]*=[ \t]*)")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_STRING = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3}"{0,2}'
    r"|'{3}.*?'{3}'{0,2}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_TOKEN = re.compile(
    rf"{_STRING.pattern}|(?P<comment>#[^\n]*)|(?P<open>[\[{{])|(?P<close>[\]}}])|.", re.DOTALL
)
_BARE = re.compile(r"[^#\r\n]*")
_PARTS = re.compile(PART)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Trivia:
    """Blank lines and comments that belong to no key."""

    text: str


@dataclass(frozen=True)
class Setting:
    """A key and its value.

    Attributes:
        key: the key as it is written here, split at its dots.
        value: the value as it is written.
        line: where it stands in the file.
        above: the comment lines right above it, which go where it goes.
        indent: the spaces before it.
        equals: the equals sign with its spaces.
        tail: what follows the value on its line, line feed included.
        raw: how parts of its key were written, by name.
    """

    key: Path
    value: str
    line: int
    above: str = ""
    indent: str = ""
    equals: str = " = "
    tail: str = "\n"
    raw: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the setting as TOML, its comments included."""
        return self.above + self.bare()

    def bare(self) -> str:
        """Return the setting without the comments above it."""
        return f"{self.indent}{written(self.key, self.raw)}{self.equals}{self.value}{self.tail}"


@dataclass
class Section:
    """A table header and what stands below it; the root table has no header.

    Attributes:
        path: the table.
        line: where the header stands.
        body: settings and trivia in their order.
        array: the header has double brackets.
        above: the comment lines right above the header.
        indent: the spaces before it.
        tail: what follows it on its line, line feed included.
        raw: how parts of its path were written, by name.
    """

    path: Path
    line: int = 1
    body: list[Setting | Trivia] = field(default_factory=list)
    array: bool = False
    above: str = ""
    indent: str = ""
    tail: str = "\n"
    raw: dict[str, str] = field(default_factory=dict)

    def settings(self) -> list[Setting]:
        """Return the settings without what stands between them."""
        return [node for node in self.body if isinstance(node, Setting)]

    def header(self) -> str:
        """Return the header as TOML, the comments above it included."""
        if not self.path:
            return self.above
        left, right = ("[[", "]]") if self.array else ("[", "]")
        return f"{self.above}{self.indent}{left}{written(self.path, self.raw)}{right}{self.tail}"

    def text(self) -> str:
        """Return the whole section as TOML."""
        parts = [node.text if isinstance(node, Trivia) else node.text() for node in self.body]
        return self.header() + "".join(parts)


def written(path: Path, raw: dict[str, str]) -> str:
    """Return a key as TOML, its parts as the file wrote them where it did."""
    return ".".join(raw.get(part) or _quoted(part, raw) for part in path)


def _quoted(part: str, raw: dict[str, str]) -> str:
    if _BARE_KEY.fullmatch(part):
        return part
    # Plugin IDs are written with the quotes that the file has for others.
    return f"'{part}'" if any(other[:1] == "'" for other in raw.values()) else f'"{part}"'


def sections(text: str) -> list[Section]:
    """Split TOML into its sections, the root table first; joined again they are the text."""
    found = [Section(())]
    position = 0
    pending = ""
    while position < len(text):
        start = position
        line = text.count("\n", 0, position) + 1
        if blank := _BLANK.match(text, position):
            position = blank.end()
            pending += text[start:position]
        elif header := _HEADER.match(text, position):
            position = header.end()
            free, above = _attached(pending)
            pending = ""
            found[-1].body += free
            path = split_key(header[3])
            raw = dict(zip(path, _PARTS.findall(header[3]), strict=True))
            array = bool(header[2])
            found.append(Section(path, line, [], array, above, header[1], header[4], raw))
        else:
            setting, position = _setting(text, position, line)
            free, above = _attached(pending)
            pending = ""
            found[-1].body += [*free, replace(setting, above=above)]
    found[-1].body += _trivia(_lines(pending))
    return found


def _setting(text: str, position: int, line: int) -> tuple[Setting, int]:
    match = _SETTING.match(text, position)
    if match is None:
        raise ValueError(f"line {line} is neither a key nor a table")
    end = _value_end(text, match.end())
    feed = text.find("\n", end)
    after = len(text) if feed < 0 else feed + 1
    key = split_key(match[2])
    raw = dict(zip(key, _PARTS.findall(match[2]), strict=True))
    value = text[match.end() : end]
    return Setting(key, value, line, "", match[1], match[3], text[end:after], raw), after


def _value_end(text: str, start: int) -> int:
    if string := _STRING.match(text, start):
        return string.end()
    if text[start : start + 1] not in ("[", "{"):
        bare = _BARE.match(text, start)
        return start + len(bare[0].rstrip()) if bare else start
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += bool(token["open"]) - bool(token["close"])
        if depth == 0:
            return token.end()
    return len(text)


def _attached(pending: str) -> tuple[list[Trivia], str]:
    """Split what stands above a statement: comments right above it belong to it."""
    lines = _lines(pending)
    count = 0
    while count < len(lines) and lines[-1 - count].strip():
        count += 1
    cut = len(lines) - count
    return _trivia(lines[:cut]), "".join(lines[cut:])


def _trivia(lines: list[str]) -> list[Trivia]:
    """Part comments that follow the last key at once from what follows a blank line."""
    blank = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    return [Trivia("".join(part)) for part in (lines[:blank], lines[blank:]) if part]


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)
