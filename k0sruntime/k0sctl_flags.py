"""Flags in ``installFlags`` of a k0sctl host: words of one command line, however they are divided.

k0sctl joins the items with blanks, so that ``--x=v``, ``--x v``, an item for each word, and an item
of many flags come to the same (k0sctl ``config/cluster/flags.go``; k0s takes the last of two).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

QUOTES = re.compile(r"[\"'\\]")


@dataclass(frozen=True)
class _Word:
    item: int
    text: str


def replaced(
    found: Sequence[Any], wanted: Sequence[str], earlier: Collection[str], place: str
) -> tuple[list[Any], list[str]]:
    """Return the items that go, and those that come at the list's end.

    Args:
        found: the host's ``installFlags``.
        wanted: our flags, each ``--name=value``; they take the place of those of their names.
        earlier: our flags of an earlier export: they go where they still have that value.
        place: the host, for errors.

    Raises:
        RefusedError: a flag of ours is spelled so that nothing can be said about it.
    """
    names = {flag.partition("=")[0] for flag in wanted}
    known = names | {flag.partition("=")[0] for flag in earlier}
    words = [word for word in _words(found, known, place) if word.text]
    gone: set[int] = set()
    for index, word in enumerate(words):
        name, equals, value = word.text.partition("=")
        if name not in known:
            continue
        taken = {index}
        if not equals:
            value = words[index + 1].text if index + 1 < len(words) else "-"
            taken.add(index + 1)
            if value.startswith("-"):
                raise _odd(name, place)
        if name in names or f"{name}={value}" in earlier:
            gone |= taken
    touched = sorted({words[index].item for index in gone})
    rest = {
        n: [w.text for i, w in enumerate(words) if w.item == n and i not in gone] for n in touched
    }
    cut = [found[n] for n in touched]
    lone = any(item in cut for n, item in enumerate(found) if n not in touched)
    if lone or any(left and not left[0].startswith("-") for left in rest.values()):
        raise _odd(words[min(gone)].text.partition("=")[0], place)
    return cut, [*(" ".join(left) for left in rest.values() if left), *wanted]


def value_of(found: Sequence[Any], name: str) -> str:
    """Return a flag's value, quotes taken off; empty where it has none, or is not given."""
    text = " ".join(map(str, found))
    values = re.findall(rf"(?<![\w-]){re.escape(name)}(?:=|\s+)([\"'\\]*)([^\s\"'\\]*)", text)
    return values[-1][1] if values else ""


def _words(found: Sequence[Any], known: Collection[str], place: str) -> list[_Word]:
    words = []
    for number, item in enumerate(found):
        text = str(item)
        if QUOTES.search(text):
            names = [name for name in known if re.search(rf"{re.escape(name)}(?![\w-])", text)]
            if names:
                raise _odd(names[0], place)
        words += [_Word(number, word) for word in text.split()]
    return words


def _odd(name: str, place: str) -> RefusedError:
    return RefusedError(
        Problem(
            f"installFlags has {name} in another form than {name}=VALUE",
            place=place,
            culprit="a foreign hand",
            remedy=f"Write it as an item of its own, {name}=VALUE, or take it out.",
        )
    )
