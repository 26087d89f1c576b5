"""Lists in a YAML text, brought to what they shall hold of ours; every other byte stays.

The same is done to plain data, and what the text says afterwards must be that: so whatever the
layout is, either nothing else is changed, or nothing at all.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import yaml_text
from k0sruntime.errors import RefusedError
from k0sruntime.yaml_data import load, unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from k0sruntime.yaml_text import Found

Path = tuple["str | int", ...]
"""Keys and indices, from a document's root."""
ODD = (yaml_text.OddError, IndexError)
"""What is raised where nothing can be changed without changing something else."""


@dataclass(frozen=True)
class Edit:
    """A list in the document, what of ours it shall hold, and what of ours it may hold now."""

    path: Path
    items: list[Any]
    ours: Callable[[Any], bool]


def applied(
    text: str, number: int, edits: Iterable[Edit], place: str, *, shared: bool = False
) -> str:
    """Return the text with the edits done, and nothing else changed.

    Args:
        text: the file.
        number: which document it is.
        edits: what is done.
        place: the file's path, for errors.
        shared: what others refer to may be changed, as long as each host comes to what it shall.

    Raises:
        OddError: it cannot be done so.
    """
    edits = list(edits)
    if not edits:
        return text
    wanted = unshared(load(text, place))
    result = _by_items(text, number, edits, wanted[number])
    if result is None:
        wanted, result = unshared(load(text, place)), text
        for edit in edits:
            _put_plain(wanted[number], edit)
            result = _put(result, load(result, place)[number], edit, _Way(number, shared))
    try:
        done = result == text or _plain(load(result, place)) == _plain(wanted)
    except RefusedError:  # what was put in has made something else of it
        done = False
    if not done:
        raise yaml_text.OddError("its layout")
    return result


@dataclass(frozen=True)
class _Way:
    """How a text is looked at.

    Attributes:
        number: which of its documents is meant.
        shared: what others refer to may be changed.
        style: how far in it has things, where that is not to be found in the text itself.
    """

    number: int = 0
    shared: bool = False
    style: tuple[int, int] | None = None


def _by_items(text: str, number: int, edits: Sequence[Edit], wanted: Any) -> str | None:
    """Do edits of a list's items an item at a time, so that the cost grows with their number.

    Each is parsed without the others; a file of five hundred hosts would else be parsed thousands
    of times. ``None`` where that cannot be: something refers to something else, or brackets.

    Args:
        text: the file.
        number: which document it is.
        edits: what is done; all in items of one list, the first first.
        wanted: the document as plain data; brought to what the text comes to.
    """
    root = yaml_text.parsed(text)[number]
    base = edits[0].path[:2]
    if yaml_text.aliases(root) or not all(_is_in(edit, base) for edit in edits):
        return None
    found: Found | None = root
    items = wanted
    for word in base:
        found, items = found and found.get(str(word)), items[word]
    spans = _spans(text, found) if found else []
    if not spans:
        return None
    way = _Way(style=yaml_text.style(root, text))
    done, end = [], 0
    for index, group in itertools.groupby(edits, key=lambda edit: int(edit.path[2])):
        first, last = spans[index]
        item = text[first:last]
        for edit in group:
            part = Edit((0, *edit.path[3:]), edit.items, edit.ours)
            item = _put(item, [items[index]], part, way)
            _put_plain([items[index]], part)
        done += [text[end:first], item]
        end = last
    return "".join([*done, text[end:]])


def _is_in(edit: Edit, base: Path) -> bool:
    return edit.path[:2] == base and len(edit.path) > 3 and isinstance(edit.path[2], int)


def _spans(text: str, sequence: Found) -> list[tuple[int, int]]:
    """Return where each item of a list in a block begins and ends, lines whole; else nothing."""
    starts = []
    for item in sequence.children if not sequence.flow else []:
        line = text.rfind("\n", 0, item.start) + 1
        if text[line : item.start].strip() != "-":  # an anchor, or a line of its own
            return []
        starts.append(line)
    if not starts:
        return []
    line_end = re.compile(r"\n|\Z").search(text, max(sequence.last - 1, 0))
    return list(itertools.pairwise([*starts, line_end.end() if line_end else len(text)]))


def _put_plain(document: Any, edit: Edit) -> None:
    """Do the same to plain data: what the text must come to."""
    path, items, ours = edit.path, edit.items, edit.ours
    table = document
    for word in path[:-1]:
        if isinstance(word, str) and table.get(word) is None:
            if not items:
                return
            table[word] = {}
        table = table[word]
    last = path[-1]
    found = table.get(last)
    others = [item for item in found or [] if not ours(item)]
    if (found is None and not items) or [i for i in found or [] if ours(i)] == items:
        return
    table[last] = others + items or None


def _plain(value: Any) -> Any:
    """Return data in which an empty list says as little as a key without a value."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(item) for item in value] or None if isinstance(value, list) else value


def _put(text: str, data: Any, edit: Edit, way: _Way) -> str:
    """Bring a list's entries of ours to what they shall be: new ones at its end, old ones out.

    Args:
        text: the file, or an item of it.
        data: what it says.
        edit: what is done.
        way: how it is looked at.
    """
    path, items = edit.path, edit.items
    found = _data(data, path)
    old = [index for index, item in enumerate(found or []) if edit.ours(item)]
    if [found[index] for index in old] == items if found else not items:
        return text
    if found:
        for item in items:
            splice, place = _at(text, path, way)
            splice.add(place, item)
            text = splice.text
        for index in reversed(old):
            splice, place = _at(text, path, way)
            splice.cut_item(place, index)
            text = splice.text
        return text
    return _fresh(text, data, edit, way)


def _fresh(text: str, data: Any, edit: Edit, way: _Way) -> str:
    """Put a list where there is none, with the tables above it that are missing."""
    path = edit.path
    depth = len(path) - 1
    while depth and _data(data, path[:depth]) is None:
        depth -= 1
    splice, into = _at(text, path[:depth], way)
    value: Any = edit.items
    for word in reversed(path[depth + 1 :]):
        value = {word: value}
    key = str(path[depth])
    empty = into.get(key)
    if empty is None:
        splice.add(into, {key: value})
    elif empty.kind == "sequence":  # [], which becomes a list in a block
        splice.empty(empty)
        return _fresh(splice.text, data, edit, way)
    else:
        splice.fill(next(k for k, _ in into.pairs() if k.text == key), empty, value)
    return splice.text


def _data(value: Any, path: Path) -> Any:
    for word in path:
        if value is None or (isinstance(word, str) and word not in value):
            return None
        value = value[word]
    return value


def _at(text: str, path: Path, way: _Way) -> tuple[yaml_text.Splice, Found]:
    """Return a value's place in the text.

    Raises:
        OddError: something on the way is an alias, or others refer to it.
    """
    root = yaml_text.parsed(text)[way.number]
    names = set() if way.shared else yaml_text.aliases(root)
    place = root
    for word in path:
        found = place.children[word] if isinstance(word, int) else place.get(word)
        if found is None or found.kind == "alias":
            raise yaml_text.OddError(f"{word} stands for what is written elsewhere")
        if found.anchor and found.anchor in names:
            raise yaml_text.OddError(f"*{found.anchor} refers to it from elsewhere")
        place = found
    return yaml_text.Splice(text, *(way.style or yaml_text.style(root, text))), place
