"""Staying with containerd: ``up --foreground``, what the service unit runs.

The supervisor restarts containerd with a backoff when it ends, and stops it when it is told to
stop. When the supervisor itself is killed, containerd and all pods live on, and the next ``up``
adopts them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from k0sruntime import observe
from k0sruntime.modes import standalone

if TYPE_CHECKING:
    from types import FrameType

    from k0sruntime.pipeline import Request, Story

POLL_SECONDS = 0.2
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
STEADY_SECONDS = 60.0
"""A containerd that ran this long starts with a fresh backoff."""


def stay(request: Request, story: Story) -> int:
    """Supervise the containerd that ``up`` left running, until SIGTERM or SIGINT.

    Returns 0 when it was told to stop.
    """
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    notify("READY=1")
    backoff = FIRST_BACKOFF
    started = time.monotonic()
    while not stopping.wait(POLL_SECONDS):
        _reap()
        if observe.running(request.paths) is not None:
            continue
        if time.monotonic() - started > STEADY_SECONDS:
            backoff = FIRST_BACKOFF
        story.say(f"containerd ended; starting it again in {backoff:g} s")
        if stopping.wait(backoff):
            break
        backoff = min(backoff * 2, LONGEST_BACKOFF)
        _start_again(request, story)
        started = time.monotonic()
    notify("STOPPING=1")
    running = observe.running(request.paths)
    if running is not None:
        standalone.stop(request.paths, running)
        story.say(f"containerd, PID {running.pid}, was stopped; pods live on")
    return 0


def _start_again(request: Request, story: Story) -> None:
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
