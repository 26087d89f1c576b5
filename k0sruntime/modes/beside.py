"""A containerd that a command has bounced goes where the service had the old one.

A service gives containerd its cgroup, its limits and its OOM score; a command that somebody types
into a session has others, and at logout they may be ended with it. So the new process is moved
beside the supervisor that the service runs. Sources: cgroups(7), prlimit(2), proc(5).
"""

from __future__ import annotations

import contextlib
import os
import resource

LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE)


def join(pid: int, supervisor: int) -> None:
    """Give a process the cgroups, limits and OOM score of the supervisor; what is refused stays."""
    for line in _lines(f"/proc/{supervisor}/cgroup"):
        _, controllers, path = line.split(":", 2)
        with contextlib.suppress(OSError), open(_procs(controllers, path), "w") as file:
            file.write(str(pid))
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, limit, resource.prlimit(supervisor, limit))
    score = "".join(_lines(f"/proc/{supervisor}/oom_score_adj"))
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write(score)


def _procs(controllers: str, path: str) -> str:
    """Return the file that takes PIDs of a cgroup: of version 2, or of a hierarchy of version 1."""
    base = "/sys/fs/cgroup"
    if not controllers:
        unified = f"{base}/unified"
        return f"{unified if os.path.isdir(unified) else base}{path}/cgroup.procs"
    return f"{base}/{controllers.removeprefix('name=')}{path}/cgroup.procs"


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
