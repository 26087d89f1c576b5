"""What all files come to together, and which file set each key last.

Unlike ``compose``, this never raises: files that containerd would refuse are judged too. Sources
for the orders: k0s 1.35 ``pkg/component/worker/containerd/configurer.go`` and containerd 2.3
``cmd/containerd/server/config/config.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import merge_patch
from k0sruntime.compose.schema import CRI
from k0sruntime.lint.known_keys import STREAMING
from k0sruntime.lint.read_as import common_version, reads_old_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File
    from k0sruntime.lint.target import Target


@dataclass
class Effective:
    """The merged document, and for each key and table the file that set it last."""

    document: dict[str, Any] = field(default_factory=dict)
    setters: dict[Path, File] = field(default_factory=dict)

    def table(self, *path: str) -> Mapping[str, Any]:
        """Return the table at ``path``; empty where something else or nothing is there."""
        return table_at(self.document, *path)


def table_at(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the table at ``path``; empty where something else or nothing is there."""
    here: Any = document
    for part in path:
        here = here.get(part) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def merges_by_k0s(files: Iterable[File], target: Target) -> bool:
    """Tell whether drop-ins with CRI tables are merged before containerd 1.7 sees them."""
    main = next((file for file in files if file.role == "main"), None)
    return target.schema == 2 and (main is None or main.managed)


def in_order(files: Iterable[File], target: Target) -> tuple[File, ...]:
    """Return files in loading order: up to k0s 1.35, drop-ins with CRI tables come last."""
    files = tuple(files)
    if not merges_by_k0s(files, target):
        return files
    first: list[File] = []
    last: list[File] = []
    for file in files:
        is_merged = file.role == "drop-in" and merge_patch.is_cri(file.document, 2)
        (last if is_merged else first).append(file)
    return (*first, *last)


def merged(files: Iterable[File], target: Target) -> Effective:
    """Merge the files in their order."""
    files = tuple(files)
    effective = Effective()
    replaces = target.schema == 2 and not merges_by_k0s(files, target)
    for file in files:
        plugins = table_at(file.document, "plugins")
        if replaces:
            # containerd 1.7 takes a plugin's whole table from the last file that has one.
            for name in plugins:
                effective.document.setdefault("plugins", {}).pop(name, None)
        _merge(effective, effective.document, _read(file, files, target), (), file)
    return effective


def _read(file: File, files: Sequence[File], target: Target) -> Mapping[str, Any]:
    """Return what a containerd reads of a file; it passes over the rest, whatever that says.

    1.7 reads no table of a plugin's URI in version 1 (K0R101), and 2.x nothing but the keys of
    streaming in the old CRI table of a file of version 3 (K0R203).
    """
    plugins = table_at(file.document, "plugins")
    if target.schema == 2:
        if common_version(files, target) > 1:
            return file.document
        return {**file.document, "plugins": {k: v for k, v in plugins.items() if "." not in k}}
    table = table_at(plugins, CRI)
    if not set(table) - set(STREAMING) or reads_old_tables(file, files, target):
        return file.document
    kept = {key: value for key, value in table.items() if key in STREAMING}
    return {**file.document, "plugins": {**plugins, CRI: kept}}


def _merge(
    effective: Effective,
    here: dict[str, Any],
    table: Mapping[str, Any],
    path: Path,
    file: File,
) -> None:
    for key, value in table.items():
        where = (*path, key)
        effective.setters[where] = file
        if not isinstance(value, dict):
            here[key] = value
            continue
        inner = here.get(key)
        if not isinstance(inner, dict):
            inner = here[key] = {}
        _merge(effective, inner, value, where, file)
