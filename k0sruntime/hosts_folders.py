"""Where containerd looks for hosts files: the ``registry.config_path`` that is in force.

Sources: containerd 2.3 ``plugins/cri/images/plugin.go`` (the default),
``internal/cri/server/images/image_pull.go`` (``hostDirFromRoots``); containerd issue 12415.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.schema import cri_tables
from k0sruntime.errors import Problem
from k0sruntime.explain import explain_all
from k0sruntime.node import Version

if TYPE_CHECKING:
    from k0sruntime.compose import Composition

ONE_NAME = Version(2, 1)
"""The first containerd that takes several folders for one name."""
HAS_DEFAULT = Version(2, 2)
"""The first containerd that has a ``config_path`` where none is set."""
DEFAULT = "/etc/containerd/certs.d:/etc/docker/certs.d"
KEY = ("registry", "config_path")


@dataclass(frozen=True)
class HostsFolders:
    """Where containerd looks for hosts files.

    Attributes:
        folders: in its order; the first that knows a registry counts. Empty: it looks nowhere.
        warnings: where that is not what somebody who looks at the node would expect.
    """

    folders: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


def hosts_folders(composition: Composition, certs: str, containerd: Version) -> HostsFolders:
    """Return where containerd looks for hosts files, with a composition as it lies on disk.

    Args:
        composition: what containerd loads.
        certs: the folder that the host's own hosts files lie in.
        containerd: the one that loads it.
    """
    _, images = cri_tables(composition.effective, composition.schema)
    registry: Any = images.get("registry")
    registry = registry if isinstance(registry, dict) else {}
    value = registry.get("config_path")
    if not isinstance(value, str) or not value:
        return _unset(bool(registry.get("mirrors")), certs, containerd)
    folders = tuple(folder for folder in value.split(":") if folder)
    told = []
    if certs not in folders:
        told.append(
            Problem(
                f"containerd looks into {value}, and not into {certs}",
                place=_place(composition),
                remedy="Take registry.config_path out there, and run k0sruntime up.",
            )
        )
    if len(folders) > 1:
        lost = containerd >= ONE_NAME
        why = (
            f"containerd {containerd} takes them for one, and reads no hosts file"
            if lost
            else "a _default in an earlier one hides all later ones"
        )
        told.append(
            Problem(
                f"registry.config_path names {len(folders)} folders: {why}",
                place=_place(composition),
                remedy="Name exactly one folder.",
            )
        )
        folders = (value,) if lost else folders
    return HostsFolders(folders, tuple(told))


def _unset(mirrors: bool, certs: str, containerd: Version) -> HostsFolders:
    instead = "it reads no hosts file"
    folders: tuple[str, ...] = ()
    if mirrors:
        instead = "it goes by registry.mirrors, which is not shown here"
    elif containerd >= HAS_DEFAULT:
        instead = f"it takes its own default {DEFAULT} for one folder, and reads no hosts file"
        folders = (DEFAULT,)
    problem = Problem(
        f"registry.config_path is not set: containerd {containerd} does not look into {certs};"
        f" {instead}",
        place="registry.config_path",
        remedy="Run k0sruntime up with mirrors in its settings, or set the key in a drop-in.",
    )
    return HostsFolders(folders, (problem,))


def _place(composition: Composition) -> str:
    """Return the file and the line that set the key."""
    for entry in explain_all(composition):
        if entry.key[-2:] == KEY:
            return f"{entry.setting.path}:{entry.setting.line}"
    return "registry.config_path"
