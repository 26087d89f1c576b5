"""Why a CRI socket does not do, each way of failing with its own sentence.

gRPC says ``UNAVAILABLE`` to most of them. So the file is looked at, somebody is listened for, and
who answers in another language is asked in HTTP: Docker's own socket is the usual mistake.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

from k0sruntime.errors import CRIError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECONDS = 2.0
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
    """Tell whether anybody listens; a full queue of connections counts as one who hangs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(path)
        except PermissionError:
            return _not_allowed(path)
        except TimeoutError:
            return _hangs(path)
        except ConnectionRefusedError:
            return Problem(
                "a socket is there, and nobody listens on it",
                path,
                remedy="Start the runtime anew; the file is left over from one that has ended.",
            )
        except OSError as exc:
            message = f"the socket cannot be connected to: {exc.strerror or exc}"
            return Problem(message, path, remedy="Let it listen as a stream socket.")
    return None


def _not_allowed(path: str) -> Problem:
    return Problem(
        "this user may not connect to the socket",
        path,
        remedy="Run as root; for root, look for a security module (ausearch -m avc, aa-status).",
    )


def _hangs(path: str) -> Problem:
    return Problem(
        "somebody listens, and gives no answer",
        path,
        remedy="The runtime hangs, or it waits for its own backend (cri-dockerd for Docker): see"
        " its log, and restart it.",
    )


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
        return _other_language(path, error)
    return Problem(f"CRI answers with an error: {error.code}: {error}", path)


def _other_language(path: str, error: CRIError) -> Problem:
    """Ask in HTTP whoever does not answer in CRI."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: k0sruntime\r\n\r\n")
            said = client.recv(64)
        except TimeoutError:
            return _hangs(path)
        except OSError:
            said = b""
    if said.startswith(b"HTTP/1"):
        return Problem(
            "it speaks HTTP, not CRI",
            path,
            remedy="This may be Docker's own socket: name cri-dockerd's instead, such as"
            " /run/cri-dockerd.sock.",
        )
    if error.code == "UNKNOWN":
        return Problem(f"CRI answers with an error: {error}", path)
    return Problem(
        f"it does not speak CRI: {error.code}: {' '.join(str(error).split())[:200]}",
        path,
        remedy="Correct the path: something else listens there.",
    )
