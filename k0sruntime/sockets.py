"""Why a CRI socket does not do, each way of failing with its own sentence.

gRPC says ``UNAVAILABLE`` to most of them. So the file is looked at, somebody is listened for, and
who answers in another language is asked in HTTP: Docker's own socket is the usual mistake.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from k0sruntime.errors import CRIError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECT_SECONDS = 2.0
RETRY_SECONDS = 0.05
SETTINGS = (b"\x04\x00\x00\x00\x00\x00",)
"""Type, flags and stream of the frame that a server of HTTP/2, and so of gRPC, begins with."""
HUNG = (
    "The runtime hangs, or it waits for its own backend (cri-dockerd for Docker): see the logs of"
    " both, and restart the one that hangs."
)
LONGEST_PATH = 107
"""Bytes of a Unix socket's path (``sun_path`` of unix(7), without the final zero)."""


def socket_fault(path: str, ask: Callable[[], object] | None = None) -> Problem | None:
    """Return what is wrong with a CRI socket, or ``None``.

    Args:
        path: the socket, on this machine.
        ask: asks over CRI, and raises ``CRIError``; by default nothing is asked.
    """
    problem = _file_fault(path) or _listener_fault(path)
    if problem or ask is None:
        return problem
    try:
        ask()
    except CRIError as exc:
        return _answer_fault(path, exc)
    return None


def _file_fault(path: str) -> Problem | None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        message = f"the path is longer than the {LONGEST_PATH} bytes that a socket may have"
        return Problem(message, path, remedy="Let the runtime listen on a shorter path.")
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        return _not_allowed(path)
    except OSError as exc:
        return _missing(path, exc)
    if stat.S_ISSOCK(mode):
        return None
    if stat.S_ISDIR(mode):
        remedy = (
            "Remove it if it is empty: a container that mounted the socket before it was there has"
            " made it. Then start the runtime."
        )
        return Problem("a folder is there, not a socket", path, remedy=remedy)
    message = "a file is there, not a socket"
    return Problem(message, path, remedy="Correct the path, or move the file away.")


def _missing(path: str, error: OSError) -> Problem:
    if isinstance(error, NotADirectoryError):
        message = "there is no such socket: a part of its path is no folder"
        return Problem(message, path, remedy="Correct the path.")
    dangling = " (a link that leads nowhere)" if os.path.islink(path) else ""
    return Problem(
        f"there is no such socket{dangling}",
        path,
        remedy="Start the runtime that listens there (for cri-dockerd: systemctl enable --now"
        " cri-docker.socket), or correct the path.",
    )


def _listener_fault(path: str) -> Problem | None:
    """Tell whether anybody listens, and takes connections.

    Where the queue of connections is full, Linux says EAGAIN at once (unix(7)), so that it is tried
    again for a while.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            with _connected(path):
                return None
        except BlockingIOError:
            if time.monotonic() > deadline:
                return _full(path)
            time.sleep(RETRY_SECONDS)
        except PermissionError:
            return _not_allowed(path)
        except TimeoutError:
            return _full(path)
        except ConnectionRefusedError:
            return Problem(
                "a socket is there, and nobody listens on it",
                path,
                remedy="Start the runtime anew; the file is left over from one that has ended.",
            )
        except OSError as exc:
            message = f"the socket cannot be connected to: {exc.strerror or exc}"
            return Problem(message, path, remedy="Let it listen as a stream socket.")


@contextmanager
def _connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_SECONDS)
        client.connect(path)
        yield client


def _not_allowed(path: str) -> Problem:
    return Problem(
        "this user may not connect to the socket",
        path,
        remedy="Run as root; for root, look for a security module (ausearch -m avc, aa-status).",
    )


def _full(path: str) -> Problem:
    return Problem(
        "somebody listens, and takes no more connections: their queue is full",
        path,
        remedy=HUNG,
    )


def _hangs(path: str) -> Problem:
    return Problem("somebody listens, and gives no answer", path, remedy=HUNG)


def ready_fault(path: str, ask: Callable[[], Mapping[str, tuple[bool, str]]]) -> Problem | None:
    """Return why a runtime that answers is not one that a kubelet could use, or ``None``.

    Args:
        path: the socket, on this machine.
        ask: asks for the conditions of ``Status`` as (holds, message), and raises ``CRIError``.
    """
    try:
        ready, message = ask().get("RuntimeReady", (False, "it does not tell"))
    except CRIError as exc:
        return _status_fault(path, exc)
    if ready:
        return None
    return Problem(
        f"CRI answers, and the runtime says that it is not ready: {message or 'no reason given'}",
        path,
        remedy="See its log, and mend what it names: a kubelet starts no pod until then.",
    )


def _status_fault(path: str, error: CRIError) -> Problem:
    if error.code == "UNIMPLEMENTED":
        return Problem(
            "CRI's Version is served, and its Status is not: no kubelet can use it",
            path,
            remedy="Install a runtime that serves all of CRI v1, or correct the path.",
        )
    if error.code == "DEADLINE_EXCEEDED":
        message = "CRI answers Version, and hangs when it is asked for its Status"
        return Problem(message, path, remedy=HUNG)
    message = (
        f"CRI answers Version, and fails when it is asked for its Status: {error.code}: {error}"
    )
    return Problem(message, path, remedy="See the runtime's log, and restart it.")


def _answer_fault(path: str, error: CRIError) -> Problem:
    if error.code == "UNIMPLEMENTED":
        return Problem(
            f"it speaks gRPC, and serves no CRI v1: {error}",
            path,
            remedy="A containerd whose CRI plugin is off or did not load (see its log), a runtime"
            " older than CRI v1, or the socket of something else.",
        )
    if error.code == "PERMISSION_DENIED":
        return Problem(f"the runtime denies the call: {error}", path, remedy="Run as root.")
    if error.code in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN"):
        return _by_language(path, error, _said_to_http(path))
    return _error(path, error)


def _said_to_http(path: str) -> bytes | None:
    """Ask in HTTP whoever does not answer in CRI; ``None`` where nothing comes."""
    try:
        with _connected(path) as client:
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: k0sruntime\r\n\r\n")
            return client.recv(64)
    except TimeoutError:
        return None
    except OSError:
        return b""


def _by_language(path: str, error: CRIError, said: bytes | None) -> Problem:
    """Judge an error by the language that is spoken there."""
    if said is not None and said.startswith(b"HTTP/1"):
        return Problem(
            "it speaks HTTP, not CRI",
            path,
            remedy="This may be Docker's own socket: name cri-dockerd's instead, such as"
            " /run/cri-dockerd.sock.",
        )
    grpc = said is not None and said[3:9] in SETTINGS
    if grpc and error.code == "DEADLINE_EXCEEDED":
        message = "it speaks gRPC, and hangs when CRI's Version is asked"
        return Problem(message, path, remedy=HUNG)
    if said is None:
        return _hangs(path)
    if grpc or error.code == "UNKNOWN":
        return _error(path, error)
    return Problem(
        f"it does not speak CRI: {error.code}: {_short(error)}",
        path,
        remedy="Correct the path: something else listens there.",
    )


def _error(path: str, error: CRIError) -> Problem:
    return Problem(
        f"CRI answers with an error: {error.code}: {_short(error)}",
        path,
        remedy="See the runtime's log, and that of what is behind it (Docker for cri-dockerd).",
    )


def _short(error: CRIError) -> str:
    return " ".join(str(error).split())[:200]
