"""Standalone mode: containerd with k0s's own arguments, started detached and adopted later.

The process is known by PID and start time, never by name. It is ended with SIGTERM; SIGHUP is
never sent: containerd dies of it without cleaning up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.modes import log
from k0sruntime.plan import Running
from k0sruntime.processes import alive, identity, read_pid_file, start_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.node import Node, Paths
    from k0sruntime.node_provider import NodeSettings

STOP_SECONDS = 20.0
"""containerd stops its plugins within ten seconds at most; then it is killed."""
SOCKET_LIMIT = 107
"""Longest path of a Unix socket on Linux, without the closing zero byte (unix(7))."""


@dataclass(frozen=True)
class Started:
    """A containerd that was just started."""

    running: Running
    process: subprocess.Popen[bytes]


def arguments(node: Node[Any], log_level: str, config: str = "") -> list[str]:
    """Return containerd's command line, with the arguments that k0s gives it.

    ``config`` is the main file, where that is not the node's own.
    """
    if node.containerd is None:
        raise RefusedError(
            Problem("no containerd found", place=":".join(node.search_path), remedy="Install one.")
        )
    paths = node.paths
    return [
        node.containerd.path,
        f"--root={paths.containerd_root}",
        f"--state={paths.containerd_state}",
        f"--address={paths.socket}",
        f"--log-level={log_level}",
        f"--config={config or paths.main_file}",
    ]


def refuse_socket(paths: Paths) -> None:
    """Stop where the socket cannot be ours: too long a path, or another process behind it.

    Raises:
        RefusedError: says which of the two.
    """
    longest = f"{paths.socket}.ttrpc"
    if len(longest.encode()) > SOCKET_LIMIT:
        raise RefusedError(
            Problem(
                f"the path of containerd's socket is longer than {SOCKET_LIMIT} bytes",
                place=longest,
                remedy="Use a folder with a shorter path.",
            )
        )
    served = server_of(paths.socket)
    if served is None:
        return
    raise RefusedError(
        Problem(
            f"{_named(served)} already serves this socket, and we did not start it",
            place=paths.socket,
            culprit="k0s itself, or a containerd started by hand",
            remedy="Stop it, or let k0s run containerd: [node] mode = 'managed'.",
        )
    )


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


def _named(pid: int) -> str:
    try:
        return f"another process (PID {pid}, {os.readlink(f'/proc/{pid}/exe')})"
    except OSError:
        return f"another process (PID {pid})" if pid else "another process"


def refuse_rival(paths: Paths, running: Running | None) -> None:
    """Stop where our containerd runs and another process serves its socket.

    Raises:
        RefusedError: names both.
    """
    if running is None or server_of(paths.socket) in (running.pid, 0, None):
        return
    raise RefusedError(
        Problem(
            f"PID {server_of(paths.socket)} serves this socket, and the containerd that"
            f" we started, PID {running.pid}, runs without one",
            place=paths.socket,
            culprit="a containerd started by hand",
            remedy="Stop the other one; then k0sruntime down and up.",
        )
    )


def refuse_pid_file(paths: Paths) -> None:
    """Stop where k0s's PID file names a living containerd that is not ours; a stale one is fine.

    Raises:
        RefusedError: names the process.
    """
    pid = read_pid_file(paths)
    if pid is None or start_time(pid) is None or not _is_containerd(pid):
        return
    raise RefusedError(
        Problem(
            f"PID {pid} in k0s's PID file is a containerd that runs, and we did not start it",
            place=paths.pid_file,
            culprit="k0s itself, most likely",
            remedy="Stop it, or let k0s run containerd: [node] mode = 'managed'.",
        )
    )


def _is_containerd(pid: int) -> bool:
    """Tell a containerd from a process that got the same PID later."""
    try:
        return "containerd" in os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False


def start(
    node: Node[Any],
    settings: NodeSettings,
    effective: Mapping[str, Any],
    config: str = "",
    command: Sequence[str] = (),
) -> Started:
    """Start containerd detached, in a session of its own, and record it.

    Args:
        node: the node, with its containerd.
        settings: tell the log and its level.
        effective: what the configuration comes to.
        config: the main file, where that is not the node's own.
        command: another command line, for tests.

    Raises:
        RefusedError: the socket, the PID file or the log cannot be ours.
    """
    paths = node.paths
    refuse_socket(paths)
    refuse_pid_file(paths)
    os.makedirs(paths.run, exist_ok=True)
    # The service manager hears of the supervisor, never of containerd, which would tell it too.
    inherited = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    environment = {**inherited, "PATH": ":".join(node.search_path)}
    with log.opened(paths, settings.log) as output:
        process = subprocess.Popen(
            list(command) or arguments(node, settings.log_level, config),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    running = Running(
        process.pid,
        start_time(process.pid) or 0,
        identity(node.containerd.path) if node.containerd else "",
        str(node.containerd.version) if node.containerd else "",
        effective,
        search_path=node.search_path,
        config=config,
    )
    State(paths).record_running(running)
    with open(paths.pid_file, "w", encoding="ascii") as file:  # where k0s looks for it
        file.write(f"{process.pid}\n")
    return Started(running, process)


def stop(paths: Paths, running: Running) -> None:
    """Stop the containerd that we started; shims and pods live on."""
    _signal(running, signal.SIGTERM)
    if not _gone(running, STOP_SECONDS):
        _signal(running, signal.SIGKILL)
        _gone(running, STOP_SECONDS)
    for path in (paths.socket, f"{paths.socket}.ttrpc", paths.pid_file):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    State(paths).record_running(None)


def _signal(running: Running, number: int) -> None:
    if alive(running):
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, number)


def _gone(running: Running, seconds: float) -> bool:
    """Wait for a process's end; its pidfd is readable at once then (pidfd_open(2))."""
    try:
        descriptor = os.pidfd_open(running.pid)
    except OSError:  # gone already
        return not alive(running)
    try:
        if alive(running):
            select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)
    return not alive(running)
