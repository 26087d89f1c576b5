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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File

FROZEN = 8
"""Nobody writes as many of containerd's own values by hand: somebody pasted a dump."""

TEMPORARY = re.compile(
    r"^[.#~]|^(tmp|temp)[-._]|~\.toml$"
    r"|\.(bak|backup|tmp|temp|swp|old|orig|rej|save|disabled|dpkg-\w+|rpm\w+)\.toml$"
)


def frozen_defaults(case: Case) -> Iterator[Hit]:
    """Find drop-ins that pin containerd's own defaults, and so undo what earlier files set."""
    for file in case.files:
        if file.role == "main":
            continue
        for plugin in (RUNTIME, IMAGES, CRI):
            table = table_at(file.document, "plugins", plugin)
            frozen = [
                path
                for path, value, key, _ in walk(table, CRI_TABLES[plugin], ("plugins", plugin))
                if key
                and key.default is not None
                and key.default == value
                and "runtimes" not in path
            ]
            if len(frozen) >= FROZEN:
                yield Hit(
                    file,
                    f"{len(frozen)} keys of {plugin!r} repeat containerd's own defaults",
                    "Keep only the keys that shall differ from the defaults.",
                    ("plugins", plugin),
                )


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
)
"""K0R6xx: the drop-in folder."""
