"""The story on standard error: one line a stage with its duration, live on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

import click

from k0sruntime import masking
from k0sruntime.stages import Silent as Silent  # noqa: PLC0414 - one place to import from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = 9


class Stderr:
    """Tells the stages on standard error; plain where that is not a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Open a stage: its line appears at once on a terminal, and is completed at its end."""
        results: list[str] = []
        started = time.monotonic()
        if self._live:
            self._write(f"{name:<{WIDTH}} …")
        try:
            yield results.append
        except BaseException:
            self._line(name, "failed", started)
            raise
        self._line(name, "; ".join(results), started)

    def say(self, text: str) -> None:
        """Tell something that a person must know; an open stage's line comes after it."""
        start = "\r\x1b[2K" if self._live else ""
        self._write(f"{start}{'':<{WIDTH}} {text}\n")

    def progress(self, text: str) -> None:
        """Tell how far long work is, on a terminal; a log would be full of it."""
        if self._live:
            self._write(f"\r\x1b[2K{'':<{WIDTH}} {text}")

    def _line(self, name: str, result: str, started: float) -> None:
        milliseconds = (time.monotonic() - started) * 1000
        head = f"\r\x1b[2K\x1b[1m{name:<{WIDTH}}\x1b[0m" if self._live else f"{name:<{WIDTH}}"
        self._write(f"{head} {result} ({milliseconds:.0f} ms)\n")

    def _write(self, text: str) -> None:
        """Write; a reader that went away must not stop an apply half-way."""
        with contextlib.suppress(OSError):
            click.echo(masking.text(text), err=True, nl=False)
