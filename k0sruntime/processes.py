"""Processes that we started: known by PID and start time, never by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from k0sruntime.ledger import State

if TYPE_CHECKING:
    from k0sruntime.node import Paths
    from k0sruntime.plan import Running


def running(paths: Paths) -> Running | None:
    """Return the containerd that we started, if that very process still runs."""
    record = State(paths).running()
    return record if record and alive(record) else None


def alive(record: Running) -> bool:
    """Tell whether a recorded process runs: same PID and same start time, never by name."""
    return start_time(record.pid) == record.start_time


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; ``None`` where it is gone.

    A zombie counts as gone.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def read_pid_file(paths: Paths) -> int | None:
    """Return the PID in k0s's PID file; ``None`` where there is none, or nonsense in it."""
    try:
        with open(paths.pid_file, encoding="ascii", errors="replace") as file:
            return int(file.read().strip())
    except (OSError, ValueError):
        return None


def identity(path: str) -> str:
    """Return a file as path, size and time: another file at the same path is another one."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return f"{path} {found.st_size} {found.st_mtime_ns}"
