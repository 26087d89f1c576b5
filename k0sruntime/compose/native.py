"""The native scheme: how containerd itself merges a main file and its imports.

containerd 2.x: the main file first, then its imports breadth first, globs sorted by byte; tables
of plugins are merged deeply, arrays in them are replaced; arrays at the root are appended without
duplicates; scalars at the root and in its tables (``debug``, ``grpc``) are taken where they are
not zero; an entry of ``proxy_plugins``, ``stream_processors`` or ``timeouts`` is replaced whole.
containerd 1.7 replaces the whole table of a plugin. Source: containerd 2.3
``cmd/containerd/server/config/config.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.node import Schema

ROOT_ARRAYS = ("imports", "disabled_plugins", "required_plugins")
REPLACED_ENTRIES = ("proxy_plugins", "stream_processors", "timeouts")


class MergeTypeError(Exception):
    """A key has a type with which containerd refuses to start.

    Either a value stands where an earlier file has a table, or a key of the root has a type that
    containerd's own has not.

    Attributes:
        path: the key.
        wanted: what has to stand there: ``a table`` or ``a list``.
    """

    def __init__(self, path: tuple[str, ...], wanted: str = "a table") -> None:
        super().__init__(".".join(path))
        self.path = path
        self.wanted = wanted


def merge(target: dict[str, Any], document: Mapping[str, Any], schema: Schema) -> None:
    """Merge one imported file into ``target`` in place, as containerd of that schema does.

    Raises:
        MergeTypeError: a key has a type that containerd refuses.
    """
    for key, value in document.items():
        if key == "plugins":
            _merge_plugins(target.setdefault(key, {}), _table(value, key), schema)
        elif key in ROOT_ARRAYS:
            _append(target.setdefault(key, []), value, key, schema)
        elif key in REPLACED_ENTRIES:
            target.setdefault(key, {}).update(_copied(_table(value, key)))
        elif isinstance(value, dict) or isinstance(target.get(key), dict):
            _merge_struct(_table(target.setdefault(key, {}), key), _table(value, key), (key,))
        elif value or key not in target:
            target[key] = value


def _table(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MergeTypeError((key,))
    return value


def _merge_struct(target: dict[str, Any], table: Mapping[str, Any], path: tuple[str, ...]) -> None:
    """Merge a table of the root, such as ``debug``: unlike a plugin's, its zeros override nothing.

    To containerd it is a struct, where a zero cannot be told from a key that is not there.
    """
    _merge_table(target, {k: v for k, v in table.items() if v or k not in target}, path)


def _append(here: list[Any], value: Any, key: str, schema: Schema) -> None:
    if not isinstance(value, list):
        raise MergeTypeError((key,), "a list")
    for item in value:
        if schema == 2 or item not in here:
            here.append(item)


def _merge_plugins(target: dict[str, Any], plugins: Mapping[str, Any], schema: Schema) -> None:
    if schema == 2:
        target.update(_copied(plugins))
    else:
        _merge_table(target, plugins, ("plugins",))


def _merge_table(target: dict[str, Any], table: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in table.items():
        here = target.get(key)
        if isinstance(value, dict):
            if not isinstance(here, dict):
                here = target[key] = {}
            _merge_table(here, value, (*path, key))
        elif isinstance(here, dict) and not _free(path):
            raise MergeTypeError((*path, key))
        else:
            target[key] = value


def _free(path: tuple[str, ...]) -> bool:
    """Tell whether keys here have no type of containerd's: a handler's options are the shim's."""
    return path[2:4] == ("containerd", "runtimes") and path[5:6] == ("options",)


def _copied(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _copied(inner) for key, inner in value.items()}


def merged(documents: Iterable[Mapping[str, Any]], schema: Schema) -> dict[str, Any]:
    """Return what the files set together, the main file first, without containerd's defaults."""
    result: dict[str, Any] = {}
    for document in documents:
        merge(result, document, schema)
    return result
