"""A room of its own for a process: mounts, sockets and ports that nobody else sees.

Run as a program: it reads a plan, as JSON, from standard input, goes into mount and network
namespaces of its own, and becomes the command of the plan. In there every file system is
read-only, ``/run`` is empty and in memory, and what has to be writable is a layer in memory above
what lies there. When the last process in there ends, all of it is gone; it ends with the process
that started it. Sources: unshare(2), mount(2), prctl(2), capabilities(7), the kernel's
``Documentation/filesystems/overlayfs.rst``, ``include/uapi/linux/mount.h``.

Only the standard library is used, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import re
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "/run"
OWN = f"{RUN}/k0sruntime-trial"
"""Where what runs in there has its own files; nobody outside sees it."""
NOT_ENTERED = 125
"""Exit status where the room could not be made; the reason is the last line of standard error."""
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP = 1, 24
_CAP_SYS_MODULE = 16
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 1 << 12, 1 << 14, 1 << 18
_KEPT = {
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "nosymfollow": 256,
    "noatime": 1 << 10,
    "nodiratime": 1 << 11,
    "relatime": 1 << 21,
}
_OUT_OF_REACH = (errno.ENOENT, errno.EINVAL, errno.ENOTCONN, errno.ESTALE, errno.EACCES)
"""A mount below another one, or of a file system whose server is gone: nobody can write there."""
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def main() -> None:
    """Go in and become the command; on failure say why and exit with ``NOT_ENTERED``."""
    plan = json.load(sys.stdin)
    command = plan["command"]
    program = os.path.realpath(command[0])  # a link to it may lie in what is hidden
    try:
        enter()
        for path in sorted(plan["writable"], key=lambda path: path.count("/")):
            _make_writable(path)
        for path in plan["hidden"]:  # afterwards: a layer covers what is mounted below it
            _hide(path)
        for path, text in plan["files"].items():
            _lay(path, text)
        os.execv(program, command)  # noqa: S606 - no shell: the command is the caller's
    except OSError as exc:
        place = f"{exc.filename}: " if exc.filename else ""
        sys.stderr.write(f"{place}{exc.strerror}\n")
        sys.exit(NOT_ENTERED)


def enter() -> None:
    """Go into namespaces of our own, in which nothing of the machine can be changed.

    Raises:
        OSError: the kernel does not allow it.
    """
    _call("prctl", _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    _call("unshare", _libc().unshare(_CLONE_NEWNS | _CLONE_NEWNET))
    _mount("none", "/", "", _REC | _PRIVATE)
    _freeze()
    _mount("tmpfs", RUN, "tmpfs", 0, "size=256m,mode=755")
    if os.path.isdir("/var/run") and not os.path.samefile("/var/run", RUN):
        _mount(RUN, "/var/run", "", _BIND)
    os.mkdir(OWN, 0o700)
    _network()
    # containerd 1.7 asks modprobe for aufs; modules are the whole machine's.
    _call("prctl", _libc().prctl(_PR_CAPBSET_DROP, _CAP_SYS_MODULE, 0, 0, 0))


def _freeze() -> None:
    """Make every mount read-only, for us alone; ``/proc`` is about processes."""
    with open("/proc/self/mountinfo", "rb") as file:
        lines = file.read().splitlines()
    for line in lines:
        fields = line.split()
        path = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), fields[4])
        if path == b"/proc" or path.startswith(b"/proc/"):
            continue
        kept = sum(_KEPT.get(word, 0) for word in fields[5].decode().split(","))
        try:
            _mount("", os.fsdecode(path), "", _REMOUNT | _BIND | _RDONLY | kept)
        except OSError as exc:
            if exc.errno not in _OUT_OF_REACH:
                raise
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        raise OSError(errno.EPERM, "cannot be made read-only", "/")


def _network() -> None:
    """Bring the loopback up; the machine's other addresses may be listened at although not here."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    for family in ("ipv4", "ipv6"):
        path = f"/proc/sys/net/{family}/ip_nonlocal_bind"  # this network namespace's own
        with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
            file.write("1")


def _hide(path: str) -> None:
    """Put an empty folder, or what answers nobody, over what lies at a path."""
    if os.path.isdir(path):
        _mount("tmpfs", path, "tmpfs", 0, "size=256m,mode=711")
    elif os.path.exists(path):
        _mount("/dev/null", path, "", _BIND)


def _make_writable(folder: str) -> None:
    """Make a folder that can be written to, in memory, above what lies there."""
    there = folder
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    if not os.access(there, os.W_OK):
        if there == "/":
            raise OSError(errno.EROFS, "its parent folder is not there", folder)
        number = len(os.listdir(OWN))
        upper, work = f"{OWN}/{number}-upper", f"{OWN}/{number}-work"
        os.mkdir(upper)
        os.mkdir(work)
        with _opened(there) as lower:  # its path may have what separates options
            options = f"lowerdir=/proc/self/fd/{lower},upperdir={upper},workdir={work}"
            _mount("overlay", there, "overlay", 0, options)
    os.makedirs(folder, exist_ok=True)


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lay(path: str, text: str | None) -> None:
    """Write a file in a folder that was made writable, or take it away there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    if text is not None:
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = (os.fsencode(word) or None for word in (source, target, kind))
    _call(target, _libc().mount(*words, ctypes.c_ulong(flags), options.encode() or None))


def _call(what: str, failed: int) -> None:
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
