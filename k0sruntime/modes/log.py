"""Where containerd logs to: a file beside its socket, or the systemd journal.

The journal gets containerd's own output over a stream of its own, as from ``systemd-cat``, so that
nothing of ours stands between the two: containerd outlives us. Source of the stream's head:
systemd ``src/libsystemd/sd-journal/journal-send.c`` (``sd_journal_stream_fd``).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from typing import TYPE_CHECKING, Literal

from k0sruntime import regular
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.paths import Paths

LogTo = Literal["file", "journal"]

IDENTIFIER = "k0sruntime-containerd"
"""``journalctl --identifier`` finds it."""
LARGEST = 16 << 20
"""A log file of more bytes is set aside when containerd is started; one old file is kept."""
JOURNAL = "/run/systemd/journal/stdout"
JOURNAL_SECONDS = 5.0
_INFO = 6


def file_of(paths: Paths) -> str:
    """Return the file that containerd logs to."""
    return f"{paths.run}/containerd.log"


def place_of(paths: Paths, to: LogTo) -> str:
    """Return where a person finds the log."""
    return file_of(paths) if to == "file" else f"journalctl --identifier={IDENTIFIER}"


@contextlib.contextmanager
def opened(paths: Paths, to: LogTo) -> Iterator[int]:
    """Open the log for a process that is about to start; gives a file descriptor.

    Raises:
        RefusedError: the journal was asked for, and there is none.
    """
    if to == "file":
        path = file_of(paths)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_size > LARGEST:
                os.replace(path, f"{path}.1")
        with open(path, "ab") as file:
            yield file.fileno()
        return
    with _journal() as stream:
        yield stream.fileno()


def refuse(to: LogTo) -> None:
    """Stop where the log cannot be opened.

    Raises:
        RefusedError: the journal was asked for, and there is none.
    """
    if to == "journal":
        _journal().close()


def _journal() -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(JOURNAL)
        stream.sendall(f"{IDENTIFIER}\n\n{_INFO}\n0\n0\n0\n0\n".encode())
    except OSError as exc:
        stream.close()
        raise RefusedError(
            Problem(
                f"the journal cannot be reached: {exc.strerror}",
                place=JOURNAL,
                remedy="Set [node] log = 'file', or start systemd-journald.",
            )
        ) from exc
    return stream


def shorten(path: str) -> None:
    """Set a log aside that grew too large under a process that goes on writing to its end."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_size > LARGEST:
            shutil.copyfile(path, f"{path}.1")
            os.truncate(path, 0)


def mark(paths: Paths, to: LogTo) -> str:
    """Return where the log is now: what a start adds comes after."""
    if to == "journal":
        return f"{time.time():.6f}"
    try:
        return str(os.stat(file_of(paths)).st_size)
    except OSError:
        return "0"


def why(paths: Paths, to: LogTo, since: str) -> str:
    """Return why containerd or its CRI plugin did not come up, out of what its log says.

    A plugin that failed makes others fail; the first of them names the cause.
    """
    return reason(_from_journal(since) if to == "journal" else _from_file(paths, int(since)))


def reason(lines: list[str]) -> str:
    """Return the line that tells, out of containerd's own.

    Source of the format: logrus' text formatter, as containerd 1.7 and 2.x use it.
    """
    failed = [line for line in lines if "failed to load plugin" in line and "cri" in line]
    if failed and (found := re.search(r'error="((?:[^"\\]|\\.)*)"', failed[0])):
        return found[1].replace('\\"', '"')
    panics = [line for line in lines if line.startswith(("panic: ", "fatal error: "))]
    if panics:  # what follows is where in the code
        return panics[0]
    telling = [line for line in lines if "level=info" not in line and "level=warning" not in line]
    return (telling or lines or [""])[-1].removeprefix("containerd: ")


def _from_file(paths: Paths, offset: int) -> list[str]:
    try:
        with regular.opened(file_of(paths)) as file:
            if os.fstat(file.fileno()).st_size >= offset:  # else it was set aside meanwhile
                file.seek(offset)
            return file.read(1 << 20).decode(errors="replace").splitlines()
    except OSError:
        return []


def _from_journal(since: str) -> list[str]:
    command = ["journalctl", f"--identifier={IDENTIFIER}", f"--since=@{since}", "--output=cat"]
    return ask([*command, "--no-pager", "--quiet"], JOURNAL_SECONDS).output.splitlines()
