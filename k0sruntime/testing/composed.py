"""What a provider comes to on a made-up node: the files that the host would write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import compose as compose_
from k0sruntime.collect import collect
from k0sruntime.compose import Existing
from k0sruntime.discovery import Discovered, register
from k0sruntime.hooks import Hooks
from k0sruntime.node_provider import NodeProvider, NodeSettings
from k0sruntime.precedence import settle
from k0sruntime.records import Record
from k0sruntime.testing.nodes import LINES, make_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.node import Node

UNDER_TEST = "under test"


def compose(
    provider: object,
    node: Node[Any],
    *,
    others: Mapping[str, tuple[object, Any]] | None = None,
    own: NodeSettings | None = None,
    dropins: Mapping[str, bytes] | None = None,
) -> Composition:
    """Return what the host would make of a provider on a node: files, handlers, effective keys.

    Args:
        provider: the provider itself, as its entry point names it.
        node: made by ``make_node``; it has the provider's name and settings.
        others: other providers on the same node, by name: each with its settings.
        own: the host's settings, the table ``[node]``.
        dropins: foreign drop-ins on the node, by file name.

    Raises:
        ValueError: an object that cannot serve as a provider.
        ProviderError: a hook raised, hung or answered nonsense.
        RefusedError: a provider says that the node cannot have this, or the node's files do.
        ConflictError: two providers want the same thing.
    """
    own = own or NodeSettings()
    wanted = {"node": (NodeProvider(), own), **(others or {})}
    wanted[node.provider] = (provider, node.settings)
    hooks = Hooks()
    records = []
    for name in ("node", *sorted(set(wanted) - {"node"})):
        record = register(Record(name, name, UNDER_TEST, "active"), wanted[name][0], hooks)
        if record.unusable:
            raise ValueError(record.reason)
        records.append(record)
    settings = {name: kind for name, (_, kind) in wanted.items()}
    asked = collect(Discovered(tuple(records), hooks), node, settings)
    collected, _ = settle(asked, own.prefer)
    return compose_.compose(node, collected, Existing(dropins=dropins or {}))


def texts(composition: Composition, provider: str = "") -> dict[str, str]:
    """Return a composition's files as texts, by their paths below ``/etc/k0s``.

    Args:
        composition: what ``compose`` returned.
        provider: its files alone; empty: all.
    """
    return {
        file.path.removeprefix("/etc/k0s/"): file.content.decode()
        for file in composition.files
        if provider in ("", file.owner)
    }


def snapshots(provider: object, name: str, settings: Any, **node: Any) -> dict[str, dict[str, str]]:
    """Return a provider's files on every line: line to path to text.

    Args:
        provider: the provider itself.
        name: its name.
        settings: its settings.
        node: what else ``make_node`` takes, such as ``binaries=["crun"]``.
    """
    found = {}
    for line in LINES:
        made = replace(make_node(name, settings, line=line, **node), mode=mode_of(line))
        found[line] = texts(compose(provider, made), name)
    return found


def mode_of(line: str) -> Any:
    """Return who runs containerd on a line: k0s, where there is one."""
    return "managed" if LINES[line][0] else "standalone"
