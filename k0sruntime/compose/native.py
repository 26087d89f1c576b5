"""The native scheme: how containerd itself merges a main file and its imports.

containerd 2.x: the main file first, then its imports breadth first, globs sorted by byte; tables
of plugins are merged deeply, arrays in them are replaced; arrays at the root are appended without
duplicates; scalars at the root are taken where they are not zero; an entry of ``proxy_plugins``,
``stream_processors`` or ``timeouts`` is replaced whole. containerd 1.7 replaces the whole table of
a plugin. Source: containerd 2.3 ``cmd/containerd/server/config/config.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.node import Schema

ROOT_ARRAYS = ("imports", "disabled_plugins", "required_plugins")
REPLACED_ENTRIES = ("proxy_plugins", "stream_processors", "timeouts")


class MergeTypeError(Exception):
    """A file sets a value where an earlier one has a table; containerd refuses to start."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(".".join(path))
        self.path = path


def merge(target: dict[str, Any], document: Mapping[str, Any], schema: Schema) -> None:
    """Merge one imported file into ``target`` in place, as containerd of that schema does.

    Raises:
        MergeTypeError: a value would replace a table.
    """
    for key, value in document.items():
        if key == "plugins":
            _merge_plugins(target.setdefault("plugins", {}), value, schema)
        elif key in ROOT_ARRAYS:
            here = target.setdefault(key, [])
            here += value if schema == 2 else [v for v in value if v not in here]  # noqa: PLR2004
        elif key in REPLACED_ENTRIES:
            target.setdefault(key, {}).update(_copied(value))
        elif isinstance(value, dict):
            _merge_table(target.setdefault(key, {}), value, (key,))
        elif value or key not in target:
            target[key] = value


def _merge_plugins(target: dict[str, Any], plugins: Mapping[str, Any], schema: Schema) -> None:
    for name, table in plugins.items():
        if schema == 2 or not isinstance(table, dict):  # noqa: PLR2004
            target[name] = _copied(table)
        else:
            _merge_table(target.setdefault(name, {}), table, ("plugins", name))


def _merge_table(target: dict[str, Any], table: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in table.items():
        here = target.get(key)
        if isinstance(value, dict):
            if not isinstance(here, dict):
                here = target[key] = {}
            _merge_table(here, value, (*path, key))
        elif isinstance(here, dict):
            raise MergeTypeError((*path, key))
        else:
            target[key] = value


def _copied(value: Any) -> Any:
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def merged(documents: Iterable[Mapping[str, Any]], schema: Schema) -> dict[str, Any]:
    """Return what the files set together, the main file first, without containerd's defaults."""
    result: dict[str, Any] = {}
    for document in documents:
        merge(result, document, schema)
    return result
