"""The real node's files: read only, below whatever root the node has on this machine."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.plan import FileState
from k0sruntime.regular import ENOUGH
from k0sruntime.toml import LARGEST

if TYPE_CHECKING:
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class RealFiles:
    """The files of the node whose ``/`` lies at ``paths.root``."""

    paths: Paths

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` is there, whatever it is."""
        return os.path.lexists(self.paths.on_disk(path))

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is a Unix socket."""
        mode = self._mode(path)
        return mode is not None and stat.S_ISSOCK(mode)

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is a regular file that everybody may execute."""
        mode = self._mode(path)
        return mode is not None and stat.S_ISREG(mode) and bool(mode & 0o001)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or ``None`` where it is missing or unreadable.

        Of one that is too large, as a program may be, its beginning: ``regular.ENOUGH`` bytes,
        which is more than ``toml.load`` takes.
        """
        try:
            with regular.opened(self.paths.on_disk(path)) as file:
                return file.read(ENOUGH)
        except OSError:
            return None

    def other_kind(self, path: str) -> str:
        """Return what lies at ``path`` that is no file, such as ``a FIFO``; empty otherwise."""
        return regular.other_kind(self.paths.on_disk(path))

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; empty where there is none."""
        try:
            return tuple(sorted(os.listdir(self.paths.on_disk(path))))
        except OSError:
            return ()

    def mode(self, path: str) -> int | None:
        """Return the permission bits at ``path``, links followed, or ``None``."""
        mode = self._mode(path)
        return None if mode is None else stat.S_IMODE(mode)

    def _mode(self, path: str) -> int | None:
        try:
            return os.stat(self.paths.on_disk(path)).st_mode
        except OSError:
            return None


def file_state(path: str) -> FileState | None:
    """Return a file's content and permissions, or ``None`` where there is none.

    Raises:
        RefusedError: something else than a file is there, it cannot be read, or it is too large.
    """
    try:
        with regular.opened(path) as file:
            found = os.fstat(file.fileno())
            content = file.read(ENOUGH)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise RefusedError(
            Problem(
                f"cannot be read: {exc.strerror}",
                place=path,
                remedy="Move it away, or run as root.",
            )
        ) from exc
    if len(content) > LARGEST:
        message = f"the file is larger than {LARGEST >> 20} MiB, so that nobody here reads it whole"
        raise RefusedError(Problem(message, place=path, remedy="Move it away."))
    return FileState(content, stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid))
