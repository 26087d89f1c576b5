"""Standalone mode: containerd with k0s's own arguments, started detached and adopted later.

The process is known by PID and start time, never by name. It is ended with SIGTERM; SIGHUP is
never sent: containerd dies of it without cleaning up.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.plan import Running
from k0sruntime.processes import alive, identity, start_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.node import Node, Paths

STOP_SECONDS = 20.0
"""containerd stops its plugins within ten seconds at most; then it is killed."""
SOCKET_LIMIT = 107
"""Longest path of a Unix socket on Linux, without the closing zero byte (unix(7))."""


@dataclass(frozen=True)
class Started:
    """A containerd that was just started."""

    running: Running
    process: subprocess.Popen[bytes]


def arguments(node: Node[Any], log_level: str) -> list[str]:
    """Return containerd's command line, with the arguments that k0s gives it."""
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
        f"--config={paths.main_file}",
    ]


def log_path(paths: Paths) -> str:
    """Return the file that containerd logs to."""
    return f"{paths.run}/containerd.log"


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
    if answers(paths.socket):
        raise RefusedError(
            Problem(
                "another process already serves this socket, and we did not start it",
                place=paths.socket,
                culprit="k0s itself, or a containerd started by hand",
                remedy="Stop it, or let k0s run containerd: [node] mode = 'managed'.",
            )
        )


def answers(path: str) -> bool:
    """Tell whether somebody accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def start(
    node: Node[Any], log_level: str, effective: Mapping[str, Any], command: Sequence[str] = ()
) -> Started:
    """Start containerd detached, in a session of its own, and record it."""
    paths = node.paths
    refuse_socket(paths)
    os.makedirs(paths.run, exist_ok=True)
    environment = {**os.environ, "PATH": ":".join(node.search_path)}
    with open(log_path(paths), "ab") as log:
        process = subprocess.Popen(
            list(command) or arguments(node, log_level),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
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
    )
    State(paths).record_running(running)
    return Started(running, process)


def stop(paths: Paths, running: Running) -> None:
    """Stop the containerd that we started; shims and pods live on."""
    _signal(running, signal.SIGTERM)
    if not _gone(running, STOP_SECONDS):
        _signal(running, signal.SIGKILL)
        _gone(running, STOP_SECONDS)
    for path in (paths.socket, f"{paths.socket}.ttrpc"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    State(paths).record_running(None)


def _signal(running: Running, number: int) -> None:
    if alive(running):
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, number)


def _gone(running: Running, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(running):
        if time.monotonic() > deadline:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(running.pid, os.WNOHANG)
        time.sleep(0.005)
    return True


def log_size(paths: Paths) -> int:
    """Return the log's size: what a start adds to it comes after."""
    try:
        return os.stat(log_path(paths)).st_size
    except OSError:
        return 0


def why(paths: Paths, offset: int) -> str:
    """Return why containerd or its CRI plugin did not come up, out of what its log says.

    A plugin that failed makes others fail; the first of them names the cause. Source of the
    format: logrus' text formatter, as containerd 1.7 and 2.x use it.
    """
    try:
        with open(log_path(paths), "rb") as file:
            file.seek(offset)
            lines = file.read(1 << 20).decode(errors="replace").splitlines()
    except OSError:
        return ""
    failed = [line for line in lines if "failed to load plugin" in line and "cri" in line]
    if failed and (found := re.search(r'error="((?:[^"\\]|\\.)*)"', failed[0])):
        return found[1].replace('\\"', '"')
    telling = [line for line in lines if "level=info" not in line and "level=warning" not in line]
    return (telling or lines or [""])[-1].removeprefix("containerd: ")
