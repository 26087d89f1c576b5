"""The folder of ``--sandbox``: made and marked by us, and purged only where the mark lies."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from k0sruntime.durable import write_synced
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.installed import users
from k0sruntime.refused import refused_io
from k0sruntime.staging import mount_points

if TYPE_CHECKING:
    from k0sruntime.paths import Paths

SANDBOX_MARK = ".k0sruntime-sandbox"
"""Lies in a folder that we made for ``--sandbox``; without it nothing is purged there."""


def mark_sandbox(paths: Paths) -> None:
    """Make the folder of a sandbox and mark it as ours, if it is new or empty.

    Raises:
        RefusedError: the folder holds something else.
    """
    folder = paths.sandbox
    if not folder or os.path.exists(f"{folder}/{SANDBOX_MARK}"):
        return
    with refused_io(folder):
        os.makedirs(folder, exist_ok=True)
        # Another command may be marking the same folder at this moment.
        known = ("etc", "run", "var", SANDBOX_MARK)
        strangers = [name for name in os.listdir(folder) if name not in known]
        if strangers:
            raise RefusedError(
                Problem(
                    f"the folder holds other things than a sandbox: {strangers[0]}",
                    place=folder,
                    remedy="Name an empty or a new folder.",
                )
            )
        write_synced(
            f"{folder}/{SANDBOX_MARK}", b"A node in a folder; see k0sruntime --help.\n", 0o644
        )


def purge(paths: Paths) -> str:
    """Remove our own state, and in a sandbox the whole node; return what was removed.

    Raises:
        RefusedError: something is still mounted there.
    """
    folders = [paths.on_disk(paths.state), paths.on_disk(paths.own_run)]
    if paths.root == "/":
        folders.append(paths.cache)
    _refuse_users(paths)
    whole = paths.sandbox and os.path.exists(f"{paths.sandbox}/{SANDBOX_MARK}")
    if whole:
        folders = [f"{paths.sandbox}/{name}" for name in ("etc", "var", "run")]
    for folder in folders:
        _refuse_mounts(folder)
    for folder in folders:
        with refused_io(folder):
            if os.path.isdir(folder):
                shutil.rmtree(folder)
    if whole:
        with contextlib.suppress(OSError):
            os.unlink(f"{paths.sandbox}/{SANDBOX_MARK}")
            os.rmdir(paths.sandbox)
        return f"the sandbox {paths.sandbox}"
    return ", ".join(folders)


def _refuse_users(paths: Paths) -> None:
    """Refuse to remove programs that run: pods without their runtime cannot even be ended."""
    folder = paths.on_disk(paths.binaries)
    if running := users(folder):
        raise RefusedError(
            Problem(
                f"{len(running)} processes still run programs from there, such as PID {running[0]}",
                place=folder,
                remedy="Stop the pods first: k0sruntime up, then k0sruntime down --pods --purge.",
            )
        )


def _refuse_mounts(folder: str) -> None:
    """Refuse to remove a folder with a mount in it: it would take what is mounted along."""
    real = os.path.realpath(folder)
    below = [point for point in mount_points() if point == real or point.startswith(f"{real}/")]
    if below:
        raise RefusedError(
            Problem(
                f"{len(below)} file systems are still mounted there, such as {below[0]}",
                place=folder,
                remedy="Stop the pods first: k0sruntime up, then k0sruntime down --pods --purge.",
            )
        )
