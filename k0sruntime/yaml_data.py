"""YAML as plain data, with a bound on what its aliases may come to.

A file of a few lines can stand for more than any memory holds (each alias names a list of aliases).
What reads YAML in Go refuses that, and so do we, before anything is built. Source of the ratio:
go-yaml ``decode.go`` (``allowedAliasRatio``), which k0sctl and k0s read their files with.
"""

from __future__ import annotations

import sys
from typing import Any

from k0sruntime.errors import Problem, RefusedError

MOST_VALUES = 100_000
"""So many values may come of aliases, whatever the file's size."""
MOST_TIMES = 10
"""So many times as much as it has may a larger file come to."""


def load(text: str, place: str) -> list[Any]:
    """Return the documents of a YAML text as plain data.

    Raises:
        RefusedError: it is no YAML, its aliases stand for too much, or ruamel.yaml is not
            installed.
    """
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ImportError as exc:
        raise RefusedError(
            Problem(
                "reading YAML with its places needs ruamel.yaml, which is not installed",
                place=place,
                remedy="Install it: pip install 'k0sruntime[yaml]'",
            )
        ) from exc
    try:
        if "*" in text:
            _refuse_bombs(YAML(typ="safe", pure=True).parse(text), place)
        return list(YAML(typ="safe", pure=True).load_all(text))
    except MarkedYAMLError as exc:
        mark = exc.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise RefusedError(
            Problem(f"not YAML: {exc.problem}", f"{place}{line}", remedy="Correct the file.")
        ) from exc
    except (YAMLError, RecursionError, ValueError, TypeError, AttributeError) as exc:
        said = " ".join(str(exc).split())[:200]
        raise RefusedError(Problem(f"not YAML: {said}", place, remedy="Correct the file.")) from exc


def unshared(value: Any) -> Any:
    """Return a copy in which nothing is shared: what stood for the same can be changed apart."""
    if isinstance(value, dict):
        return {key: unshared(inner) for key, inner in value.items()}
    return [unshared(item) for item in value] if isinstance(value, list) else value


def _refuse_bombs(events: Any, place: str) -> None:
    """Count the values that a text has, and those that it comes to with its aliases."""
    sizes: dict[str, int] = {}
    whole, open_ = [0], [""]
    has = 0
    for event in events:
        kind = type(event).__name__
        anchor = getattr(event, "anchor", None) or ""
        if kind == "DocumentStartEvent":
            sizes = {}
        elif kind == "AliasEvent":
            # One that stands for what it is in never ends.
            whole[-1] += sys.maxsize if anchor in open_ else sizes.get(anchor, 1)
        elif kind == "ScalarEvent":
            sizes[anchor], has = 1, has + 1
            whole[-1] += 1
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            whole.append(1)
            open_.append(anchor)
            has += 1
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            size = whole.pop()
            sizes[open_.pop()] = size
            whole[-1] += size
        if whole[-1] > max(MOST_VALUES, MOST_TIMES * has):
            raise RefusedError(
                Problem(
                    "its aliases stand for too much: few lines come to more than"
                    f" {MOST_VALUES} values",
                    place=f"{place}:{event.start_mark.line + 1}",
                    remedy="Write out what they stand for, or take them out.",
                )
            )
