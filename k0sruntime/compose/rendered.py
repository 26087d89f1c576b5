"""What a folder of drop-ins alone comes to, for ``render``: no node, no providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose import dropins
from k0sruntime.compose import merge_patch as merge_patch_
from k0sruntime.compose.configuration import merge_natively
from k0sruntime.compose.layers import Layer
from k0sruntime.compose.scheme import refuse_native_under_1_7

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.node import Schema


def merge_patch(
    folder: str, files: Mapping[str, bytes], schema: Schema, pause_image: str
) -> dict[str, Any]:
    """Return ``containerd-cri.toml`` as data and the names of the files that stay imports.

    Raises:
        RefusedError: every file that k0s or containerd would refuse.
    """
    layers = dropins.read(folder, files, schema)
    cri, plain = merge_patch_.split(layers, schema)
    return {
        "containerd-cri.toml": merge_patch_.merged(cri, schema, pause_image),
        "imports": [layer.name for layer in plain],
    }


def native(
    folder: str, files: Mapping[str, bytes], schema: Schema, pause_image: str
) -> dict[str, Any]:
    """Return what a main file and the folder come to: plugins by ID beside the other tables.

    Raises:
        RefusedError: every file that k0s or containerd would refuse, or schema 2.
    """
    refuse_native_under_1_7(schema)
    layers = dropins.read(folder, files, schema)
    main = Layer("the main file", merge_patch_.base(schema, pause_image))
    document = merge_natively((main, *layers), schema)
    rest = {k: v for k, v in document.items() if k not in ("version", "imports", "plugins")}
    return {"document": document, "effective": {**document.get("plugins", {}), **rest}}
