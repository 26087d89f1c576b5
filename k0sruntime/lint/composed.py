"""A composition as a subject, so that ``up`` can refuse it before anything is written."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime.lint.subject import HOSTS_FILE, HostsFolder, Subject, parse
from k0sruntime.lint.target import Target, for_k0s, machine_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.compose import Composition
    from k0sruntime.compose.layers import Layer
    from k0sruntime.lint.subject import File, Role
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths


def subject_of(
    composition: Composition, paths: Paths, foreign_hosts: Iterable[HostsFolder] = ()
) -> Subject:
    """Return what a composition comes to: its layers in their order, and its hosts files.

    Args:
        composition: what the node shall have.
        paths: where things lie on the node.
        foreign_hosts: folders of registries that other hands wrote.
    """
    files = tuple(_file(layer, paths) for layer in composition.layers)
    hosts = {folder.path: folder for folder in (*foreign_hosts, *_hosts(composition, paths))}
    return Subject(files, tuple(hosts.values()), folders=(paths.dropins,))


def target_of(
    composition: Composition, node: Node[object], *, machine: bool = False
) -> Target | None:
    """Return what a composition is judged against; ``None`` where no containerd is known.

    A managed node that k0s never started has no containerd yet: the k0s line tells which it brings.

    Args:
        composition: tells the mode; k0s's own checks count only where k0s runs containerd.
        node: tells the versions.
        machine: judge the machine as well; before binaries are installed that says nothing.
    """
    k0s = node.k0s.version if node.k0s and composition.mode == "managed" else None
    containerd = node.containerd.version if node.containerd else None
    if containerd is None and k0s is not None:
        containerd = for_k0s(str(k0s)).containerd
    if containerd is None:
        return None
    return Target(containerd, k0s, machine_of(node) if machine else None)


def _file(layer: Layer, paths: Paths) -> File:
    role: Role = "import"
    if layer.path == paths.main_file:
        role = "main"
    elif posixpath.dirname(layer.path) == paths.dropins:
        role = "drop-in"
    return parse(layer.path, layer.text.encode(), role, layer.owner)


def _hosts(composition: Composition, paths: Paths) -> Iterable[HostsFolder]:
    names: dict[str, list[str]] = {}
    texts: dict[str, bytes] = {}
    for file in composition.files:
        folder, _, name = file.path.rpartition("/")
        if posixpath.dirname(folder) == paths.certs:
            names.setdefault(folder, []).append(name)
            if name == HOSTS_FILE:
                texts[folder] = file.content
    for folder, beside in names.items():
        path = f"{folder}/{HOSTS_FILE}"
        parsed = parse(path, texts[folder], "hosts") if folder in texts else None
        yield HostsFolder(folder, tuple(beside), parsed)
