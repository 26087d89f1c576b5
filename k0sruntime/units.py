"""What units and init scripts say: services of other hands, read and never written.

Sources: systemd.unit(5) (folders and drop-ins), systemd.syntax(7) (comments, continued lines),
systemd.service(5) (quoting), openrc-run(8).
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from k0sruntime.node import Files

FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where systemd looks for units, the first that has one counts."""
_ESCAPES = {"n": "\n", "t": "\t", "s": " ", "r": "\r"}


class UnitValue(NamedTuple):
    """A value of a unit, and the file that says it."""

    text: str
    path: str


def unit_values(
    files: Files, unit: str, section: str, key: str, folders: Sequence[str] = FOLDERS
) -> tuple[UnitValue, ...]:
    """Return all values of a key of a systemd unit, drop-ins included, in systemd's order.

    An empty value takes back what was said before, as systemd has it for lists.
    """
    found: list[UnitValue] = []
    for path in _unit_files(files, unit, folders):
        for value in _values(files.read(path) or b"", section, key):
            if not value:
                found.clear()
            else:
                found.append(UnitValue(value, path))
    return tuple(found)


def _unit_files(files: Files, unit: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield the unit's file and its drop-ins; of two drop-ins of one name the first folder's."""
    main = next((p for folder in folders if files.exists(p := f"{folder}/{unit}")), "")
    if main:
        yield main
    dropins: dict[str, str] = {}
    for folder in folders:
        for name in files.names(f"{folder}/{unit}.d"):
            if name.endswith(".conf"):
                dropins.setdefault(name, f"{folder}/{unit}.d/{name}")
    yield from (dropins[name] for name in sorted(dropins))


def _values(data: bytes, section: str, key: str) -> Iterator[str]:
    text = re.sub(r"\\\n\s*", " ", data.decode(errors="replace"))
    inside = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            inside = line[1:-1]
        elif inside == section and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            if equals and name.strip() == key:
                yield value.strip()


def unit_words(text: str) -> list[str]:
    """Split a command line of a unit into words: quotes, escapes, ``%%`` and ``$$``."""
    words, word, quote, begun = [], "", "", False
    position = 0
    while position < len(text):
        sign = text[position]
        position += 1
        if sign == "\\" and position < len(text):
            sign, position = _escaped(text, position)
            word, begun = word + sign, True
        elif quote:
            word, quote = (word, "") if sign == quote else (word + sign, quote)
        elif sign in "\"'":
            quote, begun = sign, True
        elif sign.isspace():
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + sign, True
    if begun:
        words.append(word)
    return [found.replace("%%", "%").replace("$$", "$") for found in words]


def _escaped(text: str, position: int) -> tuple[str, int]:
    sign = text[position]
    if sign == "x" and re.fullmatch(r"[0-9A-Fa-f]{2}", code := text[position + 1 : position + 3]):
        return chr(int(code, 16)), position + 3
    return _ESCAPES.get(sign, sign), position + 1


def unit_command(text: str) -> list[str]:
    """Return the words of an ``ExecStart``, without the signs that may stand before the program."""
    words = unit_words(text)
    return [words[0].lstrip("@-:+!"), *words[1:]] if words else []


def script_command(data: bytes) -> list[str]:
    """Return the words that an OpenRC script starts: its ``command`` and ``command_args``."""
    text = data.decode(errors="replace")
    command, arguments = _variable(text, "command"), _variable(text, "command_args")
    if not command:
        return []
    try:
        return [command, *shlex.split(arguments)]
    except ValueError:  # an open quote: the shell would not start it either
        return []


def script_words(data: bytes, names: Iterable[str]) -> list[str]:
    """Return the words of variables that a ``conf.d`` file sets, in the order of their names.

    ``command_args_foreground`` follows ``command_args`` (openrc's ``supervise-daemon.sh``).
    """
    text, words = data.decode(errors="replace"), []
    for name in names:
        try:
            words += shlex.split(_variable(text, name))
        except ValueError:  # an open quote: the shell would not start it either
            continue
    return words


def _variable(text: str, name: str) -> str:
    """Return the value of a shell variable that is set to a plain text at a line's start."""
    found = re.search(rf"^{name}=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)", text, re.MULTILINE)
    if found is None:
        return ""
    value = found[1]
    if value.startswith("'"):
        return value[1:-1]
    quoted = value[1:-1] if value.startswith('"') else value
    return re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
