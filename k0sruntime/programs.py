"""Asking a program a question: short-lived, bounded in time, never through a shell."""

from __future__ import annotations

import subprocess
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
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return Answer(-1, "", f"no answer within {seconds:g} s")
    except OSError as exc:
        return Answer(-1, "", exc.strerror or str(exc))
    return Answer(done.returncode, done.stdout, done.stderr)
