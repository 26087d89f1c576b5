"""What the machine itself can do, tried and not guessed: its kernel, and KVM.

Source: Linux ``Documentation/virt/kvm/api.rst`` (KVM_GET_API_VERSION is 12 for ever).
"""

from __future__ import annotations

import fcntl
import os
import platform

from k0sruntime.node import Version

KVM = "/dev/kvm"
KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
API_VERSION = 12


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
