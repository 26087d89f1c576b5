"""The merge-patch scheme: what k0s up to 1.35 does with its drop-in folder.

A drop-in that has a CRI table is applied whole, its other tables included, as a JSON merge patch
(RFC 7396; TOML has no null, so nothing is ever deleted) onto the default CRI configuration. The
result is ``/run/k0s/containerd-cri.toml``. All other drop-ins become imports of the main file,
before that one. Source: k0s 1.35 ``pkg/component/worker/containerd/configurer.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.compose.layers import Layer
    from k0sruntime.node import Schema


def base(schema: Schema, pause_image: str = "") -> dict[str, Any]:
    """Return the CRI configuration that drop-ins are applied to.

    Schema 2 names ``runc``: containerd 1.7 loses its default handler once any other is named.
    """
    if schema == 2:
        runc = {"runtime_type": "io.containerd.runc.v2"}
        table: dict[str, Any] = {"containerd": {"runtimes": {"runc": runc}}}
        if pause_image:
            table["sandbox_image"] = pause_image
        return {"version": 2, "plugins": {CRI: table}}
    images = {"pinned_images": {"sandbox": pause_image}} if pause_image else {}
    return {"version": 3, "plugins": {IMAGES: images, RUNTIME: {}}}


def is_cri(document: Mapping[str, Any], schema: Schema) -> bool:
    """Tell whether a drop-in has a CRI table, so that it is merged and not imported."""
    plugins = document.get("plugins")
    names = (CRI,) if schema == 2 else (RUNTIME, IMAGES)
    return isinstance(plugins, dict) and any(name in plugins for name in names)


def merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Apply one merge patch in place: tables merge, everything else is replaced.

    The cost is that of the patch, not of the target; ``target`` takes over no part of ``patch``.
    """
    for key, value in patch.items():
        if isinstance(value, dict):
            here = target.get(key)
            if not isinstance(here, dict):
                here = target[key] = {}
            merge(here, value)
        else:
            target[key] = value


def merged(layers: Iterable[Layer], schema: Schema, pause_image: str = "") -> dict[str, Any]:
    """Return ``containerd-cri.toml`` as data: the CRI drop-ins applied in order to the base."""
    document = base(schema, pause_image)
    for layer in layers:
        merge(document, layer.document)
    return document


def split(layers: Iterable[Layer], schema: Schema) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Return (CRI drop-ins, plain imports), each in order."""
    cri: list[Layer] = []
    plain: list[Layer] = []
    for layer in layers:
        (cri if is_cri(layer.document, schema) else plain).append(layer)
    return tuple(cri), tuple(plain)
