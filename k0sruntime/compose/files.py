"""The files that a node shall have besides containerd's configuration, and what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import hosts
from k0sruntime.compose import schema as schema_
from k0sruntime.contributions import ConfigFile, Contribution, conflict
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.json_keys import KNOWN, JSONKeys, edit, may_hold_keys
from k0sruntime.paths import hosts_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.contributions import HostsFile, Owner
    from k0sruntime.json_keys import Before, Edited
    from k0sruntime.node import Node, Schema


@dataclass(frozen=True)
class DesiredFile:
    """A file that the node shall have.

    Attributes:
        path: on the node.
        content: its bytes.
        owner: the provider it is for; ``node`` for the host's own.
        mode: permission bits.
        loaded: containerd reads it when it starts, so that a change needs a bounce.
        replaces: k0s writes the file as well, so that one of unknown origin is replaced.
        edited: it is another program's, and only our keys in it are ours.
        reload: who reads it again on SIGHUP, as ``program:pid-file``.
        checks: commands that judge it before it is put in place.
    """

    path: str
    content: bytes
    owner: str
    mode: int = 0o644
    loaded: bool = True
    replaces: bool = False
    edited: Edited | None = None
    reload: str = ""
    checks: tuple[tuple[str, ...], ...] = ()


def hosts_files(
    node: Node[Any], contributions: tuple[Contribution[HostsFile], ...]
) -> tuple[DesiredFile, ...]:
    """Return the hosts files of all registries, with the certificates beside them.

    Raises:
        ConflictError: two providers contribute one registry.
    """
    owners: dict[str, Owner] = {}
    files: list[DesiredFile] = []
    problems = []
    for item in contributions:
        folder = f"{node.paths.certs}/{hosts_folder(item.value.registry)}"
        if folder in owners:
            message = f"two hosts files for the registry {item.value.registry!r}"
            problems.append(conflict(message, owners[folder], item.owner))
            continue
        owners[folder] = item.owner
        secret = any(host.header for host in (*item.value.hosts, item.value.server) if host)
        contents = {"hosts.toml": hosts.render(item.value, item.owner), **item.value.files}
        files += [
            DesiredFile(
                f"{folder}/{name}",
                content.encode(),
                item.owner.provider,
                0o600 if secret or name != "hosts.toml" else 0o644,
                loaded=False,
            )
            for name, content in contents.items()
        ]
    if problems:
        raise ConflictError(*problems)
    return tuple(files)


def refuse_unread_hosts(
    node: Node[Any],
    contributions: tuple[Contribution[HostsFile], ...],
    effective: Mapping[str, Any],
    schema: Schema,
) -> None:
    """Refuse hosts files in a folder that containerd does not look into."""
    _, images = schema_.cri_tables(effective, schema)
    registry = images.get("registry")
    folder = registry.get("config_path") if isinstance(registry, dict) else None
    if contributions and folder != node.paths.certs:
        owner = contributions[0].owner
        raise RefusedError(
            Problem(
                f"hosts files go to {node.paths.certs}, and containerd looks into"
                f" {folder or 'none'}",
                place="registry.config_path",
                culprit=str(owner),
                remedy="Contribute registry.config_path = node.paths.certs with them, or take out"
                " the drop-in that points elsewhere (k0sruntime explain registry.config_path).",
            )
        )


def config_files(node: Node[Any], parts: tuple[Contribution[Any], ...]) -> tuple[DesiredFile, ...]:
    """Return the providers' own configuration files, each below its provider's name.

    Raises:
        ConflictError: a provider contributes two files of one name.
    """
    found: dict[str, DesiredFile] = {}
    for part in parts:
        if not isinstance(part.value, ConfigFile):
            continue
        path = f"{node.paths.config_files}/{part.owner.provider}/{part.value.name}"
        if path in found:
            message = f"two configuration files of the name {part.value.name}"
            raise ConflictError(conflict(message, part.owner, part.owner))
        content = part.value.content.encode()
        provider = part.owner.provider
        found[path] = DesiredFile(path, content, provider, part.value.mode, loaded=False)
    return tuple(found.values())


def edited_files(
    node: Node[Any], parts: tuple[Contribution[Any], ...], before: Mapping[str, Before]
) -> tuple[DesiredFile, ...]:
    """Return the files of other programs with our keys in them.

    Raises:
        RefusedError: such a file cannot be read, is no JSON object, is k0s's or our own, another
            program than its own would be told, or nobody lets a provider put keys into it.
        ConflictError: another hand, or another provider, says something else.
    """
    by_path: dict[str, list[Contribution[JSONKeys]]] = {}
    for part in parts:
        if isinstance(part.value, JSONKeys):
            by_path.setdefault(part.value.path, []).append(part)
    files = []
    for path, wanted in by_path.items():
        _refuse_own(path, node, wanted[0])
        _refuse_others_daemon(path, wanted)
    if foreign := _not_let(by_path, node):
        raise RefusedError(*foreign)
    for path, wanted in by_path.items():
        found = node.files.read(path)
        if found is None and node.files.exists(path):
            problem = Problem("the file cannot be read", path, remedy="Run as root.")
            raise RefusedError(problem)
        edited = edit(path, found, before.get(path), wanted)
        if edited is None:
            continue
        first = wanted[0]
        mode = node.files.mode(path) if found is not None else None
        checks = tuple(tuple(part.value.check) for part in wanted if part.value.check)
        files.append(
            DesiredFile(
                path,
                edited.content,
                first.owner.provider,
                0o644 if mode is None else mode,
                loaded=False,
                edited=edited,
                reload=first.value.reload,
                checks=tuple(dict.fromkeys(checks)),
            )
        )
    return tuple(files)


def _not_let(
    by_path: Mapping[str, Sequence[Contribution[JSONKeys]]], node: Node[Any]
) -> list[Problem]:
    """Return what is wrong with files that are neither known nor let by the operator."""
    return [
        Problem(
            f"provider {part.owner.provider!r} wants keys in {path}, which is another program's",
            path,
            str(part.owner),
            f'Let it, if that is meant: [node] json_files = ["{path}"]; or go on with --without'
            f" {part.owner.provider}.",
        )
        for path, (part, *_) in by_path.items()
        if not may_hold_keys(path, node.json_files, node.paths.sandbox)
    ]


def _refuse_own(path: str, node: Node[Any], part: Contribution[JSONKeys]) -> None:
    """Refuse keys for a file that is no other program's: containerd's, k0s's and ours."""
    paths = node.paths
    own = (paths.etc, paths.data, paths.run, paths.state, paths.own_run, paths.cache)
    settings = paths.settings.rpartition("/")[0]
    for folder in (*own, settings):
        if path.startswith(f"{folder}/"):
            raise RefusedError(
                Problem(
                    f"provider {part.owner.provider!r} wants keys in a file below {folder}",
                    path,
                    str(part.owner),
                    "JSONKeys are for files of other programs; DropIn and ConfigFile are for ours.",
                )
            )


def _refuse_others_daemon(path: str, parts: Sequence[Contribution[JSONKeys]]) -> None:
    """Refuse that somebody is told to read a file again that is known to be another's."""
    for part in parts:
        daemon = part.value.daemon
        if path in KNOWN and daemon not in ("", KNOWN[path].daemon):
            raise RefusedError(
                Problem(
                    f"provider {part.owner.provider!r} would have {daemon} signalled, and"
                    f" {KNOWN[path].daemon} reads this file",
                    path,
                    str(part.owner),
                    f"Update {part.owner.distribution}, or go on with --without"
                    f" {part.owner.provider}.",
                )
            )
