"""Replacing an operator's file by its rewritten self, without a stray event in a watched folder.

k0s bounces containerd on any event in ``containerd.d``, even that of a temporary file. So the new
file is made beside that folder and renamed into place: one event, and a whole file at any instant.
This is no part of an apply: the file stays the operator's, and the ledger knows nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile

from k0sruntime.refused import refused_io

WATCHED = "containerd.d"
"""Name of the folder that k0s watches."""


def exchange(path: str, original: bytes, text: str) -> str:
    """Replace a file and return where the original is kept. A link is followed.

    Raises:
        RefusedError: the file system refuses; the file is as it was.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if os.path.basename(folder) == WATCHED:
        folder = os.path.dirname(folder)
    with refused_io(path):
        before = os.stat(path)
        kept = _keep(folder, name, original, before)
        try:
            _switch(path, folder, text, before)
        except BaseException:
            os.unlink(kept)
            raise
    return kept


def _keep(folder: str, name: str, original: bytes, like: os.stat_result) -> str:
    """Write the original beside the watched folder; an older copy is never overwritten."""
    number = 1
    while True:
        kept = f"{folder}/{name}.bak" if number == 1 else f"{folder}/{name}.bak{number}"
        try:
            descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        _fill(descriptor, original, like)
        return kept


def _switch(path: str, folder: str, text: str, like: os.stat_result) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".k0sruntime-migrate-", dir=folder)
    try:
        _fill(descriptor, text.encode(), like)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _fill(descriptor: int, content: bytes, like: os.stat_result) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(PermissionError):  # not root: the file becomes the caller's
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o7777)
        os.fsync(descriptor)
