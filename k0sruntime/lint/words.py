"""Containerd's own words, with the file and the line put in.

Its warnings name a file and a row for keys of the root, and only plugin and key for keys of
plugins; its refusals name a row at best. Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.layers import leaves
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')
ROW = re.compile(r"\((\d+), (\d+)\)|row (\d+) column (\d+)")
STRUCT_FIELD = re.compile(r"cannot decode TOML (\w+) into struct field \S*?(\w+) of type")
CONVERT = re.compile(r"Can't convert (.*)\(\w+\) to ")
UNKNOWN_IN_PLUGIN = "Ignoring unknown key in TOML for plugin"
UNKNOWN = "Ignoring unknown key in TOML"
TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "float": float,
    "array": list,
    "table": dict,
}


@dataclass(frozen=True)
class Copies:
    """The copies that containerd is shown: their texts and their files by name, main file first."""

    texts: Mapping[str, str]
    files: Mapping[str, File]

    @property
    def main(self) -> File:
        """The file at the root, made up where none was given."""
        return next(iter(self.files.values()))

    def is_main(self, file: object) -> bool:
        """Tell whether a file is the one at the root."""
        return file is self.main

    def row(self, file: File, row: int) -> int:
        """Return the line of a row: the main file's copy has one line more."""
        return max(row - 1, 1) if file is self.main else row

    def named(self, text: str) -> File | None:
        """Return the file whose copy is named in a text."""
        return next((file for name, file in self.files.items() if name in text), None)

    def real(self, text: str) -> str:
        """Return a text with the files' own paths in it."""
        for name, file in self.files.items():
            text = text.replace(name, file.path)
        return text


def fields(line: str) -> dict[str, str]:
    """Return the fields of a line of containerd's log."""
    return {name: _unquoted(value) for name, value in FIELD.findall(line)}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value[1:-1]


def warnings(log: str, copies: Copies) -> Iterator[Hit]:
    """Yield what containerd warns of."""
    for line in log.split("\n"):
        if "level=warning" not in line:
            continue
        said = fields(line)
        message, key = said.get("msg", ""), said.get("key", "")
        file = copies.named(said.get("file", "")) or copies.main
        remedy = "Correct the key, or take it out."
        what = f"containerd ignores the unknown key {key!r}"
        if message == UNKNOWN_IN_PLUGIN:
            yield from _in_plugin(said.get("plugin", ""), key, copies)
        elif message == UNKNOWN:
            row = copies.row(file, int(said.get("row", "0")))
            yield Hit(file, what, remedy, line=row, column=int(said.get("column", "0")))
        elif message:
            error = f": {said['error']}" if "error" in said else ""
            yield Hit(
                file, copies.real(f"containerd says: {message}{error}"), "Mend what it names."
            )


def _in_plugin(plugin: str, key: str, copies: Copies) -> Iterator[Hit]:
    """Yield every place of a key of a plugin; containerd spells its path with blanks."""
    what = f"containerd ignores the unknown key {key!r} of {plugin}"
    places = [
        (file, path)
        for file in copies.files.values()
        for path in _paths(table_at(file.document, "plugins"), ("plugins",))
        if " ".join(path[2:]) == key
    ]
    exact = [place for place in places if place[1][1] == plugin]
    # A file of an older version is migrated first, so that the plugin may have another name in it.
    for file, path in exact or places:
        yield Hit(file, what, "Correct the key, or take it out.", path)
    if not places:
        yield Hit(copies.main, what, "Correct the key, or take it out.")


def _paths(table: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for name, value in table.items():
        here = (*path, name)
        yield here
        if isinstance(value, dict):
            yield from _paths(value, here)


def refusal(log: str, copies: Copies) -> Hit:
    """Return why containerd refuses the whole, with the file to blame where that can be told."""
    lines = [line for line in log.split("\n") if line.strip()]
    last = _reason(lines)
    for line in lines:
        said = fields(line)
        if "level=error" in line and "row" in said and (file := copies.named(said.get("file", ""))):
            row = copies.row(file, int(said["row"]))
            return _refused(said.get("error", last), copies, file, row, int(said.get("column", 0)))
    message = last.removeprefix("containerd: ")
    position = ROW.search(message)
    numbers = [int(n) for n in position.groups() if n] if position else [0, 0]
    if file := copies.named(message):
        return _refused(message, copies, file, copies.row(file, numbers[0]), numbers[1])
    if place := _by_value(message, numbers[0], copies):
        return Hit(place[0], _worded(message, copies), _REMEDY, place[1])
    return Hit(copies.main, _worded(message, copies), _REMEDY)


def _reason(lines: list[str]) -> str:
    """Return the line that says why: containerd's last one, or what a panic begins with."""
    for start in ("containerd: ", "panic: "):
        if found := [line for line in lines if line.startswith(start)]:
            return found[-1]
    return lines[-1] if lines else "no reason given"


_REMEDY = "Correct the value, or take it out."


def _refused(message: str, copies: Copies, file: File, line: int, column: int) -> Hit:
    return Hit(file, _worded(message, copies), _REMEDY, line=line, column=column)


def _worded(message: str, copies: Copies) -> str:
    return f"containerd refuses it: {copies.real(message)}"


def _by_value(message: str, row: int, copies: Copies) -> tuple[File, Path] | None:
    """Find the key that a message is about, by the name of its field or by its row and value."""
    field, value = STRUCT_FIELD.search(message), CONVERT.search(message)
    for file in copies.files.values():
        for path, here in leaves(file.document):
            name = path[-1].replace("_", "").lower()
            if field and name == field[2].lower() and isinstance(here, TYPES.get(field[1], object)):
                return file, path
            at_row = value and copies.row(file, row) in (file.line(path), file.line(path) + 1)
            if at_row and value and str(here) == value[1]:
                return file, path
    return None
