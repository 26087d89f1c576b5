"""Calling foreign code: with a deadline, and with an error that names whose code it was."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST = 2000
"""Characters that foreign code may say in one message; what is longer is cut."""


class DeadlineError(Exception):
    """A guarded call did not come back in time; its thread is left behind."""


def bounded(call: Callable[[], T], seconds: float) -> T:
    """Return what ``call`` returns, or raise what it raises.

    A ``KeyboardInterrupt`` of the call's own is raised as a ``RuntimeError``: Python raises the
    user's in the main thread alone, so that one that comes out of this function is the user's.

    The call runs in a daemon thread, so that one that hangs keeps neither us nor the exit of the
    process waiting.

    Raises:
        DeadlineError: ``call`` took longer than ``seconds``.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as exc:  # noqa: BLE001 - a plugin may raise SystemExit as well
            failures.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures and isinstance(failures[0], KeyboardInterrupt):
        own = RuntimeError("it raised KeyboardInterrupt by itself")
        raise own.with_traceback(failures[0].__traceback__)
    if failures:
        raise failures[0]
    if not results:
        raise DeadlineError(f"no answer within {seconds:g} s")
    return results[0]


def unheard(call: Callable[[], T], seconds: float) -> T:
    """Do as ``bounded`` does for a provider's code, one at a time.

    What it prints goes to standard error: standard output is the host's result.
    """
    with contextlib.redirect_stdout(sys.stderr):
        return bounded(call, seconds)


def cause(exc: BaseException) -> str:
    """Return an exception as one line, with the last place in the code that raised it.

    All of it is foreign code's word: the name of the class and that of the source as well.
    """
    text = f"{_class_name(exc)}: {one_line(exc)}".strip().rstrip(":")
    place = ""
    for frame, line in traceback.walk_tb(exc.__traceback__):
        place = f"{frame.f_code.co_filename}:{line}"
    return f"{text} ({one_line(place)})" if place else text


def _class_name(exc: BaseException) -> str:
    try:
        return one_line(type(exc).__name__) or "an exception"
    except BaseException:  # noqa: BLE001 - the class of a class may be foreign as well
        return "an exception"


def one_line(said: object) -> str:
    """Return what foreign code says as one line that a terminal can show.

    An object that cannot be printed says nothing.
    """
    try:
        text = str(said)
    except BaseException:  # noqa: BLE001 - foreign code may raise anything, here as well
        return ""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())
