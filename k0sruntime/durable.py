"""Files written whole or not at all: a new file, fsynced, renamed, and its folder fsynced.

Next to ``apply`` this is the room that opens files for writing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k0sruntime.plan import FileState


def write_atomically(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file of our own state: a new file beside it, fsynced, renamed, folder fsynced."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{path}.new"
    try:
        write_synced(temporary, content, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def write_synced(
    path: str,
    content: bytes,
    mode: int,
    owner: tuple[int, int] = (-1, -1),
    *,
    fresh: bool = False,
) -> None:
    """Write a file with exact permissions and fsync it; what lay there before is replaced.

    ``owner`` is user and group, -1 for our own; only root can give a file away. With ``fresh``
    nothing may lie there.
    """
    how = os.O_EXCL if fresh else os.O_TRUNC
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if owner != (-1, -1):
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())


def write_volatile(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a record below ``/run``: whole or not at all, and without waiting for a disk.

    A new start of the machine ends it, so it need not survive one; and containerd, which boots at
    the same time, has the disk for itself.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_like(path: str, content: bytes, before: FileState) -> None:
    """Replace a file of another hand's at once, with the permissions and the owner that it had.

    The new one waits under a name that nobody else has: ``PATH.new`` may be somebody's.
    """
    folder, name = os.path.split(os.path.abspath(path))
    staged = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")
    try:
        write_synced(staged, content, before.mode, before.owner, fresh=True)
        put(staged, os.path.join(folder, name))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(staged)
        raise


def put(staged: str, path: str) -> None:
    """Rename a whole file, which lies in the same folder, into place."""
    os.replace(staged, path)
    sync_folder(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove a file of our own state, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_folder(path: str) -> None:
    """Remove a folder of our own state and what is in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def sync_folder(path: str) -> None:
    """Fsync a folder, so that renames and removals in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
