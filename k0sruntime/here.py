"""The node that this machine is, and its files, for a provider's own commands.

A hook is given its node; a command such as ``k0sruntime-mirrors resolve`` has to ask for it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k0sruntime.hookspecs import Provider
    from k0sruntime.hosts_folders import HostsFolders
    from k0sruntime.node import Files, Node, Version


def files_here() -> Files:
    """Return a read-only look at this machine's files."""
    from k0sruntime.paths import Paths
    from k0sruntime.real_files import RealFiles

    return RealFiles(Paths())


def this_node(name: str, provider: Provider[Any], *, sandbox: str = "") -> Node[Any]:
    """Return the facts of this machine, with one provider's own settings.

    Args:
        name: the provider's name, as its entry point has it.
        provider: the provider.
        sandbox: the folder of ``--sandbox``; empty for the node itself.

    Raises:
        K0sRuntimeError: the settings file is wrong, the settings' class fails, or a program that
            the file names does not answer.
    """
    from k0sruntime.collect import settings_of
    from k0sruntime.discovery import installed
    from k0sruntime.facts import ask_programs, observe_node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.observe import foreign_here, read_settings
    from k0sruntime.paths import Paths
    from k0sruntime.records import Record
    from k0sruntime.settings import convert

    paths = Paths.in_sandbox(os.path.abspath(sandbox)) if sandbox else Paths()
    file = read_settings(paths)
    known = (record for record in installed() if record.name == name)
    record = next(known, Record(name, name, "", "active"))
    own = settings_of(replace(record, settings=provider.settings), file)
    settings: NodeSettings = convert(file, "node", NodeSettings)
    node = observe_node(paths, settings, ask_programs(paths, settings))
    return replace(node, provider=name, settings=own, foreign=foreign_here(paths))


def hosts_folders_here(node: Node[Any], containerd: Version) -> HostsFolders:
    """Return where this machine's containerd looks for hosts files, by the files as they lie there.

    Where containerd would refuse the files, that is a warning, and the node's own folder is meant.

    Args:
        node: this machine, as ``this_node`` returns it.
        containerd: whose behaviour is meant.
    """
    from k0sruntime.errors import K0sRuntimeError
    from k0sruntime.hosts_folders import HostsFolders, hosts_folders
    from k0sruntime.on_disk import composed
    from k0sruntime.plan import Ledger

    try:
        composition = composed(node, Ledger())
    except K0sRuntimeError as exc:
        return HostsFolders((node.paths.certs,), exc.problems)
    return hosts_folders(composition, node.paths.certs, containerd)


def containerd_proxies(node: Node[Any]) -> dict[str, str]:
    """Return the variables by which the running containerd goes through proxies.

    They are of the process that serves its socket; where that cannot be looked into, our own.
    """
    from k0sruntime.processes import environment, server_of

    found = environment(server_of(node.paths.socket) or 0) or dict(os.environ)
    return {name: value for name, value in found.items() if name.lower().endswith("_proxy")}
