"""The main file, the drop-ins and the merged CRI file: together, what containerd loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.compose import main_file, merge_patch, native
from k0sruntime.compose.files import DesiredFile
from k0sruntime.compose.layers import Layer, dotted
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lines import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose.existing import Existing
    from k0sruntime.node import Mode, Node, Schema, Scheme
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class Configuration:
    """What containerd loads of a node, and what is written for that."""

    files: tuple[DesiredFile, ...]
    layers: tuple[Layer, ...]
    effective: Mapping[str, Any]
    """What all files come to, without containerd's defaults."""
    merged: Layer | None = None
    user_managed: bool = False


def configuration(
    node: Node[Any],
    mode: Mode,
    schema: Schema,
    scheme: Scheme,
    existing: Existing,
    folder: tuple[Layer, ...],
) -> Configuration:
    """Compose main file, drop-ins and merged CRI file to what containerd loads."""
    folder = tuple(sorted(folder, key=lambda layer: layer.name.encode()))
    if existing.main is not None and not main_file.is_managed(existing.main):
        return _user_managed(node, schema, existing, folder)
    if scheme == "native":
        main = main_file.native(node.paths)
        layers = (main, *folder)
        effective = merge_natively(layers, schema)
        merged = None
    else:
        cri, plain = merge_patch.split(folder, schema)
        merged = main_file.merged_cri(node.paths, merge_patch.merged(cri, schema))
        main = main_file.merge_patch(node.paths, schema, [layer.path for layer in plain])
        layers = (main, *plain, *cri)
        effective = merge_natively((main, *plain, merged), schema)
    # A managed node's main file and merged CRI file are k0s's to write.
    written = () if mode == "managed" else (main, merged)
    ours = tuple(_desired(layer, node.paths) for layer in written if layer)
    return Configuration(ours, layers, effective, merged)


def _user_managed(
    node: Node[Any], schema: Schema, existing: Existing, folder: tuple[Layer, ...]
) -> Configuration:
    main = main_file.read(node.paths, existing.main or b"", schema)
    imported = main_file.imports_folder(main.document, node.paths)
    if not imported and any(layer.owner for layer in folder):
        raise RefusedError(main_file.unmanaged_problem(node.paths, main))
    others = tuple(main_file.read_import(path, data) for path, data in existing.imports.items())
    layers = (main, *others, *(folder if imported else ()))
    return Configuration((), layers, merge_natively(layers, schema), user_managed=True)


def merge_natively(layers: tuple[Layer, ...], schema: Schema) -> dict[str, Any]:
    """Return what containerd makes of its files, in order, without its defaults.

    Raises:
        RefusedError: every file with a value where an earlier one has a table.
    """
    document: dict[str, Any] = {}
    problems = []
    for layer in layers:
        try:
            native.merge(document, layer.document, schema)
        except native.MergeTypeError as exc:
            problems.append(
                Problem(
                    f"{dotted(exc.path)} must be {exc.wanted}, as it is in a file before",
                    place=f"{layer.path}:{line_of(layer.text, exc.path)}: {dotted(exc.path)}",
                    culprit=str(layer.owner or "a foreign file"),
                    remedy="Correct the key, or move the file away: containerd would not start.",
                )
            )
    if problems:
        raise RefusedError(*problems)
    return document


def _desired(layer: Layer, paths: Paths) -> DesiredFile:
    # The merged CRI file has what drop-ins say, and those may be for their owner alone.
    mode = 0o600 if layer.path == paths.cri_file else permissions(layer)
    return DesiredFile(layer.path, layer.text.encode(), "node", mode, replaces=True)


def permissions(layer: Layer) -> int:
    """Return a file's permission bits: credentials are for root's eyes only."""
    return 0o600 if masking.holds_secret(layer.document) else 0o644
