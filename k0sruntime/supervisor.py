"""The supervisor seen from outside: whether one runs, starting one, and sending it away.

One supervisor a node: it holds a lock for as long as it lives, and whoever starts one takes the
lock first and hands it over, so that there is no instant at which nobody knows of it. A command
that wants containerd stopped sends it away first, else it would start containerd again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from k0sruntime.durable import write_volatile
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.processes import start_time
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k0sruntime.paths import Paths

LEAVE = signal.SIGUSR1
"""Tells a supervisor to end and leave containerd alone; SIGTERM stops containerd as well."""
LEAVE_SECONDS = 10.0
PLACE = "K0SRUNTIME_SUPERVISOR_PLACE"
"""Environment variable with the descriptor of the lock that a detached supervisor is handed."""


@dataclass(frozen=True)
class Supervisor:
    """A supervisor as it is recorded, dead or alive."""

    pid: int
    start_time: int
    detached: bool
    """``up`` left it behind; else a service, or a person, runs it in the foreground."""
    gave_up: str = ""
    """Why it ended by itself."""

    @property
    def alive(self) -> bool:
        """It runs: same PID, same start time."""
        return not self.gave_up and start_time(self.pid) == self.start_time


def log_path(paths: Paths) -> str:
    """Return the file that a detached supervisor tells its story to."""
    return f"{paths.own_run}/supervisor.log"


def recorded(paths: Paths) -> Supervisor | None:
    """Return the last supervisor of the node, dead or alive."""
    document = State(paths).record("supervisor")
    try:
        return Supervisor(**document) if document else None
    except TypeError:
        return None


def present(paths: Paths) -> Supervisor | None:
    """Return the node's supervisor, if one runs."""
    found = recorded(paths)
    return found if found and found.alive else None


def record(paths: Paths, supervisor: Supervisor | None) -> None:
    """Record who supervises the node."""
    if supervisor is None:
        State(paths).forget("supervisor")
        return
    content = json.dumps(asdict(supervisor), indent=1).encode()
    write_volatile(f"{State(paths).run}/supervisor.json", content)


def ensure(paths: Paths) -> int:
    """Leave a supervisor behind, unless one runs; return its PID.

    Raises:
        RefusedError: the system refuses the lock or the log.
    """
    try:
        lock = _take(paths)
    except RefusedError:
        found = present(paths)
        if found is None:
            raise
        return found.pid
    where = [f"--sandbox={paths.sandbox}"] if paths.sandbox else []
    environment = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    with (
        os.fdopen(lock, "ab"),
        refused_io(log_path(paths)),
        open(log_path(paths), "ab") as output,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "k0sruntime", "supervise", *where],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**environment, PLACE: str(lock)},
            pass_fds=[lock],
            start_new_session=True,
        )
        record(paths, Supervisor(process.pid, start_time(process.pid) or 0, detached=True))
    return process.pid


@contextlib.contextmanager
def place(paths: Paths) -> Iterator[None]:
    """Be the node's supervisor; one that ``up`` has left behind makes room for us.

    Raises:
        RefusedError: another one runs, and stays.
    """
    handed = os.environ.pop(PLACE, "")
    if not handed:
        found = present(paths)
        if found and found.detached:
            send_away(paths)
    with os.fdopen(int(handed) if handed else _take(paths), "ab"):
        if not handed:
            own = Supervisor(os.getpid(), start_time(os.getpid()) or 0, detached=False)
            record(paths, own)
        yield


def _take(paths: Paths) -> int:
    """Take the supervisor's lock and return its descriptor.

    Raises:
        RefusedError: somebody has it.
    """
    folder = paths.on_disk(paths.own_run)
    with refused_io(folder):
        os.makedirs(folder, exist_ok=True)
        lock = os.open(f"{folder}/supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        who = present(paths)
        raise RefusedError(
            Problem(
                "another supervisor runs on this node",
                place=f"PID {who.pid}" if who else f"{folder}/supervisor.lock",
                remedy="Let it be: k0sruntime up changes the node all the same; or stop it.",
            )
        ) from None
    return lock


def send_away(paths: Paths) -> Supervisor | None:
    """Tell the node's supervisor to leave containerd alone and end; return who it was.

    Raises:
        RefusedError: it does not end.
    """
    found = present(paths)
    if found is None or found.pid == os.getpid():
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.pid, LEAVE)
    deadline = time.monotonic() + LEAVE_SECONDS
    while found.alive:
        if time.monotonic() > deadline:
            raise RefusedError(
                Problem(
                    f"the supervisor, PID {found.pid}, does not leave",
                    place=log_path(paths),
                    remedy="Stop its service, or end it; then run the same command again.",
                )
            )
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.pid, os.WNOHANG)
        time.sleep(0.01)
    record(paths, None)
    return found


def give_up(paths: Paths, why: Sequence[Problem]) -> None:
    """Record that the supervisor ends by itself, and why."""
    text = "; ".join(problem.message for problem in why)
    with contextlib.suppress(OSError):  # a full disk must not hide the reason
        record(paths, Supervisor(os.getpid(), start_time(os.getpid()) or 0, False, text))
