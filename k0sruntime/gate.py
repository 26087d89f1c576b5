"""The gate before anything is written: what containerd accepts and then dies of, or does not run.

``containerd config dump`` says yes to a configuration whose CRI plugin will not load, or whose
handler fails at every pod. These few rules are about that alone; they are pure, and each names
the file and line. Sources: containerd 2.3 ``internal/cri/config/config.go``
(``ValidateRuntimeConfig``, ``ValidateImageConfig``) and ``api/types/runc/options/oci.proto``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import dotted
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lines import line_of
from k0sruntime.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.compose.layers import Layer, Path

RUNC_OPTIONS: Mapping[str, type] = {
    "BinaryName": str,
    "SystemdCgroup": bool,
    "NoPivotRoot": bool,
    "NoNewKeyring": bool,
    "ShimCgroup": str,
    "IoUid": int,
    "IoGid": int,
    "Root": str,
    "CriuImagePath": str,
    "CriuWorkPath": str,
    "CriuPath": str,
}
"""Options of the runc shim and their types."""
HANDLER_KEYS: Mapping[str, type] = {
    "runtime_type": str,
    "runtime_path": str,
    "snapshotter": str,
    "sandboxer": str,
    "sandbox_mode": str,
    "base_runtime_spec": str,
    "io_type": str,
    "pod_annotations": list,
    "container_annotations": list,
    "cgroup_writable": bool,
    "privileged_without_host_devices": bool,
    "options": dict,
}
"""Keys of a handler and their types."""
WORDS = {str: "a string", bool: "true or false", int: "a number", list: "an array", dict: "a table"}


def refuse(composition: Composition) -> None:
    """Stop where containerd would come up without its CRI, or with a handler that cannot run.

    Raises:
        RefusedError: everything found, each with file and line.
    """
    if composition.mode != "standalone":
        return
    problems = [
        *_default_runtime(composition),
        *_handlers(composition),
        *_registry(composition),
        *_cni(composition),
    ]
    if problems:
        raise RefusedError(*problems)


def _default_runtime(composition: Composition) -> Iterator[Problem]:
    runtime, _ = schema_.cri_tables(composition.effective, composition.schema)
    containerd = runtime.get("containerd", {})
    name = containerd.get("default_runtime_name", "runc") if isinstance(containerd, dict) else ""
    known = [handler.name for handler in composition.handlers]
    if name not in known:
        key = ("containerd", "default_runtime_name")
        remedy = nearest(str(name), known) or f"Handlers are {', '.join(known)}."
        yield _problem(composition, key, f"the default handler {name!r} is not defined", remedy)


def _handlers(composition: Composition) -> Iterator[Problem]:
    for handler in composition.handlers:
        key = ("containerd", "runtimes", handler.name)
        if not isinstance(handler.table, dict):
            yield _problem(composition, key, f"handler {handler.name!r} is not a table", "")
            continue
        if handler.name != "runc" and not handler.table.get("runtime_type"):
            message = f"handler {handler.name!r} has no runtime_type"
            remedy = 'Set runtime_type, for runc and its like "io.containerd.runc.v2".'
            yield _problem(composition, key, message, remedy)
        yield from _types(composition, key, handler.table, HANDLER_KEYS)
        kind = handler.table.get("runtime_type", "io.containerd.runc.v2")
        options = handler.table.get("options")
        if kind == "io.containerd.runc.v2" and isinstance(options, dict):
            yield from _types(composition, (*key, "options"), options, RUNC_OPTIONS)


def _types(
    composition: Composition, key: Path, table: Mapping[str, Any], types: Mapping[str, type]
) -> Iterator[Problem]:
    for name, value in table.items():
        wanted = types.get(name)
        wrong = wanted is not None and (
            not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))
        )
        if wanted is not None and wrong:
            message = f"{'.'.join((*key, name))} is {value!r}, and must be {WORDS[wanted]}"
            yield _problem(composition, (*key, name), message, "Correct the value.")


def _registry(composition: Composition) -> Iterator[Problem]:
    _, images = schema_.cri_tables(composition.effective, composition.schema)
    registry = images.get("registry")
    if not isinstance(registry, dict) or not registry.get("config_path"):
        return
    if registry.get("mirrors"):
        message = "registry.mirrors and registry.config_path exclude each other"
        remedy = "Move the mirrors into hosts files: the mirrors provider writes them."
        yield _problem(composition, ("registry", "mirrors"), message, remedy, images=True)
    if ":" in str(registry["config_path"]):
        message = (
            "registry.config_path names more than one folder; containerd 2.1 to 2.3 reads none"
        )
        yield _problem(
            composition, ("registry", "config_path"), message, "Name one folder.", images=True
        )


def _cni(composition: Composition) -> Iterator[Problem]:
    runtime, _ = schema_.cri_tables(composition.effective, composition.schema)
    cni = runtime.get("cni")
    if isinstance(cni, dict) and cni.get("bin_dir") and cni.get("bin_dirs"):
        message = "cni.bin_dir and cni.bin_dirs exclude each other"
        yield _problem(composition, ("cni", "bin_dir"), message, "Keep bin_dirs.")


def _problem(
    composition: Composition, key: Path, message: str, remedy: str, *, images: bool = False
) -> Problem:
    plugin = schema_.CRI if composition.schema == 2 else schema_.RUNTIME
    if images and composition.schema == 3:
        plugin = schema_.IMAGES
    path = ("plugins", plugin, *key)
    layer = _setter(composition.layers, path)
    if layer is None:
        return Problem(message, place=dotted(path), remedy=remedy)
    return Problem(
        message,
        place=f"{layer.path}:{line_of(layer.text, path)}: {dotted(path)}",
        culprit=str(layer.owner or "a foreign file"),
        remedy=remedy or "Correct it, or move the file away.",
    )


def _setter(layers: tuple[Layer, ...], path: Path) -> Layer | None:
    """Return the last layer that sets a key, or the table above it."""
    for length in range(len(path), 2, -1):
        for layer in reversed(layers):
            found: Any = layer.document
            for part in path[:length]:
                found = found.get(part) if isinstance(found, dict) else None
            if found is not None:
                return layer
    return None
