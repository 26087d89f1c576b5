"""A view that is drawn again and again: ``status --watch``."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from k0sruntime.cli import render_error
from k0sruntime.errors import K0sRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 2.0
"""Between two looks."""
HOME, LINE_END, BELOW, WIPE = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"
"""To the upper left corner; clear to the end of the line, all that is below, the whole screen."""


def watch(look: Callable[[], str], seconds: float = SECONDS) -> int:
    """Show what ``look`` returns, anew whenever it changes, until Ctrl-C or SIGTERM; return 0.

    It ends as well when nobody reads any more, as behind a ``head`` that has what it wants. A
    terminal is drawn over; elsewhere every change is written below the one before, with the time.
    What cannot be looked at in the midst of a bounce is told, and looked at again.
    """
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = {
        number: signal.signal(number, lambda *_: os.write(wake, b"."))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    show = _Screen() if live else _Log()
    try:
        show(_looked(look))
        while not _ended(woken, seconds):
            show(_looked(look))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(wake)
    return 0


def _ended(woken: int, seconds: float) -> bool:
    """Wait, and tell whether a signal came, or who reads our output has gone (poll(2), POLLERR)."""
    waiting = select.poll()
    waiting.register(woken, select.POLLIN)
    with contextlib.suppress(OSError, ValueError):  # an output that is no descriptor
        waiting.register(sys.stdout.fileno(), 0)
    return bool(waiting.poll(seconds * 1000))


def _looked(look: Callable[[], str]) -> str:
    try:
        return look()
    except K0sRuntimeError as exc:
        return render_error.text(exc)
    except OSError as exc:  # a record that goes while it is read
        return f"not to be seen now: {exc.strerror}"


def _time() -> str:
    return datetime.now().astimezone().isoformat(" ", "seconds")


class _Log:
    """Writes every change below the one before."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            click.echo(f"--- {_time()}\n{text}")
        self._last = text


class _Screen:
    """Draws over what it drew before, without flicker; what does not fit is cut off."""

    def __init__(self) -> None:
        self._size = os.terminal_size((0, 0))

    def __call__(self, text: str) -> None:
        size = shutil.get_terminal_size()
        wipe = WIPE if size != self._size else ""
        self._size = size
        lines = [f"k0sruntime status, {_time()} (Ctrl-C ends)", "", *text.splitlines()]
        room = max(size.lines - 1, 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
        drawn = "".join(f"{line[: size.columns]}{LINE_END}\n" for line in lines)
        click.echo(f"{wipe}{HOME}{drawn}{BELOW}", nl=False)
