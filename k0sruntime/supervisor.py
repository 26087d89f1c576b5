"""The supervisor seen from outside: whether one runs, starting one, and sending it away.

One supervisor a node: it holds a lock for as long as it lives, and a record says who it is. A
command that wants containerd stopped sends it away first, else it would start containerd again.
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
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State, write_atomically
from k0sruntime.processes import start_time
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k0sruntime.node import Mode, Paths
    from k0sruntime.stages import Request

LEAVE = signal.SIGUSR1
"""Tells a supervisor to end and leave containerd alone; SIGTERM stops containerd as well."""
LEAVE_SECONDS = 10.0


@dataclass(frozen=True)
class Supervisor:
    """A supervisor as it recorded itself, dead or alive."""

    pid: int
    start_time: int
    detached: bool
    """``up`` left it behind; else a service, or a person, runs it in the foreground."""
    gave_up: str = ""
    """Why it ended by itself."""

    @property
    def alive(self) -> bool:
        """It runs: same PID, same start time."""
        return start_time(self.pid) == self.start_time


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
    write_atomically(f"{State(paths).run}/supervisor.json", content)


def record_request(request: Request) -> None:
    """Record what ``up`` was asked for last; a supervisor keeps the node at that."""
    document = {
        "settings": request.settings,
        "without": sorted(request.without),
        "mode": request.mode,
        "containerd": request.containerd,
    }
    state = State(request.paths)
    if state.record("request") != document:
        write_atomically(f"{state.run}/request.json", json.dumps(document, indent=1).encode())


def last_request(request: Request) -> Request:
    """Return what ``up`` was asked for last, or ``request`` where that is not known."""
    from dataclasses import replace

    found: dict[str, Any] | None = State(request.paths).record("request")
    if found is None:
        return request
    mode: Mode | None = found["mode"]
    return replace(
        request,
        settings=found["settings"],
        without=frozenset(found["without"]),
        mode=mode,
        containerd=found["containerd"],
    )


def ensure(paths: Paths) -> int:
    """Leave a supervisor behind, where none runs; return its PID.

    It is recorded before it has begun, so that a ``down`` right after this finds it.
    """
    where = [f"--sandbox={paths.sandbox}"] if paths.sandbox else []
    environment = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    with refused_io(log_path(paths)), open(log_path(paths), "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "k0sruntime", "supervise", "--detached", *where],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    record(paths, Supervisor(process.pid, start_time(process.pid) or 0, detached=True))
    return process.pid


@contextlib.contextmanager
def place(paths: Paths, *, detached: bool) -> Iterator[None]:
    """Be the node's supervisor; a detached one makes room for one in the foreground.

    Raises:
        RefusedError: another one runs, and stays.
    """
    found = present(paths)
    if found and found.detached and not detached and found.pid != os.getpid():
        send_away(paths)
    folder = paths.on_disk(paths.own_run)
    with refused_io(folder):
        os.makedirs(folder, exist_ok=True)
        lock = open(f"{folder}/supervisor.lock", "ab")  # noqa: SIM115 - closed below
    with lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = present(paths)
            raise RefusedError(
                Problem(
                    "another supervisor runs on this node",
                    place=f"PID {who.pid}" if who else lock.name,
                    remedy="Let it be: k0sruntime up changes the node all the same; or stop it.",
                )
            ) from None
        own = Supervisor(os.getpid(), start_time(os.getpid()) or 0, detached)
        record(paths, own)
        yield


def send_away(paths: Paths) -> Supervisor | None:
    """Tell the node's supervisor to leave containerd alone and end; return who it was.

    Raises:
        RefusedError: it does not end.
    """
    found = present(paths)
    if found is None:
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
    own = Supervisor(os.getpid(), start_time(os.getpid()) or 0, False, text)
    record(paths, own)
