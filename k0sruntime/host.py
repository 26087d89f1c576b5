"""What the machine itself can do, tried and not guessed: its kernel, and KVM.

Source: Linux ``Documentation/virt/kvm/api.rst`` (KVM_GET_API_VERSION is 12 for ever).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import posixpath

from k0sruntime import regular
from k0sruntime.lint.elf import HEADER_BYTES, machine_of
from k0sruntime.node import Version

KVM = "/dev/kvm"
KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
API_VERSION = 12


PROGRAMS = ("/usr/local/bin/k0s", "/usr/bin/k0s", "/usr/lib/systemd/systemd", "/bin/sh")
"""Programs of which a Linux image has at least one."""
MOST_STEPS = 64


def machine(root: str) -> str:
    """Return the node's machine as ``uname -m`` spells it; an image's is that of its programs."""
    if root != "/":
        for program in PROGRAMS:
            with contextlib.suppress(OSError), regular.opened(_in_root(root, program)) as file:
                if (found := machine_of(file.read(HEADER_BYTES))) not in ("", "?"):
                    return found
    return platform.machine()


def _in_root(root: str, path: str) -> str:
    """Return where a path of the image lies, with every link followed as the image sees it."""
    found, left = "/", path.strip("/").split("/")
    for _ in range(MOST_STEPS):
        if not left:
            break
        step = posixpath.normpath(posixpath.join(found, left.pop(0)))
        on_disk = posixpath.join(root, step.lstrip("/"))
        if os.path.islink(on_disk):
            target = os.readlink(on_disk)
            found = "/" if target.startswith("/") else found
            left = [*target.strip("/").split("/"), *left]
        else:
            found = step
    return posixpath.join(root, found.lstrip("/"))


def kernel(root: str) -> Version | None:
    """Return the running kernel's version; ``None`` for an image root."""
    return Version.parse(platform.release()) if root == "/" else None


def kvm_problem(root: str, device: str = KVM) -> str:
    """Return why KVM cannot be used, as a clause; empty where it can, or for an image root."""
    if root != "/":
        return ""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"{device} is not there; the CPU or its firmware has no virtualisation switched on"
    except OSError as exc:
        return f"{device} cannot be opened: {exc.strerror}"
    try:
        version = fcntl.ioctl(descriptor, KVM_GET_API_VERSION)
        if version != API_VERSION:
            return f"{device} speaks version {version} of KVM's API, not {API_VERSION}"
        os.close(fcntl.ioctl(descriptor, KVM_CREATE_VM, 0))
    except OSError as exc:
        return f"{device} makes no virtual machine: {exc.strerror}"
    finally:
        os.close(descriptor)
    return ""
