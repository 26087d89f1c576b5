"""What the file system refuses, as an error that says what to do."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def refused_io(place: str) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do.

    Raises:
        RefusedError: no permission, read-only, no space, or any other refusal of the system.
    """
    try:
        yield
    except OSError as exc:
        remedies = {
            errno.EACCES: "Run it as root, or try it in a folder of your own with --sandbox DIR.",
            errno.EPERM: "Run it as root, or try it in a folder of your own with --sandbox DIR.",
            errno.EROFS: "Mount the file system writable, or use --root DIR for an image.",
            errno.ENOSPC: "Free some space and run the same command again.",
            errno.EDQUOT: "Free some quota and run the same command again.",
        }
        raise RefusedError(
            Problem(
                f"{exc.strerror or exc}; nothing was changed",
                place=str(exc.filename or place),
                remedy=remedies.get(exc.errno or 0, "Mend the cause and run the command again."),
            )
        ) from exc
