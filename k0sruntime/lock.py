"""The node's lock: one command that changes something at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.errors import LockedError, Problem
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedRandom

    from k0sruntime.paths import Paths


@contextlib.contextmanager
def locked(paths: Paths, timeout: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the node's lock: one command that changes something at a time.

    ``fcntl.flock`` and not a library: the kernel frees it when the holder dies, however it dies.

    Args:
        paths: the node's paths.
        timeout: seconds to wait for another holder.
        waiting: called once with a sentence when there is one.

    Raises:
        LockedError: the other one is not done in time.
    """
    folder = paths.on_disk(paths.own_run)
    with _opened(folder, timeout, waiting) as file:
        file.truncate(0)
        file.write(f"{os.getpid()}".encode())
        file.flush()
        try:
            yield
        finally:
            if paths.image:  # nothing volatile of ours stays behind in it
                with contextlib.suppress(OSError):
                    os.unlink(file.name)
                    os.rmdir(folder)


def holder_of(paths: Paths) -> int:
    """Return the PID of the command that holds the lock; 0 where none does."""
    try:
        with regular.opened(f"{paths.on_disk(paths.own_run)}/lock") as file:
            if _try_lock(file.fileno()):
                return 0
            return int(file.read() or b"0")
    except (OSError, ValueError):
        return 0


@contextlib.contextmanager
def _opened(
    folder: str, timeout: float, waiting: Callable[[str], None]
) -> Iterator[BufferedRandom]:
    """Open and lock the file; one that was removed while we waited is made anew."""
    deadline, told = time.monotonic() + timeout, False
    while True:
        with refused_io(folder):
            os.makedirs(folder, exist_ok=True)
            file = open(f"{folder}/lock", "a+b")  # noqa: SIM115 - closed below, with the lock
        with file:
            while not _try_lock(file.fileno()):
                holder = _holder(file.name)
                if not told:
                    waiting(f"waiting for {holder}, which holds the node's lock")
                    told = True
                if time.monotonic() > deadline:
                    raise LockedError(
                        Problem(
                            f"the node's lock is held by {holder}",
                            place=file.name,
                            remedy="Let it finish, or wait longer with --lock-timeout.",
                        )
                    )
                time.sleep(0.05)
            if _still_there(file):
                yield file
                return


def _still_there(file: BufferedRandom) -> bool:
    """Tell whether the file that we locked is the one that others would lock."""
    try:
        return os.path.samestat(os.stat(file.name), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: str) -> str:
    with regular.opened(path) as file:
        pid = file.read().decode(errors="replace").strip()
    return f"process {pid}" if pid else "another process"
