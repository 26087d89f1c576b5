"""Where files wait before they are switched: on their target's mount, and where nobody watches.

A rename works inside of one mount only, and any file event in the drop-in folder bounces a k0s
node. So files wait beside the folder wherever that can be; where the folder is a mount of its own,
they wait below it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k0sruntime.paths import Paths

STAGING = ".k0sruntime-staging"


def folder_for(target: str, paths: Paths) -> str:
    """Return the folder in which a file for ``target`` waits; it may not be there yet."""
    real = os.path.realpath(os.path.dirname(target))
    mounts = mount_points()
    wanted = _mount_of(real, mounts)
    for base in _bases(paths):
        if os.path.isdir(base) and _mount_of(os.path.realpath(base), mounts) == wanted:
            return f"{base}/{STAGING}"
    return f"{real}/{STAGING}"


def name_for(path: str) -> str:
    """Return the name under which a file waits."""
    return path.strip("/").replace("/", "%")


def sweep(paths: Paths) -> None:
    """Remove what an apply has staged that was killed before its journal or after it."""
    for base in _bases(paths):
        staging = f"{base}/{STAGING}"
        if os.path.isdir(staging):
            for name in os.listdir(staging):
                os.unlink(f"{staging}/{name}")
            os.rmdir(staging)


def mount_points() -> tuple[str, ...]:
    """Return all mount points of this machine (proc_pid_mountinfo(5)), with blanks unescaped."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return tuple(line.split()[4].replace("\\040", " ") for line in file)


def _mount_of(path: str, mounts: tuple[str, ...]) -> str:
    """Return the mount point below which a real path lies."""
    above = (point for point in mounts if f"{path}/".startswith(f"{point.rstrip('/')}/"))
    return max(above, key=len, default="/")


def _bases(paths: Paths) -> list[str]:
    """Return the folders beside which files may wait, those that nobody watches first."""
    dropins = paths.on_disk(paths.dropins)
    beside = os.path.dirname(os.path.realpath(dropins))
    state = paths.on_disk(paths.state)  # for manifests, where /var is a mount of its own
    found = (paths.on_disk(paths.etc), paths.on_disk(paths.run), beside, state)
    return [*dict.fromkeys(found), paths.on_disk(paths.certs), dropins]
