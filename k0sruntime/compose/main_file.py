"""containerd's main file: ours with k0s's marker on line 1, or the operator's without it."""

from __future__ import annotations

import fnmatch
import posixpath
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.__about__ import __version__
from k0sruntime.compose.layers import Layer
from k0sruntime.contributions import Owner
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.node import Schema
    from k0sruntime.paths import Paths

MARKER = "# k0s_managed=true"
"""k0s's own sign that a main file is managed; it counts on the first line only (k0s 1.36)."""

MERGED_CRI = "containerd-cri.toml"
"""Made of the drop-ins before containerd starts, by k0s up to 1.35 and by merge-patch."""

HOST = Owner("node", "k0sruntime", __version__, "contribute_dropin")
"""Whose the main file is: the host's own provider."""


def is_managed(data: bytes) -> bool:
    """Tell whether a main file carries the marker on its first line."""
    return data.split(b"\n", 1)[0].rstrip(b"\r") == MARKER.encode()


def _layer(path: str, document: Mapping[str, Any], note: str) -> Layer:
    text = f"{MARKER}\n# {note}\n{toml.dump(document)}"
    return Layer(path, document, HOST, text)


def native(paths: Paths) -> Layer:
    """Return the main file of the native scheme: it imports the whole drop-in folder."""
    document = {"version": 3, "imports": [f"{paths.dropins}/*.toml"]}
    return _layer(
        paths.main_file, document, "Composed by k0sruntime; drop-ins are merged by containerd."
    )


def merge_patch(paths: Paths, schema: Schema, plain: Sequence[str]) -> Layer:
    """Return the main file of the merge-patch scheme: plain drop-ins, then the merged CRI file."""
    document = {"version": schema, "imports": [*plain, paths.cri_file]}
    return _layer(
        paths.main_file,
        document,
        f"Composed by k0sruntime; CRI drop-ins are merged into {paths.cri_file}.",
    )


def merged_cri(paths: Paths, document: Mapping[str, Any]) -> Layer:
    """Return the merged CRI file of the merge-patch scheme."""
    text = f"# Composed by k0sruntime from {paths.dropins}; it is written again at every up.\n"
    return Layer(paths.cri_file, document, HOST, text + toml.dump(document))


def read(paths: Paths, data: bytes, schema: Schema) -> Layer:
    """Read a user-managed main file.

    Raises:
        RefusedError: not TOML, or of a version that the node's containerd does not know.
    """
    document = toml.load(data, paths.main_file)
    version = document.get("version", 1)
    if not isinstance(version, int) or version > schema + (schema == 3):
        raise RefusedError(
            Problem(
                f"version = {version!r} in a main file for a containerd of schema {schema}",
                place=f"{paths.main_file}: version",
                culprit="the operator's own file (it lacks the marker of k0s)",
                remedy="Write the version that this containerd knows.",
            )
        )
    return Layer(paths.main_file, document, text=data.decode())


def read_import(path: str, data: bytes) -> Layer:
    """Read a file that a user-managed main file imports."""
    return Layer(path, toml.load(data, path), text=data.decode())


def imports_folder(document: Mapping[str, Any], paths: Paths) -> bool:
    """Tell whether a main file imports k0s's drop-in folder."""
    probe = f"{paths.dropins}/k0sruntime-probe.toml"
    imports = document.get("imports", [])
    absolute = [
        posixpath.normpath(posixpath.join(paths.etc, entry))
        for entry in (imports if isinstance(imports, list) else [])
        if isinstance(entry, str)
    ]
    return any(matches(probe, pattern) for pattern in absolute)


def matches(path: str, pattern: str) -> bool:
    """Tell whether a path matches as Go's ``filepath.Match`` does: no ``*`` spans a slash."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def unmanaged_problem(paths: Paths, main: Layer) -> Problem:
    """Return what to do where a user-managed main file does not import the drop-in folder."""
    stated = main.document.get("imports", [])
    imported = stated if isinstance(stated, list) else []
    if any(posixpath.basename(str(entry)) == MERGED_CRI for entry in imported):
        return Problem(
            f"another program has rewritten {paths.main_file}, and k0s's marker is lost: k0s makes"
            f" no {MERGED_CRI} any more",
            place=f"{paths.main_file}:1 (no line {MARKER!r})",
            culprit="a program that added an import",
            remedy=f"Put the marker back: k0sruntime quarantine --repair {paths.main_file}",
        )
    imports = [*imported, f"{paths.dropins}/*.toml"]
    return Problem(
        f"{paths.main_file} is managed by its user and does not import {paths.dropins}",
        place=f"{paths.main_file}:1 (no line {MARKER!r})",
        culprit="the operator's own file, which is never written",
        remedy=f"Set imports = {toml.dump({'i': imports}).split('= ', 1)[1].strip()} in it, or hand"
        f" it over: k0sruntime adopt {paths.main_file}, which keeps it for k0sruntime down.",
    )
