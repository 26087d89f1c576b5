"""Finding the line of a TOML file on which a key is set.

Only errors, ``explain`` and ``lint`` need lines, so the reader does not keep them: this scans the
text once when a line is asked for. It knows headers, dotted keys and multi-line strings, and it
is only used on text that has been parsed.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[(\[)?\s*({_KEY})\s*\](?(1)\])")
_SETTING = re.compile(rf"\s*({_KEY})\s*=\s*(.*)")
_PARTS = re.compile(_PART)


@lru_cache(maxsize=64)
def lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) on which each key and table is first named."""
    found: dict[Path, int] = {}
    table: Path = ()
    closing = ""
    depth = 0
    # Not splitlines(): TOML ends a line at a line feed only, never at U+2028 and its kin.
    for number, line in enumerate(text.split("\n"), 1):
        if closing:
            if closing in line:
                closing = ""
            continue
        if depth > 0:
            depth += _brackets(line)
            continue
        if header := _HEADER.match(line):
            table = split_key(header[2])
            _note(found, (), table, number)
        elif setting := _SETTING.match(line):
            _note(found, table, split_key(setting[1]), number)
            closing = _open_string(setting[2])
            depth = 0 if closing else _brackets(setting[2])
            _inline(found, (*table, *split_key(setting[1])), setting[2], number)
    return found


def line_of(text: str, path: Path) -> int:
    """Return the line on which ``path`` is set, or that of the nearest table above it, or 1."""
    known = lines(text)
    for length in range(len(path), 0, -1):
        if path[:length] in known:
            return known[path[:length]]
    return 1


def _note(found: dict[Path, int], table: Path, key: Path, number: int) -> None:
    for length in range(1, len(key) + 1):
        found.setdefault((*table, *key[:length]), number)


def _inline(found: dict[Path, int], path: Path, value: str, number: int) -> None:
    """Note the keys of an inline table that stands on this line, one level after the other."""
    if not value.startswith("{"):
        return
    for match in re.finditer(rf"({_KEY})\s*=", value):
        found.setdefault((*path, *split_key(match[1])), number)


def split_key(key: str) -> Path:
    """Return the parts of a dotted key, without their quotes."""
    return tuple(_unquote(part) for part in _PARTS.findall(key))


def _unquote(part: str) -> str:
    if part[:1] == "'":
        return part[1:-1]
    if part[:1] == '"':
        return _unescaped(part)
    return part


def _unescaped(part: str) -> str:
    r"""Read a basic string: TOML's escapes are JSON's, but for ``\U`` with eight digits."""
    try:
        return str(json.loads(re.sub(r"\\(?:U([0-9a-fA-F]{8})|.)", _astral, part), strict=False))
    except ValueError:
        return part[1:-1]


def _astral(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[0]


def _open_string(value: str) -> str:
    for quotes in ('"""', "'''"):
        if value.startswith(quotes) and quotes not in value[3:]:
            return quotes
    return ""


def _brackets(value: str) -> int:
    bare = re.sub(r"""#.*|"(?:[^"\\]|\\.)*"|'[^']*'""", "", value)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
