"""The composition, and how it comes about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime.binaries import Binary, Installation, installations
from k0sruntime.compose import (
    cgroups,
    dropins,
    files,
    k0s,
    leaving,
    manifests,
)
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.configuration import configuration, permissions
from k0sruntime.compose.files import DesiredFile
from k0sruntime.compose.foreign import foreign_files
from k0sruntime.compose.layers import Layer, Overlap, overlaps
from k0sruntime.compose.scheme import node_schema, node_scheme
from k0sruntime.contributions import Check, Contribution, RuntimeHandler
from k0sruntime.errors import ConflictError, Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.collect import Collected
    from k0sruntime.compose.existing import Existing
    from k0sruntime.contributions import CRISocket, KubeletProfile
    from k0sruntime.node import Mode, Node, Schema, Scheme


@dataclass(frozen=True)
class Handler:
    """A handler that the node shall have, and whose it is."""

    name: str
    owner: str
    table: Mapping[str, Any]
    runtime_class: str = ""
    overhead: Mapping[str, Any] = field(default_factory=dict)
    scheduling: Mapping[str, Any] = field(default_factory=dict)
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Composition:
    """Everything that the node shall have; pure data."""

    mode: Mode
    schema: Schema
    scheme: Scheme
    files: tuple[DesiredFile, ...] = ()
    layers: tuple[Layer, ...] = ()
    """What containerd loads, in its order, each file with its source."""
    merged: Layer | None = None
    """The merged CRI file of the merge-patch scheme, which stands for its parts."""
    effective: Mapping[str, Any] = field(default_factory=dict)
    """What all files come to, without containerd's defaults."""
    handlers: tuple[Handler, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    binaries: tuple[Contribution[Binary], ...] = ()
    installations: tuple[Installation, ...] = ()
    """Folders of programs to be fetched and installed, those of ``binaries`` that are not there."""
    warnings: tuple[Contribution[Check], ...] = ()
    """What providers say that the node can have and will not be happy with."""
    socket: CRISocket | None = None
    profile: KubeletProfile | None = None
    user_managed: bool = False
    """The main file lacks the marker: it is the operator's and is never written."""
    k0s_told: k0s.Told = field(default_factory=k0s.Told)
    """What k0s must be told, where it runs on another CRI, or shall leave one."""
    socket_of: str = ""
    """The provider that contributed the socket."""
    stays: str = ""
    """Why what the CRI that is left needs stays as it is: k0s is still on it. See ``leaving``."""


def compose(node: Node[Any], collected: Collected, existing: Existing) -> Composition:
    """Compose what the providers contribute with what lies on the node.

    Raises:
        RefusedError: foreign files or a main file that the node cannot live with.
        ConflictError: two providers want the same thing.
    """
    socket = k0s.one_socket(collected.sockets)
    profile = k0s.one_profile(collected.profiles)
    mode: Mode = "remote" if socket else (node.mode or "standalone")
    if mode == "remote" and socket is None:
        raise RefusedError(_no_socket())
    schema = node_schema(node, mode)
    scheme = node_scheme(node, mode, schema)
    if socket:  # another runtime reads neither drop-ins nor hosts files
        told = k0s.told(
            node,
            socket.value,
            profile,
            existing.profile,
            existing.own_profile,
            [name for name in existing.dropins if name.endswith(".toml")],
        )
        edited = files.edited_files(node, collected.parts, existing.edited)
        return Composition(
            mode,
            schema,
            scheme,
            edited,
            socket=socket.value,
            profile=profile,
            k0s_told=told,
            socket_of=socket.owner.provider,
            stays=leaving.still_on(node, socket.value),
        )
    installed = installations(collected.parts, node)
    others = files.hosts_files(node, collected.hosts) + files.config_files(node, collected.parts)
    by_others = foreign_files(existing, node.paths)
    parts = cgroups.agreed(collected.parts, by_others, node.paths, schema)
    ours = dropins.contributed(parts, schema, node.paths)
    foreign = dropins.read(node.paths.dropins, _without_equals(existing, ours), schema)
    _refuse_taken(ours, foreign)
    result = configuration(node, mode, schema, scheme, existing, (*ours, *foreign))
    written = tuple(
        DesiredFile(layer.path, layer.text.encode(), layer.owner.provider, permissions(layer))
        for layer in ours
        if layer.owner
    )
    files.refuse_unread_hosts(node, collected.hosts, result.effective, schema)
    handlers = _handlers(result.layers, result.effective, collected, schema)
    others += manifests.files(node, mode, handlers)
    others += files.edited_files(node, collected.parts, existing.edited)
    return Composition(
        mode,
        schema,
        scheme,
        (*result.files, *written, *others),
        result.layers,
        result.merged,
        result.effective,
        handlers,
        overlaps(result.layers),
        tuple(
            Contribution(part.owner, part.value)
            for part in collected.parts
            if isinstance(part.value, Binary)
        ),
        installed,
        tuple(
            Contribution(part.owner, part.value)
            for part in collected.parts
            if isinstance(part.value, Check)
        ),
        profile=profile,
        user_managed=result.user_managed,
        k0s_told=k0s.own_again(node, mode, profile, existing.profile, existing.own_profile),
        stays=leaving.still_on(node, None),
    )


def _no_socket() -> Problem:
    return Problem(
        "the mode is remote, and no provider contributes a CRI socket",
        place="[node] mode, or --mode",
        remedy="Install and enable a provider that does, such as k0sruntime-dockerd, or take"
        " another mode.",
    )


def _without_equals(existing: Existing, ours: tuple[Layer, ...]) -> dict[str, bytes]:
    """Leave out files that are ours to the byte: a lost ledger takes them over again."""
    texts = {layer.name: layer.text.encode() for layer in ours}
    return {name: data for name, data in existing.dropins.items() if data != texts.get(name)}


def _refuse_taken(ours: tuple[Layer, ...], foreign: tuple[Layer, ...]) -> None:
    taken = {layer.name: layer for layer in foreign}
    problems = [
        Problem(
            f"{layer.path} is a foreign file under the name that provider"
            f" {layer.owner.provider!r} needs",
            place=layer.path,
            culprit="a foreign file",
            remedy=f"Move it away, or take it over: k0sruntime adopt {layer.path}",
        )
        for layer in ours
        if layer.owner and layer.name in taken
    ]
    if problems:
        raise ConflictError(*problems)


def _handlers(
    layers: tuple[Layer, ...], effective: Mapping[str, Any], collected: Collected, schema: Schema
) -> tuple[Handler, ...]:
    """Return all handlers that the files define, and containerd's own ``runc``."""
    declared = {
        part.value.name: part.value
        for part in collected.parts
        if isinstance(part.value, RuntimeHandler)
    }
    tables = {"runc": {}, **schema_.runtimes(effective, schema)}
    owners = {"runc": "containerd"}
    for layer in layers:
        for name, table in schema_.runtimes(layer.document, schema).items():
            extends = layer.owner and "runtime_type" not in table  # the handler is another's
            if not extends:
                owners[name] = layer.owner.provider if layer.owner else layer.path
    return tuple(
        _handler(owners.get(name, "containerd"), tables[name], declared.get(name), name)
        for name in sorted(tables)
    )


def _handler(
    owner: str, table: Mapping[str, Any], declared: RuntimeHandler | None, name: str
) -> Handler:
    if declared is None:
        return Handler(name, owner, table)
    return Handler(
        name,
        owner,
        table,
        declared.runtime_class,
        declared.overhead,
        declared.scheduling,
        tuple(declared.programs),
    )
