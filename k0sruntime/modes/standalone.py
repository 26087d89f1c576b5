"""Standalone mode: containerd with k0s's own arguments, started detached and adopted later.

The process is known by PID and start time, never by name. It is ended with SIGTERM; SIGHUP is
never sent: containerd dies of it without cleaning up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.durable import remove, write_volatile
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.modes import log
from k0sruntime.plan import Running
from k0sruntime.processes import (
    MARK,
    alive,
    identity,
    read_pid_file,
    server_of,
    start_time,
    started_for,
)
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.modes.log import LogTo
    from k0sruntime.node import Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths

STOP_SECONDS = 20.0
"""containerd stops its plugins within ten seconds at most; then it is killed."""
ROOM = 1 << 16
"""So many bytes the records of a start may take together."""
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


def refuse_start(paths: Paths, running: Running | None, to: LogTo) -> None:
    """Stop before anything is written where containerd could not be started or bounced.

    Args:
        paths: the node's paths.
        running: the containerd of ours that runs, if one does.
        to: where containerd shall log to.

    Raises:
        RefusedError: too long a path, another process at the socket or in the PID file, no journal.
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
    log.refuse(to)
    _refuse_full(paths)
    served = server_of(paths.socket)
    if running is None:
        _refuse_server(paths, served)
        _refuse_pid_file(paths)
    elif served not in (running.pid, 0, None):
        raise RefusedError(_rival(paths, running, served))


def _refuse_full(paths: Paths) -> None:
    """Stop where there is no room for the record of what is about to be started.

    Raises:
        RefusedError: says which folder is full, read-only or forbidden.
    """
    probe = f"{State(paths).run}/room"
    with refused_io(probe):
        try:
            write_volatile(probe, bytes(ROOM))
        finally:
            remove(probe)


def _refuse_server(paths: Paths, served: int | None) -> None:
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


def _rival(paths: Paths, running: Running, served: int | None) -> Problem:
    return Problem(
        f"PID {served} serves this socket, and the containerd that we started,"
        f" PID {running.pid}, runs without one",
        place=paths.socket,
        culprit="a containerd started by hand",
        remedy="Stop the other one; then k0sruntime down and up.",
    )


def find_again(paths: Paths) -> Running | None:
    """Return a containerd that we started and have no record of, and record it.

    A command may be killed, or find the disk full, between a start and its record. The process
    itself says for which node it was started.
    """
    pid = server_of(paths.socket)
    born = start_time(pid) if pid else None
    if not pid or born is None or started_for(pid) != State(paths).folder:
        return None
    found = Running(pid, born, identity(os.path.realpath(f"/proc/{pid}/exe")), "")
    State(paths).record_running(found)
    return found


def _named(pid: int) -> str:
    try:
        return f"another process (PID {pid}, {os.readlink(f'/proc/{pid}/exe')})"
    except OSError:
        return f"another process (PID {pid})" if pid else "another process"


def _refuse_pid_file(paths: Paths) -> None:
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
    refuse_start(paths, None, settings.log)
    os.makedirs(paths.run, exist_ok=True)
    # The service manager hears of the supervisor, never of containerd, which would tell it too.
    inherited = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    known = {"PATH": ":".join(node.search_path), MARK: State(paths).folder}
    environment = {**inherited, **known}
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
    try:
        State(paths).record_running(running)
        with open(paths.pid_file, "w", encoding="ascii") as file:  # where k0s looks for it
            file.write(f"{process.pid}\n")
    except BaseException:  # nobody would know of it
        process.kill()
        process.wait()
        raise
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
