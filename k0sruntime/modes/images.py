"""Image bundles: k0s imports ``/var/lib/k0s/images`` when it starts; standalone mode does too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Collection

    from k0sruntime.node import Node

IMPORT_SECONDS = 300.0
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def bundles(node: Node[Any]) -> list[str]:
    """Return the paths of the node's image bundles."""
    names = node.files.names(node.paths.images)
    return [f"{node.paths.images}/{name}" for name in names if name.endswith(SUFFIXES)]


def import_bundles(node: Node[Any], only: Collection[str] | None = None) -> list[str]:
    """Import bundles with containerd's own ``ctr``; return what went wrong, as sentences.

    Args:
        node: the node, whose containerd runs.
        only: paths of the bundles to import; all of them where nothing is said.
    """
    found = [path for path in bundles(node) if only is None or path in only]
    if not found:
        return []
    beside = node.containerd.path.rpartition("/")[0] if node.containerd else ""
    ctr = next((p for p in (f"{beside}/ctr",) if node.files.is_executable(p)), node.which("ctr"))
    if ctr is None:
        return [f"{node.paths.images} has bundles, and there is no ctr to import them with"]
    problems = []
    for bundle in found:
        if kind := node.files.other_kind(bundle):  # ctr would wait for who writes into it
            problems.append(f"{bundle} was not imported: it is {kind}")
            continue
        command = [ctr, "-a", node.paths.socket, "-n", "k8s.io", "images", "import", bundle]
        answer = ask(command, IMPORT_SECONDS)
        if answer.status:
            problems.append(f"{bundle} was not imported: {answer.errors.strip()[-200:]}")
    return problems
