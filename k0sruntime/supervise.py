"""Staying with containerd: what ``up --foreground`` and a detached supervisor do.

containerd is started again when it ends, with a backoff and a limit, always from what was last
proved. What other hands change in the drop-in folder is composed and checked; only what passes
bounces containerd, once, and everything else is told while containerd keeps what it has.

The work itself is done by commands of their own: they know the providers and the settings of that
moment, and when one of them breaks, the supervisor lives on. When the supervisor itself is killed,
containerd and all pods live on, and the next ``up`` adopts them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k0sruntime import inputs, last_good, processes, request_record, supervisor
from k0sruntime.errors import K0sRuntimeError, LockedError, Problem, RollbackFailedError
from k0sruntime.flag import Flag
from k0sruntime.lock import locked
from k0sruntime.modes import log, standalone
from k0sruntime.sd_notify import notify
from k0sruntime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.node_provider import SupervisorSettings
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Story

POLL_SECONDS = 0.2
STEADY_SECONDS = 60.0
"""A containerd that ran this long starts with a fresh backoff and a fresh count."""
STOP_LOCK_SECONDS = 30.0
"""So long a command that is at work may finish before containerd is stopped all the same."""


@dataclass
class Orders:
    """What we were told by signals; taken down from the very beginning."""

    stop: Flag = field(default_factory=Flag)
    """SIGTERM, SIGINT: end, and stop containerd."""
    ended: Flag = field(default_factory=Flag)
    """That, or SIGUSR1: end, and leave containerd alone."""


def listen() -> Orders:
    """Take down what signals tell us, from now on."""
    orders = Orders()

    def stop(*_: object) -> None:
        orders.stop.set()
        orders.ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(supervisor.LEAVE, lambda *_: orders.ended.set())
    return orders


@dataclass
class Watch:
    """What the supervisor keeps in mind between two looks."""

    paths: Paths
    story: Story
    settings: SupervisorSettings
    orders: Orders
    worker: Worker
    seen: Mapping[str, str]
    """The fingerprint that needs nothing more to be done."""
    backoff: float = 0.0
    restarts: int = 0
    started: float = field(default_factory=time.monotonic)
    """When containerd was last started, on the monotonic clock."""
    changed: float = field(default_factory=time.monotonic)
    """When the folder was last changed; 0 where it was looked through since."""
    polling: bool = False
    """The kernel gives us no more watches: look at the folder now and then."""


def stay(paths: Paths, story: Story, settings: SupervisorSettings, orders: Orders) -> int:
    """Supervise containerd until SIGTERM, SIGINT, or until a command sends us away.

    Returns 0 then.

    Raises:
        RollbackFailedError: containerd does not stay up; hands are needed.
    """
    seen = request_record.last(paths).inputs
    watch = Watch(paths, story, settings, orders, Worker(paths), seen)
    _tell(watch, "READY=1")
    try:
        while not orders.ended.is_set():
            _follow(watch)
    except K0sRuntimeError as exc:
        supervisor.give_up(paths, exc.problems)
        notify(f"STATUS=gave up: {exc}", "STOPPING=1")
        raise
    notify("STOPPING=1")
    if orders.stop.is_set():
        _stop(watch)
    else:
        watch.worker.abandon()
    return 0


def _stop(watch: Watch) -> None:
    """Stop containerd, after a command that is at work, and not in the midst of it."""
    watch.worker.finish(STOP_LOCK_SECONDS)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(LockedError):
            stack.enter_context(locked(watch.paths, STOP_LOCK_SECONDS, watch.story.say))
        running = processes.running(watch.paths)
        if running is not None:
            standalone.stop(watch.paths, running)
            watch.story.say(f"containerd, PID {running.pid}, was stopped; pods live on")
        supervisor.record(watch.paths, None)


def _follow(watch: Watch) -> None:
    """Look at containerd and the folder until we are told to end, or the folder itself changes."""
    import watchfiles

    paths = watch.paths
    watch.changed = watch.changed or time.monotonic()  # nobody saw what changed until now
    folders = [folder for folder in (paths.etc, paths.dropins) if os.path.isdir(folder)]
    if not folders:
        watch.orders.ended.wait(POLL_SECONDS)
        _look(watch)
        return
    try:
        for changes in watchfiles.watch(
            *folders,
            watch_filter=lambda _, path: _counts(paths, path),
            debounce=100,
            step=50,
            rust_timeout=int(POLL_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=watch.orders.ended,
            recursive=False,
            raise_interrupt=False,
            force_polling=watch.polling or None,
            poll_delay_ms=1000,
        ):
            if changes:
                watch.changed = time.monotonic()
            _look(watch)
            if any(path == paths.dropins for _, path in changes):
                return  # made or removed: it must be watched anew
    except (OSError, RuntimeError) as exc:  # the latter is the base of watchfiles' own
        _watch_refused(watch, exc)


def _watch_refused(watch: Watch, error: Exception) -> None:
    """Go on by polling where the kernel gives no more watches (inotify(7), its limits)."""
    if not watch.polling:
        watch.story.say(f"the folder cannot be watched ({error}): it is looked at every second")
    watch.polling = True
    watch.orders.ended.wait(POLL_SECONDS)


def _counts(paths: Paths, path: str) -> bool:
    """Tell whether a change of ``path`` can change what containerd loads."""
    dropin = os.path.dirname(path) == paths.dropins and path.endswith(".toml")
    return dropin or path in (paths.main_file, paths.dropins)


def _look(watch: Watch) -> None:
    _reap(watch)
    if watch.orders.ended.is_set():
        return
    for path in (log.file_of(watch.paths), supervisor.log_path(watch.paths)):
        log.shorten(path)
    if watch.worker.busy:
        return
    if processes.running(watch.paths) is None:
        _restart(watch)
    elif watch.changed and time.monotonic() - watch.changed >= watch.settings.debounce:
        _converge(watch)


def _reap(watch: Watch) -> None:
    """Take note of what the command came to that was at work."""
    failed = watch.worker.result()
    if failed is None:
        return
    if failed.locked:
        return  # another command is at work; it is looked at again
    if failed.problems and watch.worker.task == "up":
        with contextlib.suppress(OSError):
            last_good.hold(watch.paths, failed.problems, failed.at)
    _tell(watch)


def _converge(watch: Watch) -> None:
    """Let ``up`` run once more, where other hands have changed something since the last time."""
    watch.changed = 0.0
    found = inputs.now(watch.paths)
    if found == watch.seen:
        return
    recent = request_record.last(watch.paths)
    if found == recent.inputs and last_good.held(watch.paths) is None:
        watch.seen = found
        return
    try:
        with locked(watch.paths, 0, lambda _: None):
            pass
    except LockedError:  # it may do the very same
        watch.changed = time.monotonic()
        return
    watch.story.say("the node's configuration was changed by another hand")
    watch.seen = found
    watch.worker.begin("up", recent.options)


def _restart(watch: Watch) -> None:
    """Start containerd again, after a wait that grows.

    Raises:
        RollbackFailedError: that was tried too often in a row.
    """
    if time.monotonic() - watch.started > STEADY_SECONDS:
        watch.backoff, watch.restarts = 0.0, 0
    if _busy(watch.paths):  # another command bounces it at this moment: no death
        return
    if watch.restarts >= watch.settings.restarts:
        raise RollbackFailedError(
            Problem(
                f"containerd ended {watch.restarts + 1} times in a row, each within"
                f" {STEADY_SECONDS:g} s: it is not started again",
                place=log.file_of(watch.paths),
                remedy="Look into containerd's log, mend the cause, then run k0sruntime up.",
            )
        )
    watch.backoff = min(watch.backoff * 2 or watch.settings.backoff, watch.settings.longest_backoff)
    watch.story.say(f"containerd ended; starting it again in {watch.backoff:g} s")
    if watch.orders.ended.wait(watch.backoff):
        return
    watch.restarts += 1
    watch.started = time.monotonic()
    watch.worker.begin("last-good", request_record.last(watch.paths).options)


def _busy(paths: Paths) -> bool:
    try:
        with locked(paths, 0, lambda _: None):
            return processes.running(paths) is not None
    except (LockedError, OSError):
        return True


def _tell(watch: Watch, *more: str) -> None:
    with contextlib.suppress(K0sRuntimeError):
        notify(*more, f"STATUS={_state(watch.paths)}")


def _state(paths: Paths) -> str:
    running, held = processes.running(paths), last_good.held(paths)
    state = f"containerd {running.version}, PID {running.pid}" if running else "no containerd"
    if held:
        state += f"; held on the last good configuration: {held.problems[0].message}"
    return " ".join(state.split())
