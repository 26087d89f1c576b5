"""The composition, and how it comes about."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.binaries import Binary, Installation, installations
from k0sruntime.compose import (
    cgroups,
    dropins,
    files,
    k0s,
    leaving,
    main_file,
    manifests,
    merge_patch,
    native,
)
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.files import DesiredFile
from k0sruntime.compose.foreign import foreign_files
from k0sruntime.compose.layers import Layer, Overlap, dotted, overlaps
from k0sruntime.compose.scheme import node_schema, node_scheme
from k0sruntime.contributions import Check, Contribution, RuntimeHandler
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.lines import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.collect import Collected
    from k0sruntime.contributions import CRISocket, KubeletProfile
    from k0sruntime.json_keys import Before
    from k0sruntime.node import Mode, Node, Paths, Schema, Scheme


@dataclass(frozen=True)
class Existing:
    """What other hands have written on the node: the inputs of a composition.

    Attributes:
        main: the main file, or ``None`` where there is none.
        dropins: foreign drop-ins, base name to content.
        imports: other files that a user-managed main file imports, path to content, in
            containerd's order.
        profile: the worker profile that another runtime needed when the node last ran on one.
        edited: what we wrote into files of other programs, and what was there before.
        own_profile: the worker profile that the service had before ``profile``.
    """

    main: bytes | None = None
    dropins: Mapping[str, bytes] = field(default_factory=dict)
    imports: Mapping[str, bytes] = field(default_factory=dict)
    profile: str = ""
    edited: Mapping[str, Before] = field(default_factory=dict)
    own_profile: str = ""

    def instead(self, paths: Paths, files: Mapping[str, bytes | None]) -> Existing:
        """Return the same where files of other hands are others, or gone (``None``)."""
        dropins = dict(self.dropins)
        for path, content in files.items():
            folder, name = posixpath.split(path)
            if folder == paths.dropins and content is not None:
                dropins[name] = content
            elif folder == paths.dropins:
                dropins.pop(name, None)
        main = files.get(paths.main_file, self.main)
        imports = {path: files.get(path, content) for path, content in self.imports.items()}
        left = {path: content for path, content in imports.items() if content is not None}
        return replace(self, main=main, dropins=dropins, imports=left)


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
    result = _configuration(node, mode, schema, scheme, existing, (*ours, *foreign))
    written = tuple(
        DesiredFile(layer.path, layer.text.encode(), layer.owner.provider, _permissions(layer))
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


@dataclass(frozen=True)
class _Configuration:
    files: tuple[DesiredFile, ...]
    layers: tuple[Layer, ...]
    effective: Mapping[str, Any]
    merged: Layer | None = None
    user_managed: bool = False


def _configuration(
    node: Node[Any],
    mode: Mode,
    schema: Schema,
    scheme: Scheme,
    existing: Existing,
    folder: tuple[Layer, ...],
) -> _Configuration:
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
    return _Configuration(ours, layers, effective, merged)


def _user_managed(
    node: Node[Any], schema: Schema, existing: Existing, folder: tuple[Layer, ...]
) -> _Configuration:
    main = main_file.read(node.paths, existing.main or b"", schema)
    imported = main_file.imports_folder(main.document, node.paths)
    if not imported and any(layer.owner for layer in folder):
        raise RefusedError(main_file.unmanaged_problem(node.paths, main))
    others = tuple(main_file.read_import(path, data) for path, data in existing.imports.items())
    layers = (main, *others, *(folder if imported else ()))
    return _Configuration((), layers, merge_natively(layers, schema), user_managed=True)


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
    mode = 0o600 if layer.path == paths.cri_file else _permissions(layer)
    return DesiredFile(layer.path, layer.text.encode(), "node", mode, replaces=True)


def _permissions(layer: Layer) -> int:
    """Return a file's permission bits: credentials are for root's eyes only."""
    return 0o600 if masking.holds_secret(layer.document) else 0o644


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
