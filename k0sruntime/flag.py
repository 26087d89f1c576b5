"""A flag that a signal handler may set."""

from __future__ import annotations

import time

SLICE_SECONDS = 0.1
"""So long at most a set flag goes unnoticed by who waits for it."""


class Flag:
    """Set once, by a signal handler or by anybody; for ``threading.Event`` where signals set it.

    An event takes its own lock to be set. A handler that comes while the same thread holds that
    lock, because it just begins to wait, would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Set the flag."""
        self._set = True

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Wait till the flag is set, so many seconds at most; tell whether it is."""
        end = time.monotonic() + seconds
        while not self._set and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))
        return self._set
