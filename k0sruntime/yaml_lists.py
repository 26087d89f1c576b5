"""Lists in a YAML text, brought to what they shall hold of ours; every other byte stays.

The same is done to plain data, and what the text says afterwards must be that: so whatever the
layout is, either nothing else is changed, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import yaml_text
from k0sruntime.errors import RefusedError
from k0sruntime.yaml_data import load, unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    before = load(text, place)
    wanted = unshared(before)
    result = text
    for edit in edits:
        _put_plain(wanted[number], edit)
        result = _put(result, number, edit, shared=shared)
    try:
        done = result == text or _plain(load(result, place)) == _plain(wanted)
    except RefusedError:  # what was put in has made something else of it
        done = False
    if not done:
        raise yaml_text.OddError("its layout")
    return result


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


def _put(text: str, number: int, edit: Edit, *, shared: bool) -> str:
    """Bring a list's entries of ours to what they shall be: new ones at its end, old ones out."""
    path, items = edit.path, edit.items
    found = _data(text, number, path)
    old = [index for index, item in enumerate(found or []) if edit.ours(item)]
    if [found[index] for index in old] == items if found else not items:
        return text
    if found:
        for item in items:
            splice, place = _at(text, number, path, shared=shared)
            splice.add(place, item)
            text = splice.text
        for index in reversed(old):
            splice, place = _at(text, number, path, shared=shared)
            splice.cut_item(place, index)
            text = splice.text
        return text
    return _fresh(text, number, path, items, shared=shared)


def _fresh(text: str, number: int, path: Path, items: list[Any], *, shared: bool) -> str:
    """Put a list where there is none, with the tables above it that are missing."""
    depth = len(path) - 1
    while depth and _data(text, number, path[:depth]) is None:
        depth -= 1
    splice, into = _at(text, number, path[:depth], shared=shared)
    value: Any = items
    for word in reversed(path[depth + 1 :]):
        value = {word: value}
    key = str(path[depth])
    empty = into.get(key)
    if empty is None:
        splice.add(into, {key: value})
    elif empty.kind == "sequence":  # [], which becomes a list in a block
        splice.empty(empty)
        return _fresh(splice.text, number, path, items, shared=shared)
    else:
        splice.fill(next(k for k, _ in into.pairs() if k.text == key), empty, value)
    return splice.text


def _data(text: str, number: int, path: Path) -> Any:
    value = load(text, "")[number]
    for word in path:
        if value is None or (isinstance(word, str) and word not in value):
            return None
        value = value[word]
    return value


def _at(text: str, number: int, path: Path, *, shared: bool) -> tuple[yaml_text.Splice, Found]:
    """Return a value's place in the text.

    Raises:
        OddError: something on the way is an alias, or others refer to it.
    """
    root = yaml_text.parsed(text)[number]
    names = set() if shared else yaml_text.aliases(root)
    place = root
    for word in path:
        found = place.children[word] if isinstance(word, int) else place.get(word)
        if found is None or found.kind == "alias":
            raise yaml_text.OddError(f"{word} stands for what is written elsewhere")
        if found.anchor and found.anchor in names:
            raise yaml_text.OddError(f"*{found.anchor} refers to it from elsewhere")
        place = found
    return yaml_text.Splice(text, *yaml_text.style(root, text)), place
