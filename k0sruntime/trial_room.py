"""What a trial start finds in its room: the files, and what it may write to or must not see."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from k0sruntime import namespaces, toml
from k0sruntime.compose import schema as schema_

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.node import Node

CNI = "/etc/cni/net.d"
OPT, OPT_ID = "/opt/containerd", "io.containerd.internal.v1.opt"
NRI, NRI_ID = "/opt/nri/plugins", "io.containerd.nri.v1.nri"
SOCKET = f"{namespaces.OWN}/containerd.sock"
LISTENS = ("ttrpc", "debug", "metrics")


def plan(
    composition: Composition, node: Node[Any], instead: Mapping[str, bytes | None]
) -> dict[str, Any]:
    """Return what ``namespaces`` makes of the room, and the command that runs in it.

    Args:
        composition: what containerd would load.
        node: tells the containerd.
        instead: files of the node that would be others than they are, or gone (``None``).
    """
    files = _files(composition, instead)
    effective = composition.effective
    return {
        "files": files,
        "writable": sorted({*map(posixpath.dirname, files), *_written(effective)}),
        "hidden": sorted(_hidden(effective)),
        "command": _command(node),
    }


def _command(node: Node[Any]) -> list[str]:
    """Return containerd's command line, with the arguments that k0s gives it."""
    return [
        node.containerd.path if node.containerd else "",
        f"--root={namespaces.OWN}/root",
        f"--state={namespaces.OWN}/state",
        f"--address={SOCKET}",
        "--log-level=info",
        f"--config={node.paths.main_file}",
    ]


def _files(composition: Composition, instead: Mapping[str, bytes | None]) -> dict[str, str | None]:
    """Return the files to lay by path; ``None`` for one that would not be there.

    The whole composition is written at its own paths, so that containerd itself follows imports.
    """
    found: dict[str, str | None] = {
        path: None if content is None else content.decode(errors="replace")
        for path, content in instead.items()
    }
    loaded = (*composition.layers, *filter(None, (composition.merged,)))
    for layer in loaded:
        found[layer.path] = _without_cgroup(layer.text, layer.path)
    return found


def _without_cgroup(text: str, path: str) -> str:
    """Take out the cgroup that containerd would make and move into: it is the machine's."""
    document = toml.load(text.encode(), path)
    if "cgroup" not in document:
        return text
    return toml.dump({key: value for key, value in document.items() if key != "cgroup"})


def _written(effective: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders outside of its root and its state that containerd writes to."""
    plugins = table(effective, "plugins")
    yield _path(table(plugins, OPT_ID).get("path"), OPT)
    yield from _data_folders(plugins)
    yield from _cni_folders(effective)
    if temporary := _path(effective.get("temp")):
        yield temporary
    listens = [table(effective, name).get("address") for name in LISTENS]
    servers = [table(plugins, name) for name in plugins if ".server.v1." in name]
    listens += [server.get("address") for server in servers]
    listens.append(table(plugins, NRI_ID).get("socket_path"))
    for address in listens:
        if path := _path(address):
            yield posixpath.dirname(path)


def _data_folders(plugins: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders that plugins keep their data in, where they are not below the root."""
    for name in plugins:
        if path := _path(table(plugins, name).get("root_path")):
            yield path


def _cni_folders(effective: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders of CNI configurations, which the CRI plugin makes where they lack."""
    runtime, _ = schema_.cri_tables(effective, 2 if effective.get("version") == 2 else 3)
    yield _path(table(runtime, "cni").get("conf_dir"), CNI)
    for handler in table(runtime, "containerd", "runtimes").values():
        if isinstance(handler, dict) and (path := _path(handler.get("cni_conf_dir"))):
            yield path


def _hidden(effective: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is the node's own: data, programs that would be started, proxies' sockets.

    A containerd that knows none of the node's images tells a snapshotter to remove them all.
    """
    plugins = table(effective, "plugins")
    yield _path(table(plugins, NRI_ID).get("plugin_path"), NRI)
    yield from _data_folders(plugins)
    for proxy in table(effective, "proxy_plugins").values():
        address = proxy.get("address") if isinstance(proxy, dict) else None
        if isinstance(address, str) and (path := _path(address.removeprefix("unix://"))):
            yield path


def _path(value: object, default: str = "") -> str:
    return value if isinstance(value, str) and value.startswith("/") else default


def table(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return a table of a document; an empty one where there is none."""
    here: Any = document
    for key in keys:
        here = here.get(key) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}
