"""The composition of the files as they lie there, ours included, without asking any provider."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, compose
from k0sruntime.observe import existing
from k0sruntime.plan import Ledger
from k0sruntime.real_files import RealFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.ledger import State
    from k0sruntime.node import Node


def composed(node: Node[Any], ledger: Ledger) -> Composition:
    """Return what the files on disk come to; handlers of ours name their provider.

    Raises:
        RefusedError: a file that the node cannot live with.
    """
    return _owned(compose(node, Collected(), existing(node.paths, Ledger())), ledger)


def with_generation(node: Node[Any], wanted: Ledger, present: Ledger, state: State) -> Composition:
    """Return what a generation comes to with the files of other hands as they lie there now.

    Raises:
        RefusedError: a file that the node cannot live with, or one of ours is not kept any more.
    """
    found = existing(node.paths, present)
    ours = {
        posixpath.basename(path): state.kept(owned.digest)
        for path, owned in wanted.files.items()
        if posixpath.dirname(path) == node.paths.dropins
    }
    both = replace(found, dropins={**found.dropins, **ours})
    return _owned(compose(node, Collected(), both), wanted)


def _owned(composition: Composition, ledger: Ledger) -> Composition:
    owners = {path: owned.owner for path, owned in ledger.files.items()}
    classes = ledger.runtime_classes
    handlers = tuple(
        replace(h, owner=owners.get(h.owner, h.owner), runtime_class=classes.get(h.name, ""))
        for h in composition.handlers
    )
    return replace(composition, handlers=handlers)


def derived(composition: Composition) -> Mapping[str, bytes]:
    """Return the files that are made of others: the main file, and the merged CRI file."""
    return {file.path: file.content for file in composition.files}


def in_place(composition: Composition, node: Node[Any]) -> bool:
    """Tell whether the files that are made of others lie there as they must be.

    The merged CRI file lies below ``/run`` and is gone when the machine is started anew.
    """
    files = RealFiles(node.paths)
    return all(files.read(file.path) == file.content for file in composition.files)
