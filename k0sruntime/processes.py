"""Processes that we started: known by PID and start time, never by name."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.ledger import State

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Running


MARK = "K0SRUNTIME_STARTED_FOR"
"""Environment variable of a containerd that we started, with the folder of our records."""


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
        return int(regular.content(paths.pid_file, 64))
    except (OSError, ValueError):
        return None


def server_of(path: str) -> int | None:
    """Return the PID of the process that serves a Unix socket; ``None`` where nobody does.

    0 is a process that this PID namespace cannot see. Source: unix(7), ``SO_PEERCRED``: whoever
    called listen(2).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
            found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    return int(struct.unpack("3i", found)[0])


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; empty where nobody may look."""
    try:
        with regular.opened(f"/proc/{pid}/environ") as file:
            words = [os.fsdecode(word).partition("=") for word in file.read().split(b"\0")]
    except OSError:
        return {}
    return {name: value for name, mark, value in words if mark}


def started_for(pid: int) -> str:
    """Return the state folder of the node for which we started a process; empty for others'."""
    return environment(pid).get(MARK, "")


def identity(path: str) -> str:
    """Return a file as path, size and time: another file at the same path is another one."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return f"{path} {found.st_size} {found.st_mtime_ns}"
