"""The supervisor's hands: one command of ours at a time, in a process of its own.

A fresh process has the providers, the settings and the program as they are now; and it is not the
supervisor that dies of what it meets.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from k0sruntime.clock import now
from k0sruntime.errors import Problem
from k0sruntime.lock import holder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.paths import Paths

Task = Literal["up", "last-good"]


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    problems: tuple[Problem, ...] = ()
    """Empty where it was done."""
    locked: bool = False
    """Another command was at work: it did nothing."""
    at: str = ""


class Worker:
    """Runs ``up`` for the supervisor."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.task: Task = "up"

    @property
    def busy(self) -> bool:
        """A command is at work."""
        return self._process is not None

    def begin(self, task: Task, options: Sequence[str]) -> None:
        """Start a command; its story goes to our own standard error."""
        where = [f"--sandbox={self._paths.sandbox}"] if self._paths.sandbox else []
        words = ["up", "--json", "--supervised", "--no-supervisor", "--lock-timeout=0"]
        words += ["--last-good"] if task == "last-good" else []
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NOTIFY", "K0SRUNTIME_"))}
        self.task = task
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its result
        self._process = subprocess.Popen(
            [sys.executable, "-m", "k0sruntime", *words, *where, *options],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            env=kept,
            start_new_session=True,
        )

    def result(self) -> Result | None:
        """Return what the command came to, once, when it has ended; ``None`` before and after."""
        if self._process is None or self._output is None or self._process.poll() is None:
            return None
        self._output.seek(0)
        text = self._output.read()
        status = self._process.returncode
        self._output.close()
        self._process = self._output = None
        return _result(text, status)

    def finish(self, seconds: float) -> None:
        """Let a command that is at work come to its end."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def abandon(self) -> None:
        """End a command that has not begun its work; one that has goes on without us."""
        if self._process is not None and holder_of(self._paths) != self._process.pid:
            self._process.kill()
            self._process.wait()


def _result(text: bytes, status: int) -> Result:
    if status == 0:
        return Result()
    try:
        document = json.loads(text)
        problems = tuple(Problem(**problem) for problem in document["problems"])
        return Result(problems, document.get("error") == "LockedError", now())
    except (ValueError, KeyError, TypeError):
        return Result((Problem(f"up ended with status {status}; see the log"),), at=now())
