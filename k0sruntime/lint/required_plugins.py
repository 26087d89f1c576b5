"""Required plugins that are not loaded: containerd exits, and ``config dump`` says nothing of it.

Some are built in and pass themselves over where the node has no use for them (``skip plugin``).
Sources: containerd ``cmd/containerd/server/server.go`` (``New``) and the plugins' own: ``btrfs``
and ``zfs`` want their folder on such a file system, ``devmapper`` its pool, ``blockfile`` its
scratch file, ``aufs`` the kernel's module. Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_plugins import NOT_ON_LINUX, is_known, known_plugins
from k0sruntime.lint.plugin_lists import (
    ALIKE,
    DISABLED,
    REQUIRED,
    id_of,
    is_uri,
    is_version_1,
    named,
)
from k0sruntime.lint.proxy_plugins import TYPES
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File

SNAPSHOTTER = "io.containerd.snapshotter.v1"
NEEDS = {
    f"{SNAPSHOTTER}.devmapper": ("pool_name", "base_image_size"),
    f"{SNAPSHOTTER}.blockfile": ("scratch_file",),
}
"""Keys of their own tables without which they are not loaded."""
ON_ITS_FILE_SYSTEM = {f"{SNAPSHOTTER}.btrfs": "btrfs", f"{SNAPSHOTTER}.zfs": "zfs"}
MOUNTS = "/proc/mounts"
DEPENDS = {
    f"{SNAPSHOTTER}.aufs": "the kernel's module aufs",
    f"{SNAPSHOTTER}.erofs": "the kernel's module erofs",
    "io.containerd.differ.v1.erofs": "the program mkfs.erofs",
    "io.containerd.internal.v1.tracing": "an OpenTelemetry endpoint in its environment",
    "io.containerd.tracing.processor.v1.otlp": "an OpenTelemetry endpoint in its environment",
}
"""What else a plugin needs that cannot be judged from here."""


def unknown_required(case: Case) -> Iterator[Hit]:
    """Find required plugins that this containerd does not have, that are disabled, or skip."""
    if case.target.schema == 2 and any("plugin_dir" in file.document for file in case.files):
        return  # it may load more than what it was built with
    off = {plugin for file in case.files for plugin in named(file, DISABLED)}
    for file in case.files:
        for plugin in named(file, REQUIRED):
            if not _is_read(plugin, file, case):
                continue  # K0R109
            if plugin in off:
                why = f"required_plugins names {plugin!r}, which disabled_plugins takes away"
            elif near := _not_there(plugin, file, case):
                why = f"required_plugins names {plugin!r}, which containerd"
                why += f" {case.target.containerd} does not have{near}"
            elif lacking := _skips(plugin, case):
                why = f"required_plugins names {plugin!r}, which is not loaded without {lacking}"
            elif depends := _may_skip(plugin, case):
                why = f"required_plugins names {plugin!r}: containerd exits without {depends}"
                remedy = "Take it out of required_plugins where a node may lack that."
                yield Hit(file, why, remedy, (REQUIRED,), consequence="untidy")
                continue
            else:
                continue
            yield Hit(file, why, "Correct it, or take it out of required_plugins.", (REQUIRED,))


def _by_id(file: File, case: Case) -> bool:
    """Tell whether 1.7 reads the list as one of version 1, in which plugins go by their IDs."""
    return case.target.schema == 2 and is_version_1(file, case)


def _is_read(plugin: str, file: File, case: Case) -> bool:
    if _by_id(file, case):
        return True
    return not is_version_1(file, case) and is_uri(plugin, case.target)


def _not_there(plugin: str, file: File, case: Case) -> str:
    """Return what one that is not there might be, or ``at all``; empty where it is there."""
    containerd = case.target.containerd
    there = [name for name in known_plugins(containerd) if name not in NOT_ON_LINUX]
    there += _proxies(case)
    if _by_id(file, case):
        there = [id_of(name) for name in there]
    elif plugin not in NOT_ON_LINUX and is_known(plugin, containerd):
        return ""
    return "" if plugin in there else did_you_mean(plugin, there, ALIKE) or " at all"


def _proxies(case: Case) -> Iterator[str]:
    """Yield the plugins that other processes bring."""
    for name, entry in table_at(case.effective.document, "proxy_plugins").items():
        kind: Any = entry.get("type") if isinstance(entry, dict) else None
        if isinstance(kind, str):
            yield f"{TYPES.get(kind, kind)}.{name}"


def _skips(plugin: str, case: Case) -> str:
    """Return what a plugin surely lacks; empty where nothing is known to be missing."""
    own = case.effective.table("plugins", plugin)
    if missing := [key for key in NEEDS.get(plugin, ()) if own.get(key, "") == ""]:
        return f"{' and '.join(missing)} in its table"
    kind = ON_ITS_FILE_SYSTEM.get(plugin)
    mounts = _mounts(case)
    if kind and mounts is not None and kind not in mounts:
        return f"a file system of {kind}, of which this machine has none"
    return ""


def _may_skip(plugin: str, case: Case) -> str:
    """Return what a plugin needs, where nobody can tell from here whether the node has it."""
    kind = ON_ITS_FILE_SYSTEM.get(plugin)
    if kind and _mounts(case) is None:
        return f"its folder on a file system of {kind}"
    return DEPENDS.get(plugin, "")


def _mounts(case: Case) -> set[str] | None:
    """Return the kinds of file systems that the machine has mounted; ``None``: nobody knows."""
    data = case.machine_files.read(MOUNTS) if case.target.machine else None
    if not data:
        return None
    lines = (line.split() for line in data.decode(errors="replace").splitlines())
    return {words[2] for words in lines if words[2:]}


RULES = (
    Rule(
        "K0R108",
        "unknown-required-plugin",
        "a required plugin that this containerd does not load",
        "stops the node",
        unknown_required,
    ),
)
"""K0R108: required plugins."""
