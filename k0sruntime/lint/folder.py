"""The drop-in folder: copies of the defaults, files without effect, files that should not be there.

Sources: k0s ``pkg/component/worker/containerd/component.go`` (any file event in the folder bounces
containerd after 3 s) and Go's ``filepath.Glob``, to which hidden files are files like all others.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.layers import leaves
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_keys import CRI_TABLES
from k0sruntime.lint.spec import walk
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File

FROZEN = 8
"""Nobody writes as many of containerd's own values by hand: somebody pasted a dump."""

MOST = 3
"""Keys that are named; a dump may undo dozens."""

TEMPORARY = re.compile(
    r"^[.#~]|^(tmp|temp)[-._]|~\.toml$"
    r"|\.(bak|backup|tmp|temp|swp|old|orig|rej|save|disabled|dpkg-\w+|rpm\w+)\.toml$"
)


def frozen_defaults(case: Case) -> Iterator[Hit]:
    """Find drop-ins that pin containerd's own defaults, and so undo what earlier files set."""
    worse = [file for file, _, _ in _undoing(case)]
    for file in case.files:
        if file.role == "main" or file in worse:
            continue
        for plugin in (RUNTIME, IMAGES, CRI):
            frozen = _defaults(table_at(file.document, "plugins", plugin), plugin)
            if len(frozen) >= FROZEN:
                yield Hit(
                    file,
                    f"{len(frozen)} keys of {plugin!r} repeat containerd's own defaults",
                    "Keep only the keys that shall differ from the defaults; k0sruntime quarantine"
                    f" --repair {file.path} keeps its handlers alone.",
                    ("plugins", plugin),
                )


def is_frozen(table: Mapping[str, Any], plugin: str) -> bool:
    """Tell whether a CRI table is a copy of containerd's defaults, and not written by hand."""
    return len(_defaults(table, plugin)) >= FROZEN


def _defaults(table: Mapping[str, Any], plugin: str) -> list[Path]:
    """Return the keys of a CRI table that have containerd's own values, handlers left out."""
    return [
        path
        for path, value, key, _ in walk(table, CRI_TABLES[plugin], ("plugins", plugin))
        if key and key.default is not None and key.default == value and "runtimes" not in path
    ]


def undone(case: Case) -> Iterator[Hit]:
    """Find frozen copies that undo what earlier files, ours or others, have set."""
    for file, lost, before in _undoing(case):
        names = ", ".join(f"{path[-1]} of {before[path].name}" for path in lost[:MOST])
        more = f" and {len(lost) - MOST} more" if len(lost) > MOST else ""
        yield Hit(
            file,
            f"its copy of containerd's defaults undoes {names}{more}",
            f"Keep its handlers alone: k0sruntime quarantine --repair {file.path}",
            lost[0],
        )


def _undoing(case: Case) -> Iterator[tuple[File, list[Path], Mapping[Path, File]]]:
    """Yield frozen copies, the keys that each puts back to a default, and who had set them."""
    values: dict[Path, Any] = {}
    setters: dict[Path, File] = {}
    for file in case.files:
        lost = []
        for plugin in (RUNTIME, IMAGES, CRI):
            table = table_at(file.document, "plugins", plugin)
            if file.role != "main" and is_frozen(table, plugin):
                lost += [path for path in _defaults(table, plugin) if path in values]
        own = dict(leaves(file.document))
        lost = [path for path in lost if not same(own.get(path), values[path])]
        if lost:
            yield file, lost, dict(setters)
        values.update(own)
        setters.update(dict.fromkeys(own, file))


def shadowed(case: Case) -> Iterator[Hit]:
    """Find drop-ins of which later files set every key again."""
    for file in case.files:
        keys = [] if file.role == "main" else list(_keys(file))
        setters = [case.effective.setters.get(path, file) for path, _ in keys]
        if keys and all(setter is not file for setter in setters):
            winners = sorted({setter.name for setter in setters})
            yield Hit(
                file,
                f"every key is set again by {', '.join(winners)}, which {_comes(winners)} later",
                "Remove the file, or give it a name that sorts after the others.",
                line=file.line(keys[0][0]),
            )


def _comes(names: list[str]) -> str:
    return "comes" if len(names) == 1 else "come"


def _keys(file: File) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys that a later file can override: lists at the root are appended instead."""
    for path, value in leaves(file.document):
        appended = len(path) == 1 and isinstance(value, list)
        if path != ("version",) and not appended and not isinstance(value, dict):
            yield path, value


def temporary(case: Case) -> Iterator[Hit]:
    """Find hidden and temporary ``.toml`` files: containerd loads them like all others."""
    for file in case.subject.files:
        if file.role == "drop-in" and TEMPORARY.search(file.name):
            yield Hit(
                file,
                f"{file.name} looks like a temporary or hidden file, and containerd loads it",
                "Move it out of the folder, or give it a plain name.",
                line=1,
            )


def stray(case: Case) -> Iterator[Hit]:
    """Find other files in the folder: nobody loads them, but a write to one bounces containerd."""
    for path in case.subject.strays:
        yield Hit(
            path,
            f"{posixpath.basename(path)} is not loaded, but every change to it bounces containerd",
            "Move it out of the folder; make changes elsewhere and rename the result into place.",
        )


RULES = (
    Rule(
        "K0R601",
        "frozen-defaults",
        "a drop-in that pins containerd's own defaults",
        "untidy",
        frozen_defaults,
    ),
    Rule(
        "K0R602",
        "shadowed-dropin",
        "a drop-in of which later files set every key again",
        "silently ignored",
        shadowed,
    ),
    Rule(
        "K0R603",
        "temporary-dropin",
        "a hidden or temporary .toml file in the drop-in folder",
        "untidy",
        temporary,
    ),
    Rule(
        "K0R604",
        "stray-file",
        "a file in the drop-in folder that nobody loads",
        "untidy",
        stray,
    ),
    Rule(
        "K0R605",
        "frozen-copy-undoes",
        "a copy of containerd's defaults that undoes what an earlier file sets",
        "silently ignored",
        undone,
    ),
)
"""K0R6xx: the drop-in folder."""
