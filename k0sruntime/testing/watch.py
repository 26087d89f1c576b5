"""Seeing what foreign code does to the machine: an audit hook (PEP 578) that takes notes.

A hook cannot be taken off again, so this belongs into a process of its own.
"""

from __future__ import annotations

import os
import sys
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS = ("/dev/null", "/dev/tty")
CHANGES = frozenset(
    f"os.{name}"
    for name in (
        "chmod",
        "chown",
        "link",
        "mkdir",
        "putenv",
        "remove",
        "rename",
        "rmdir",
        "setxattr",
        "symlink",
        "truncate",
        "unsetenv",
        "utime",
    )
)
PROCESSES = frozenset(
    ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system")
)
FURTHER = {"subprocess.Popen": "process", "os.kill": "process", "os.chdir": "write"}


class Watch:
    """Notes taken while the watch is on: ``(kind, what)``, of kind write, socket or process."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, str]] = []
        sys.addaudithook(self._hear)

    def take(self) -> list[tuple[str, str]]:
        """Return the notes since the last time, and forget them."""
        found = list(dict.fromkeys(self._notes))
        self._notes.clear()
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        kind = _kind(event, arguments)
        if kind:
            what = " ".join(_word(argument) for argument in arguments[:2])
            self._notes.append((kind, f"{event} {what}".strip()))


def _word(argument: object) -> str:
    return repr(argument) if isinstance(argument, str | bytes | int | list | tuple) else ""


def _kind(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "open":
        path, _, flags = arguments
        harmless = path in HARMLESS or (isinstance(path, str) and "__pycache__" in path)
        return "write" if isinstance(flags, int) and flags & WRITING and not harmless else ""
    if event in CHANGES:
        return "" if any("__pycache__" in str(word) for word in arguments[:2]) else "write"
    if event.startswith("socket."):
        return "socket"
    return "process" if event in PROCESSES else FURTHER.get(event, "")
