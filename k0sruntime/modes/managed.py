"""Managed mode: k0s runs containerd and bounces it when it sees a change in the drop-in folder.

k0s watches the folder itself, not what lies below it; waits three seconds after the last event;
sends SIGHUP, of which containerd dies; and starts it anew five seconds later. Up to 1.35 it
composes the CRI configuration first and keeps containerd where that fails; from 1.36 on it
restarts blindly, for ever if need be. Source: k0s ``pkg/component/worker/containerd/component.go``
and ``pkg/supervisor/supervisor.go``.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import regular
from k0sruntime.errors import CRIError, Problem
from k0sruntime.modes.log import reason
from k0sruntime.processes import read_pid_file, start_time
from k0sruntime.programs import ask
from k0sruntime.prove import NotProvedError

if TYPE_CHECKING:
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Story

DEBOUNCE_SECONDS = 3.0
"""k0s's own."""
SIGNAL_SECONDS = 1.0
"""From the end of the debounce to a containerd that has surely got its signal."""
POLL_SECONDS = 0.1
JOURNAL_SECONDS = 5.0
UNITS = ("k0sworker", "k0scontroller")
TAIL = 1 << 18
"""So many bytes of k0s's log are read, from its end."""


@dataclass(frozen=True)
class Watched:
    """The drop-in folder as k0s saw it before a change."""

    folder: str
    stamp: int
    """When something in it was last made, renamed or removed; 0 where it was not there."""

    @classmethod
    def now(cls, paths: Paths) -> Watched:
        """Look at the folder."""
        folder = paths.on_disk(paths.dropins)
        return cls(folder, _stamp(folder))

    @property
    def there(self) -> bool:
        """The folder was there; k0s does not watch one that was not."""
        return self.stamp > 0

    def touched(self) -> bool:
        """Tell whether something that k0s sees has happened in the folder since."""
        return _stamp(self.folder) != self.stamp


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def ticks() -> int:
    """Return the time since boot in clock ticks, the unit of a process's start time."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def wait(node: Node[Any], since: int, seconds: float, story: Story) -> int:
    """Wait until k0s has bounced its containerd and the CRI is back; return the new PID.

    Args:
        node: the node.
        since: when the drop-in folder was changed, in clock ticks.
        seconds: how long k0s is given.
        story: told of the result.

    Raises:
        NotProvedError: it did not come back in time; with the reason that k0s's log gives.
    """
    rate = os.sysconf("SC_CLK_TCK")
    fresh = since + int(DEBOUNCE_SECONDS * rate)
    settled = fresh + int(SIGNAL_SECONDS * rate)
    started, answer = time.time(), "no answer"
    deadline = time.monotonic() + seconds
    with story.stage("run") as tell:
        while time.monotonic() < deadline:
            pid = read_pid_file(node.paths)
            born = start_time(pid) if pid else None
            if pid and born is not None and born >= fresh and ticks() >= settled:
                answer = _answer(node)
                if not answer:
                    tell(f"k0s bounced containerd, PID {pid}")
                    return pid
            time.sleep(POLL_SECONDS)
        raise NotProvedError([_overdue(node, seconds, answer, started)])


def settle(node: Node[Any], seconds: float, story: Story) -> None:
    """Let a bounce be over that another hand's change in the drop-in folder has just caused.

    Whether k0s bounces is not known: it may have been started after the change. So no bounce is
    waited for, but the moment at which containerd would have got its signal, and then its answer.
    """
    age = time.time() - _stamp(node.paths.on_disk(node.paths.dropins)) / 1e9
    left = DEBOUNCE_SECONDS + SIGNAL_SECONDS - age
    if not 0 < left <= DEBOUNCE_SECONDS + SIGNAL_SECONDS:
        return
    with story.stage("settle") as tell:
        time.sleep(left)
        deadline = time.monotonic() + seconds
        while (answer := _answer(node)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        tell(answer or f"a drop-in was changed {age:.0f} s before; k0s has seen it by now")


def _answer(node: Node[Any]) -> str:
    """Return why the CRI does not answer, or nothing where it does."""
    from k0sruntime.cri import CRI

    try:
        with CRI(node.paths.socket) as cri:
            cri.runtime()
    except CRIError as exc:
        return f"{exc.code}: {exc}"
    return ""


def _overdue(node: Node[Any], seconds: float, answer: str, since: float) -> Problem:
    pid = read_pid_file(node.paths)
    alive = pid is not None and start_time(pid) is not None
    state = f"containerd, PID {pid}, still runs" if alive else "no containerd of k0s's runs"
    said = reason(log_lines(node, since))
    message = f"k0s did not bring its CRI back within {seconds:g} s ({answer}); {state}"
    return Problem(
        f"{message}: {said}" if said else message,
        place=node.paths.socket,
        culprit="k0s, or the containerd that it runs",
        remedy="Correct what the reason names; [node] bounce_seconds gives a slow node more time.",
    )


def log_lines(node: Node[Any], since: float) -> list[str]:
    """Return what k0s logged of its containerd: from the journal, else from its log files.

    ``since`` is in seconds since the epoch. k0s wraps each line of containerd's into one of its
    own, with ``component=containerd`` and its ``stream``.
    """
    lines: list[str] = []
    for unit in UNITS:
        lines += _file_lines(f"{node.paths.logs}/{unit}.err")
        lines += _file_lines(f"{node.paths.logs}/{unit}.log")
    if not lines and not node.paths.sandbox:
        units = [f"--unit={unit}" for unit in UNITS]
        command = ["journalctl", *units, f"--since=@{since:.0f}", "--output=cat", "--no-pager"]
        lines = ask([*command, "--quiet"], JOURNAL_SECONDS).output.splitlines()
    ours = [line for line in lines if "component=containerd" in line and "stream=" in line]
    return [_unwrapped(line) for line in ours]


def _file_lines(path: str) -> list[str]:
    try:
        with regular.opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _unwrapped(line: str) -> str:
    """Return containerd's own line out of a line of k0s's log (logrus' text formatter)."""
    found = re.search(r'msg="((?:[^"\\]|\\.)*)"', line)
    return found[1].replace('\\"', '"').replace("\\\\", "\\") if found else line
