"""Staying with containerd: ``up --foreground``, what the service unit runs.

The supervisor restarts containerd with a backoff when it ends, follows the drop-in folder, and
stops containerd when it is told to stop. When the supervisor itself is killed, containerd and all
pods live on, and the next ``up`` adopts them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from k0sruntime import processes
from k0sruntime.modes import standalone

if TYPE_CHECKING:
    from types import FrameType

    from k0sruntime.stages import Request, Story

POLL_SECONDS = 0.2
DEBOUNCE_SECONDS = 3.0
"""Quiet time after the last change of a drop-in; k0s waits as long."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
STEADY_SECONDS = 60.0
"""A containerd that ran this long starts with a fresh backoff."""


def stay(request: Request, story: Story) -> int:
    """Supervise the containerd that ``up`` left running, until SIGTERM or SIGINT.

    Follows the drop-in folder and the main file: a change that passes all checks bounces
    containerd once; one that does not is told, and containerd keeps what it has.

    Returns 0 when it was told to stop.
    """
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    notify("READY=1")
    _follow(request, story, stopping)
    notify("STOPPING=1")
    running = processes.running(request.paths)
    if running is not None:
        standalone.stop(request.paths, running)
        story.say(f"containerd, PID {running.pid}, was stopped; pods live on")
    return 0


def _follow(request: Request, story: Story, stopping: threading.Event) -> None:
    import watchfiles

    watched = {path for path in (request.paths.etc, request.paths.dropins) if os.path.isdir(path)}
    backoff, started, changed = FIRST_BACKOFF, time.monotonic(), 0.0
    for changes in watchfiles.watch(
        *watched,
        watch_filter=lambda _, path: _counts(request, path),
        debounce=100,
        step=50,
        rust_timeout=int(POLL_SECONDS * 1000),
        yield_on_timeout=True,
        stop_event=stopping,
        recursive=False,
        raise_interrupt=False,
    ):
        _reap()
        now = time.monotonic()
        changed = now if changes else changed
        if processes.running(request.paths) is None:
            backoff = FIRST_BACKOFF if now - started > STEADY_SECONDS else backoff
            story.say(f"containerd ended; starting it again in {backoff:g} s")
            if stopping.wait(backoff):
                return
            backoff, started = min(backoff * 2, LONGEST_BACKOFF), now
            _converge(request, story)
        elif changed and now - changed >= DEBOUNCE_SECONDS:
            changed = 0.0
            story.say("the node's configuration was changed by another hand")
            _converge(request, story)


def _counts(request: Request, path: str) -> bool:
    """Tell whether a change of ``path`` can change what containerd loads."""
    return path == request.paths.main_file or (
        os.path.dirname(path) == request.paths.dropins and path.endswith(".toml")
    )


def _converge(request: Request, story: Story) -> None:
    """Run ``up`` once more; what it refuses is told, and what runs keeps running."""
    from k0sruntime import pipeline
    from k0sruntime.errors import K0sRuntimeError

    try:
        pipeline.up(request, story)
    except K0sRuntimeError as exc:
        for problem in exc.problems:
            story.say("\n".join(problem.lines()))


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def notify(state: str) -> None:
    """Tell the service manager about us (sd_notify(3)); nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = f"\0{address[1:]}" if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(state.encode(), target)
