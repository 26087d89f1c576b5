"""Asking a program a question: short-lived, bounded in time, never through a shell."""

from __future__ import annotations

import subprocess
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Answer:
    """What a program said; ``status`` is -1 where it could not be run or took too long."""

    status: int
    output: str
    errors: str


def ask(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> Answer:
    """Run a program to its end and return what it said."""
    return begin(command, seconds, environment).answer()


class Asked:
    """A question that was put; the answer is waited for when it is needed."""

    def __init__(self, process: subprocess.Popen[str] | None, seconds: float, failed: str) -> None:
        self._process = process
        self._seconds = seconds
        self._failed = failed
        self._answer: Answer | None = None
        if process is not None:  # an error may come before anybody waits for the answer
            self._end = weakref.finalize(self, _end, process)

    @property
    def pid(self) -> int:
        """Its process; 0 where it could not be started."""
        return self._process.pid if self._process else 0

    def answer(self) -> Answer:
        """Wait for the program's end and return what it said; the same when asked again."""
        if self._answer is None:
            self._answer = self._wait()
        return self._answer

    def _wait(self) -> Answer:
        if self._process is None:
            return Answer(-1, "", self._failed)
        try:
            output, errors = self._process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            self._end()
            return Answer(-1, "", f"no answer within {self._seconds:g} s")
        self._end.detach()
        return Answer(self._process.returncode, output, errors)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program that is not listened to any more; what it started may go on and hold pipes."""
    process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


def begin(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    *,
    session: bool = False,
) -> Asked:
    """Start a program and go on; its answer is waited for later.

    With ``session`` it has a session of its own, and signals of our terminal do not reach it.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=session,
        )
    except OSError as exc:
        return Asked(None, seconds, exc.strerror or str(exc))
    return Asked(process, seconds, "")
