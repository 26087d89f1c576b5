"""What a node will need, asked on another machine: the programs that its settings name.

A machine with a network is seldom the node: it has another kernel and architecture, no KVM, and
not the files that the settings name. So providers are asked for their binaries alone, on a node of
which such facts are not known, and what one of them refuses beyond that is told and stops nothing.
``[node] prefer`` leaves nothing out here: who rests on the node, and so gives way to whom, is not
known either, and a program too many does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k0sruntime.binaries import installations
from k0sruntime.collect import for_provider, provider_settings, refuse_broken
from k0sruntime.discovery import discover
from k0sruntime.errors import Inactive
from k0sruntime.facts import ask_programs, observe_node
from k0sruntime.own_settings import chosen, node_settings
from k0sruntime.settings_source import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.binaries import Binary, Installation
    from k0sruntime.contributions import Contribution
    from k0sruntime.node import Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.stages import Request, Story

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other spellings of what ``uname -m`` says (GOARCH, Debian)."""


@dataclass(frozen=True)
class Wanted:
    """The programs that a node will need, and what was left out on the way."""

    installations: Sequence[Installation]
    settings: NodeSettings
    notes: tuple[str, ...] = ()
    arch: str = ""
    """The node's machine, as ``uname -m`` spells it."""
    distributions: Mapping[str, str] = field(default_factory=dict)
    """The host's and the providers' distributions, with their versions."""
    settings_text: bytes = b""
    """The settings file as it was read."""


def wanted(request: Request, arch: str, story: Story) -> Wanted:
    """Return the programs that the settings name, for a node that is elsewhere.

    Args:
        request: which settings, and which providers are left out.
        arch: the node's machine; empty: this one's.
        story: told of every step.

    Raises:
        RefusedError: the settings are wrong, or a program is not offered for that machine.
        ProviderError: a provider is broken.
    """
    with story.stage("discover") as tell:
        file = settings_of(request)
        own = node_settings(file, request)
        discovered = discover(chosen(request, own))
        for note in discovered.notes:
            story.say(note)
        refuse_broken(discovered.records)
        settings = provider_settings(discovered, file)
        tell(f"{len(discovered.usable())} of {len(discovered.records)} providers")
    parts: list[Contribution[Binary]] = []
    notes: list[str] = []
    with story.stage("collect") as tell:
        node = _elsewhere(request, own, arch)
        for record in discovered.usable():
            asked = for_provider(node, record.name, {**settings, "node": own})
            try:
                found, refused = discovered.hooks.binaries(record.name, asked)
            except Inactive as exc:
                notes.append(f"{record.name} rests on this machine: {exc.reason}")
                continue
            parts += found
            notes += [f"{record.name} would be refused here: {p.message}" for p in refused]
        for note in notes:
            story.say(note)
        tell(f"{len(parts)} binaries for {node.arch}")
    distributions = {r.distribution: r.version for r in discovered.usable()}
    parts_of_all = installations(parts, node)
    return Wanted(parts_of_all, own, tuple(notes), node.arch, distributions, file.data)


def _elsewhere(request: Request, own: NodeSettings, arch: str) -> Node[Any]:
    """Return what is known of a node that is elsewhere, as of an image root."""
    import msgspec

    own = msgspec.structs.replace(own, containerd="")  # it need not be here
    node = observe_node(request.paths, own, ask_programs(request.paths, own), request.mode)
    arch = MACHINES.get(arch, arch) or node.arch
    return replace(node, arch=arch, kernel=None, kvm=True, kvm_problem="")
