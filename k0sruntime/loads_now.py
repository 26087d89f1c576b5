"""What a containerd that k0s runs has loaded: the files as they lie there, before ours change.

We keep no record of it, as we do of a containerd of our own: k0s bounces it at every change of a
drop-in, so that what lies there is what it runs with.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.compose.configuration import merge_natively
from k0sruntime.compose.layers import Layer
from k0sruntime.errors import RefusedError
from k0sruntime.key_changes import KeyChange, difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.changes import FileState
    from k0sruntime.compose import Composition


def changes(
    composition: Composition, files: Mapping[str, FileState], owned: Mapping[str, Any]
) -> tuple[KeyChange, ...]:
    """Return the keys that change when our drop-ins do.

    Both sides are merged as containerd merges its files, so that what is the same on both is no
    change, whatever k0s makes of it.

    Args:
        composition: what the node shall have.
        files: the files of ours that lie there.
        owned: the paths that are ours by our record.
    """
    try:
        now = merge_natively(tuple(_now(composition, files, owned)), composition.schema)
        shall = merge_natively(composition.layers, composition.schema)
    except RefusedError:  # k0s's own way of merging may take what this one does not
        now, shall = {}, dict(composition.effective)
    return difference(now, shall)


def _now(
    composition: Composition, files: Mapping[str, FileState], owned: Mapping[str, Any]
) -> Iterator[Layer]:
    ours = {file.path for file in composition.files}
    for layer in composition.layers:
        if layer.path not in ours:
            yield layer
        elif layer.path in files:
            yield replace(layer, document=_parsed(layer.path, files[layer.path].content))
    for path in sorted(owned.keys() - ours):
        if path in files and posixpath.basename(posixpath.dirname(path)) == "containerd.d":
            yield Layer(path, _parsed(path, files[path].content))


def _parsed(path: str, content: bytes) -> dict[str, Any]:
    try:
        return toml.load(content, path)
    except toml.TOMLError:
        return {}
