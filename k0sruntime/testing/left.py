"""What is left of a provider after ``down``: applied into an empty folder, and taken away again."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import compose as compose_
from k0sruntime.apply import apply
from k0sruntime.collect import collect
from k0sruntime.compose import Composition, Existing
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.observe import observe
from k0sruntime.plan import Ledger, plan
from k0sruntime.sandbox import purge
from k0sruntime.testing.facts import Left

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.discovery import Discovered
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths

OWN_FOLDERS = ("/etc", "/run", "/var", "/var/lib")
"""The way to the host's own state; every node has these."""


def left_on(
    nodes: Mapping[str, Node[Any]], discovered: Discovered, settings: Mapping[str, Any], name: str
) -> Iterator[Left]:
    """Yield what is left on each node, by its label; what comes to the same files is tried once.

    Args:
        nodes: those on which the provider is active.
        discovered: the provider alone, and the host's own.
        settings: every provider's.
        name: the provider's.
    """
    tried: set[frozenset[tuple[str, bytes]]] = set()
    for label, node in nodes.items():
        with tempfile.TemporaryDirectory(prefix="k0sruntime-conformance-") as root:
            there = replace(node, paths=replace(node.paths, root=root))
            try:
                composition = compose_.compose(
                    there, collect(discovered, there, settings), Existing()
                )
                files = frozenset((file.path, file.content) for file in composition.files)
                if files not in tried:
                    tried.add(files)
                    _there_and_back(composition, there.paths)
            except K0sRuntimeError as exc:
                failed = "; ".join(problem.message for problem in exc.problems)
                yield Left(label, failed=failed)
                continue
            written = [file.path for file in composition.files if file.owner == name]
            yield Left(label, written, sorted(_below(root)))


def _there_and_back(composition: Composition, paths: Paths) -> None:
    ledger = apply(plan(composition, observe(composition, paths, Ledger())), paths, Ledger())
    nothing = Composition("standalone", 3, "native")
    apply(plan(nothing, observe(None, paths, ledger)), paths, ledger)
    purge(paths)


def _below(root: str) -> Iterator[str]:
    """Yield files and empty folders that are not on the way to the host's own state."""
    for folder, folders, files in os.walk(root):
        empty = [entry for entry in folders if not os.listdir(f"{folder}/{entry}")]
        for entry in (*files, *empty):
            path = f"{folder}/{entry}"[len(root) :]
            if path not in OWN_FOLDERS:
                yield path
