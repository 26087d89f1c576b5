"""Seeing what foreign code does to the machine: what Python tells of it, and what lies in folders.

An audit hook (PEP 578) takes notes, and folders are compared with what they were: code in C tells
no audit hook what it writes. The hook cannot be taken off again, so this belongs into a process of
its own, one that writes no bytecode: a file in ``__pycache__`` is somebody's like any other.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS = ("/dev/null", "/dev/tty")
SILENT = ("mkfifo", "mknod")
"""Functions of ``os`` that write and tell no audit hook; here they do."""
CHANGES = frozenset(
    f"os.{name}"
    for name in (
        *SILENT,
        "chmod",
        "chown",
        "link",
        "mkdir",
        "putenv",
        "remove",
        "removexattr",
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
FURTHER = {
    "ctypes.dlsym": "native",
    "ctypes.dlsym/handle": "native",
    "os.chdir": "write",
    "os.kill": "process",
    "os.killpg": "process",
    "subprocess.Popen": "process",
    "syslog.openlog": "write",
    "syslog.syslog": "write",
}
Tree = dict[str, tuple[int, ...]]
"""What lies in folders: path to what changes with the file."""


class Watch:
    """Notes of what was done: ``(kind, what)``, of kind write, socket, process or native.

    ``native`` is a call into C through ctypes: what it does, nobody here can tell.
    """

    def __init__(self, folders: Sequence[str] = ()) -> None:
        """Begin.

        Args:
            folders: those in which no file may appear, change or go.
        """
        self._notes: list[tuple[str, str]] = []
        self._folders = folders
        self._tree = tree(folders)
        for name in SILENT:
            _make_heard(name)
        sys.addaudithook(self._hear)

    def take(self) -> list[tuple[str, str]]:
        """Return the notes since the last time, and forget them."""
        before, self._tree = self._tree, tree(self._folders)
        found = list(dict.fromkeys(self._notes))
        self._notes.clear()
        heard = " ".join(what for _, what in found)
        found += [
            ("write", what) for path, what in _differences(before, self._tree) if path not in heard
        ]
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        kind = _kind(event, arguments)
        if kind:
            words = (_word(argument) for argument in arguments[:2])
            self._notes.append((kind, " ".join(word for word in (event, *words) if word)))


def _make_heard(name: str) -> None:
    """Have a function of ``os`` tell the audit hooks before it does anything."""
    silent = getattr(os, name)

    @functools.wraps(silent)
    def heard(*arguments: Any, **named: Any) -> Any:
        sys.audit(f"os.{name}", *arguments, *named.values())
        return silent(*arguments, **named)

    setattr(os, name, heard)


def _word(argument: object) -> str:
    if isinstance(argument, os.PathLike):
        argument = os.fspath(argument)
    return repr(argument) if isinstance(argument, str | bytes | int | list | tuple) else ""


def _kind(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "open":
        path, _, flags = arguments
        harmless = path in HARMLESS
        return "write" if isinstance(flags, int) and flags & WRITING and not harmless else ""
    if event == "sqlite3.connect":
        return "" if arguments[0] in (":memory:", b":memory:") else "write"
    if event == "ctypes.dlopen":  # the import of ctypes asks for None, this very process
        return "native" if arguments[0] else ""
    if event in CHANGES:
        return "write"
    if event.startswith("socket."):
        return "socket"
    return "process" if event in PROCESSES else FURTHER.get(event, "")


def tree(folders: Sequence[str]) -> Tree:
    """Return what lies in folders, links not followed."""
    found: Tree = {}
    for folder in folders:
        for base, inner, files in os.walk(folder):
            for path in (os.path.join(base, name) for name in (*inner, *files)):
                try:
                    seen = os.lstat(path)
                except OSError:  # it goes while we look
                    continue
                found[path] = _look(seen)
    return found


def _look(seen: os.stat_result) -> tuple[int, ...]:
    """Return what of a file tells that it was changed; of a folder, whose files tell, its mode."""
    if seen.st_mode & 0o170000 == 0o040000:
        return (seen.st_mode, seen.st_uid, seen.st_gid)
    return (seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _differences(before: Tree, after: Tree) -> Iterator[tuple[str, str]]:
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            yield path, f"there is a new {path!r}"
        elif path not in after:
            yield path, f"{path!r} is gone"
        elif before[path] != after[path]:
            yield path, f"{path!r} is changed"
