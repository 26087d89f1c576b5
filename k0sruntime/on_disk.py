"""The composition of the files as they lie there, ours included, without asking any provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, compose
from k0sruntime.observe import existing
from k0sruntime.plan import Ledger

if TYPE_CHECKING:
    from k0sruntime.node import Node


def composed(node: Node[Any], ledger: Ledger) -> Composition:
    """Return what the files on disk come to; handlers of ours name their provider.

    Raises:
        RefusedError: a file that the node cannot live with.
    """
    composition = compose(node, Collected(), existing(node.paths, Ledger()))
    owners = {path: owned.owner for path, owned in ledger.files.items()}
    handlers = tuple(replace(h, owner=owners.get(h.owner, h.owner)) for h in composition.handlers)
    return replace(composition, handlers=handlers)
