"""The one place where files are opened for reading: nothing that is no file is ever opened.

open(2) of a FIFO waits until somebody writes into it (fifo(7)), reading a device may never end, and
either would hang a command, a completion, or the supervisor, at whatever name somebody left one.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from k0sruntime.toml import LARGEST

if TYPE_CHECKING:
    from io import BufferedReader

ENOUGH = LARGEST + 1
"""Bytes. Reading stops here: who takes the content for the whole file sees that it is too large."""
NULL = os.makedev(1, 3)
"""``/dev/null`` (Linux ``admin-guide/devices.txt``): a link to it is read as an empty file."""
HANDED_OVER = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""Pipes that are open already: a shell's ``<(…)``. Whoever names one wants it read to its end."""
KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def opened(path: str) -> BufferedReader:
    """Open a file for reading, without waiting for anybody; links are followed.

    Raises:
        OSError: it cannot be opened, or is no file; ``strerror`` says what it is.
    """
    return open(path, "rb", opener=_opener)


def content(path: str, most: int = -1) -> bytes:
    """Return what is in a file, up to ``most`` bytes.

    Raises:
        OSError: as ``opened``.
    """
    with opened(path) as file:
        return file.read(most)


def other_kind(path: str) -> str:
    """Return what lies at a path that is no file: a folder, a FIFO, a socket, or a device.

    Empty for a file, and for nothing at all.
    """
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return "a folder" if stat.S_ISDIR(found.st_mode) else _other(found, path)


def _opener(path: str, flags: int) -> int:
    _refuse(os.stat(path), path)
    if handed_over(path):
        return os.open(path, flags)
    # Between the two it may have become a FIFO: then this does not wait, and the next line refuses.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _refuse(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(found: os.stat_result, path: str) -> None:
    if kind := _other(found, path):
        raise OSError(errno.EINVAL, f"it is {kind}, and no file", path)


def handed_over(path: str) -> bool:
    """Tell whether a path names what is open already, and may be a pipe, to be read once."""
    return path.startswith(HANDED_OVER)


def _other(found: os.stat_result, path: str) -> str:
    null = stat.S_ISCHR(found.st_mode) and found.st_rdev == NULL
    if null or (stat.S_ISFIFO(found.st_mode) and handed_over(path)):
        return ""
    return next((kind for test, kind in KINDS if test(found.st_mode)), "")
