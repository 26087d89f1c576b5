"""A stand-in for NVIDIA's toolkit: it writes drop-ins as nvidia-ctk 1.19 and 1.20 write them.

The toolkit itself cannot be had here. What it writes for containerd is small and known (NVIDIA
nvidia-container-toolkit, ``pkg/config/engine/containerd``, ``cmd/nvidia-ctk-installer``):

- the version is that of what it was told to read: a dump of the running containerd (``command``), a
  main file (``file``), or 2 where there was nothing;
- with ``command`` the CRI runtime table comes along whole, and every handler has runc's options;
- up to 1.19, ``file`` and a main file whose runc has no ``runtime_type`` give handlers without one;
- a main file without the import is written anew: sorted, without comments, so without k0s's marker.

Files are spelled as go-toml does: keys sorted, tables indented.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rtoml

CRI_2 = "io.containerd.grpc.v1.cri"
CRI_3 = "io.containerd.cri.v1.runtime"
FOLDER = "/usr/local/nvidia/toolkit"
SUFFIXES = {"nvidia": "", "nvidia-cdi": ".cdi", "nvidia-legacy": ".legacy"}


def drop_in(
    source: Mapping[str, Any],
    *,
    kind: str = "file",
    release: str = "1.20",
    folder: str = FOLDER,
    cdi: bool = False,
    default: bool = False,
) -> str:
    """Return the drop-in that the toolkit writes.

    Args:
        source: what it reads, parsed: a main file, a dump, or nothing.
        kind: ``file`` or ``command``.
        release: of the toolkit.
        folder: where its runtimes lie.
        cdi: ``--enable-cdi``.
        default: ``--set-as-default``.
    """
    version = source.get("version", 2)
    name = CRI_2 if version == 2 else CRI_3
    read = copy.deepcopy(source.get("plugins", {}).get(name, {}))
    runtimes = read.get("containerd", {}).get("runtimes", {})
    table = read if kind == "command" else {}
    containerd = table.setdefault("containerd", {})
    if cdi:
        table["enable_cdi"] = True
    if default:
        containerd["default_runtime_name"] = "nvidia"
    for handler, suffix in SUFFIXES.items():
        made = _handler(runtimes.get("runc"), release)
        made.setdefault("options", {})["BinaryName"] = f"{folder}/nvidia-container-runtime{suffix}"
        containerd.setdefault("runtimes", {})[handler] = made
    return dumps({"version": version, "plugins": {name: table}})


def _handler(runc: Mapping[str, Any] | None, release: str) -> dict[str, Any]:
    fresh = {
        "privileged_without_host_devices": False,
        "runtime_engine": "",
        "runtime_root": "",
        "runtime_type": "io.containerd.runc.v2",
    }
    if runc is None:
        return fresh
    made = copy.deepcopy(dict(runc))
    if release != "1.19":
        made.setdefault("runtime_type", "io.containerd.runc.v2")
    return made


def install(
    env: Mapping[str, str],
    host: Path,
    dump: Mapping[str, Any],
    *,
    release: str = "1.20",
    folder: str = FOLDER,
) -> None:
    """Do what the operator's toolkit container does on a node.

    Args:
        env: its environment.
        host: where the node's ``/`` lies.
        dump: what ``containerd config dump`` of the node's containerd says, without ``--config``.
        release: of the toolkit.
        folder: where its runtimes lie.
    """

    def on_host(path: str) -> Path:
        return host / path.lstrip("/")

    kind, _, named = env.get("RUNTIME_CONFIG_SOURCE", "command,file").split(",")[0].partition("=")
    top = on_host(env.get("RUNTIME_CONFIG", "/etc/containerd/config.toml"))
    read = on_host(named) if named else top
    source = dump if kind == "command" else rtoml.loads(read.read_text()) if read.exists() else {}
    target = env.get("RUNTIME_DROP_IN_CONFIG", "/etc/containerd/conf.d/99-nvidia.toml")
    text = drop_in(
        source,
        kind=kind,
        release=release,
        folder=folder,
        cdi=env.get("RUNTIME_ENABLE_CDI") == "true",
        default=_default(env),
    )
    on_host(target).parent.mkdir(parents=True, exist_ok=True)
    on_host(target).write_text(text)
    main = rtoml.loads(top.read_text()) if top.exists() else {"version": source.get("version", 2)}
    top.parent.mkdir(parents=True, exist_ok=True)
    top.write_text(rewritten(main, f"{target.rpartition('/')[0]}/*.toml"))


def _default(env: Mapping[str, str]) -> bool:
    """The first of two variables that is set counts, and true where none is."""
    said = env.get("NVIDIA_RUNTIME_SET_AS_DEFAULT", env.get("CONTAINERD_SET_AS_DEFAULT", "true"))
    return said == "true"


def as_the_operator_starts_it(env: Mapping[str, str], *, cdi: bool) -> dict[str, str]:
    """Return the toolkit container's variables: the operator's own, then those of the values."""
    return {**({"NVIDIA_RUNTIME_SET_AS_DEFAULT": "false"} if cdi else {}), **env}


def rewritten(main: Mapping[str, Any], pattern: str = "/etc/containerd/conf.d/*.toml") -> str:
    """Return the main file as the toolkit leaves it behind."""
    document = copy.deepcopy(dict(main))
    document["imports"] = [*document.get("imports", []), pattern]
    return dumps(document)


def dumps(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Write a table as go-toml does."""
    indent = "  " * len(path)
    tables = [key for key in sorted(table) if isinstance(table[key], dict)]
    values = [key for key in sorted(table) if key not in tables]
    lines = [f"{indent}{_key(key)} = {json.dumps(table[key])}\n" for key in values]
    for key in tables:
        here = (*path, key)
        lines.append(f"\n{indent}[{'.'.join(map(_key, here))}]\n{dumps(table[key], here)}")
    return "".join(lines)


def _key(name: str) -> str:
    return name if name.replace("_", "a").replace("-", "a").isalnum() else json.dumps(name)
