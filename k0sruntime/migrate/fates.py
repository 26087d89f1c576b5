"""What becomes of every key of a file: decided on data, before any text is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.layers import dotted, leaves
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.migrate.rules import Change, File, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.lines import Path


@dataclass(frozen=True)
class Fate:
    """What becomes of one key.

    Attributes:
        path: its new path; ``None`` where it is left out.
        value: its new value.
        change: how the new value comes from the old one.
        why: what there is to say about it; empty for nothing.
        instead: what to do about it.
    """

    path: Path | None
    value: Any
    change: Change = ""
    why: str = ""
    instead: str = ""


def fates(document: Mapping[str, Any], file: File) -> dict[Path, Fate]:
    """Return the fate of every key, an empty table counting as one.

    Two keys can come to the same place. As in containerd's own migration the one that is there
    already wins, and after it the first.
    """
    found: dict[Path, Fate] = {}
    taken: dict[Path, Any] = {}
    for path, value in sorted(leaves(document), key=lambda leaf: _rank(leaf[0], leaf[1], file)):
        fate = _fate(path, value, file)
        if fate.path in taken and value != {}:
            fate = _second(fate, taken[fate.path])
        elif fate.path is not None and value != {}:
            taken[fate.path] = fate.value
        found[path] = fate
    return found


def _rank(path: Path, value: Any, file: File) -> int:
    """Return 0 for keys that stay, 2 for copies that containerd keeps for its image service."""
    if path[2:3] == ("runtime_platforms",):
        return 2
    return int(place(path, value, file).path != path)


def _fate(path: Path, value: Any, file: File) -> Fate:
    if path == ("version",):
        return Fate(path, file.to)
    spot = place(path, value, file)
    if spot.path is None:
        # What is off in one schema and unknown to the other is off in both: nothing to say.
        return Fate(None, value, "", spot.why if value else "", spot.instead if value else "")
    if spot.change == "list" and isinstance(value, str):
        return Fate(spot.path, [value], "list", spot.why, spot.instead)
    if spot.change == "first" and isinstance(value, list):
        return Fate(spot.path, value[0], "first", spot.why, spot.instead)
    return Fate(spot.path, value, "", spot.why, spot.instead)


def _second(fate: Fate, winner: Any) -> Fate:
    if fate.path is None or fate.value == winner:
        return Fate(None, fate.value)
    return Fate(
        None,
        fate.value,
        "",
        f"{dotted(fate.path)} is {winner!r} already, by another key of this file",
        "Decide which of the two values is meant.",
    )


def expected(found: Mapping[Path, Fate]) -> dict[str, Any] | None:
    """Return the data that the rewritten file must hold, without empty tables.

    ``None`` where a key would have to be a value and a table at once.
    """
    document: dict[str, Any] = {}
    for fate in found.values():
        if fate.path is None or fate.value == {}:
            continue
        table = document
        for part in fate.path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return None
        if fate.path[-1] in table:
            return None
        table[fate.path[-1]] = fate.value
    return document


def pruned(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without its empty tables."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        kept = pruned(value) if isinstance(value, dict) else value
        if kept != {}:
            found[key] = kept
    return found


def concerned(path: Path) -> bool:
    """Tell whether a key may stand in the tables whose layout differs between schemas."""
    return path[:1] == ("plugins",) and (len(path) == 1 or path[1] in (CRI, IMAGES, RUNTIME))
