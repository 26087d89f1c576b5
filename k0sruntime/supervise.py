"""Staying with containerd: what ``up --foreground`` and a detached supervisor do.

containerd is started again when it ends, with a backoff and a limit, always from what was last
proved. A change of the drop-in folder is composed and checked; only what passes bounces containerd,
once, and everything else is told while containerd keeps what it has. When the supervisor itself is
killed, containerd and all pods live on, and the next ``up`` adopts them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import last_good, processes, revive, supervisor
from k0sruntime.errors import K0sRuntimeError, LockedError, Problem, RollbackFailedError
from k0sruntime.modes import standalone
from k0sruntime.sd_notify import notify

if TYPE_CHECKING:
    from k0sruntime.node_provider import SupervisorSettings
    from k0sruntime.stages import Request, Story

POLL_SECONDS = 0.2
STEADY_SECONDS = 60.0
"""A containerd that ran this long starts with a fresh backoff and a fresh count."""


@dataclass
class Watch:
    """What the supervisor keeps in mind between two looks."""

    request: Request
    story: Story
    settings: SupervisorSettings
    stop: threading.Event = field(default_factory=threading.Event)
    """SIGTERM, SIGINT: end, and stop containerd."""
    leave: threading.Event = field(default_factory=threading.Event)
    """SIGUSR1: end, and leave containerd alone."""
    ended: threading.Event = field(default_factory=threading.Event)
    """One of the two."""
    backoff: float = 0.0
    restarts: int = 0
    started: float = 0.0
    """When containerd was last started, on the monotonic clock."""
    changed: float = 0.0
    """When the folder was last changed; 0 where nothing is to be done about it."""


def stay(request: Request, story: Story, settings: SupervisorSettings) -> int:
    """Supervise containerd until SIGTERM, SIGINT, or until a command sends us away.

    Returns 0 then.

    Raises:
        RollbackFailedError: containerd does not stay up; hands are needed.
    """
    watch = Watch(request, story, settings, started=time.monotonic())
    _listen(watch)
    _tell(watch, "READY=1")
    try:
        while not watch.ended.is_set():
            _follow(watch)
    except K0sRuntimeError as exc:
        supervisor.give_up(request.paths, exc.problems)
        notify(f"STATUS=gave up: {exc}", "STOPPING=1")
        raise
    notify("STOPPING=1")
    running = processes.running(request.paths)
    if running is not None and watch.stop.is_set():
        standalone.stop(request.paths, running)
        story.say(f"containerd, PID {running.pid}, was stopped; pods live on")
    if watch.stop.is_set():
        supervisor.record(request.paths, None)
    return 0


def _listen(watch: Watch) -> None:
    def ask(event: threading.Event) -> Any:
        def handler(*_: object) -> None:
            event.set()
            watch.ended.set()

        return handler

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask(watch.stop))
    signal.signal(supervisor.LEAVE, ask(watch.leave))


def _follow(watch: Watch) -> None:
    """Look at containerd and the folder until we are told to end, or the folder itself changes."""
    import watchfiles

    paths = watch.request.paths
    watch.changed = watch.changed or time.monotonic()  # nobody saw what changed until now
    folders = [folder for folder in (paths.etc, paths.dropins) if os.path.isdir(folder)]
    if not folders:
        watch.ended.wait(POLL_SECONDS)
        _look(watch)
        return
    for changes in watchfiles.watch(
        *folders,
        watch_filter=lambda _, path: _counts(watch.request, path),
        debounce=100,
        step=50,
        rust_timeout=int(POLL_SECONDS * 1000),
        yield_on_timeout=True,
        stop_event=watch.ended,
        recursive=False,
        raise_interrupt=False,
    ):
        if changes:
            if not watch.changed:
                watch.story.say("the node's configuration has changed")
            watch.changed = time.monotonic()
        _look(watch)
        if any(path == paths.dropins for _, path in changes):
            return  # made or removed: it must be watched anew


def _counts(request: Request, path: str) -> bool:
    """Tell whether a change of ``path`` can change what containerd loads."""
    paths = request.paths
    dropin = os.path.dirname(path) == paths.dropins and path.endswith(".toml")
    return dropin or path in (paths.main_file, paths.dropins)


def _look(watch: Watch) -> None:
    _reap()
    if watch.ended.is_set():
        return
    if processes.running(watch.request.paths) is None:
        _restart(watch)
    elif _settled(watch) and _converge(watch):
        watch.changed = 0.0


def _settled(watch: Watch) -> bool:
    """Tell whether there was a change, and quiet since."""
    return watch.changed > 0 and time.monotonic() - watch.changed >= watch.settings.debounce


def _restart(watch: Watch) -> None:
    """Start containerd again, after a wait that grows.

    Raises:
        RollbackFailedError: that was tried too often in a row.
    """
    if time.monotonic() - watch.started > STEADY_SECONDS:
        watch.backoff, watch.restarts = 0.0, 0
    _refuse_more(watch)
    watch.backoff = min(watch.backoff * 2 or watch.settings.backoff, watch.settings.longest_backoff)
    if watch.ended.wait(watch.backoff):
        return
    try:
        revived = revive.revive(replace(watch.request, lock_timeout=0), watch.story)
    except LockedError:  # another command bounces it at this moment: no death
        watch.backoff = 0.0
        return
    except K0sRuntimeError as exc:
        _say(watch, exc)
        revived = True
    if revived:
        watch.restarts += 1
        watch.started = time.monotonic()
        _tell(watch)
    else:
        watch.backoff = 0.0


def _refuse_more(watch: Watch) -> None:
    if watch.restarts < watch.settings.restarts:
        return
    raise RollbackFailedError(
        Problem(
            f"containerd ended {watch.restarts + 1} times in a row, each within"
            f" {STEADY_SECONDS:g} s: it is not started again",
            place=watch.request.paths.socket,
            remedy="Look into containerd's log, mend the cause, then run k0sruntime up.",
        )
    )


def _converge(watch: Watch) -> bool:
    """Run ``up`` once more; tell whether that is done with, for better or worse.

    What it refuses is told and recorded, and what runs keeps running.
    """
    from k0sruntime import pipeline

    asked = replace(supervisor.last_request(watch.request), lock_timeout=0)
    try:
        pipeline.up(asked, watch.story)
    except LockedError:
        return False
    except K0sRuntimeError as exc:
        hold(watch.request, exc)
        _say(watch, exc)
    _tell(watch)
    return True


def hold(request: Request, error: K0sRuntimeError) -> None:
    """Record that the node is held back on its last good configuration."""
    from k0sruntime.bounce import now

    last_good.hold(request.paths, error.problems, now())


def _say(watch: Watch, error: K0sRuntimeError) -> None:
    for problem in error.problems:
        watch.story.say("\n".join(problem.lines()))


def _tell(watch: Watch, *more: str) -> None:
    running = processes.running(watch.request.paths)
    held = last_good.held(watch.request.paths)
    state = f"containerd {running.version}, PID {running.pid}" if running else "no containerd"
    if held:
        state += f"; held on the last good configuration: {held.problems[0].message}"
    notify(*more, f"STATUS={' '.join(state.split())}")


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
