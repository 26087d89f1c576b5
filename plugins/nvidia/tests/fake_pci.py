"""A fake PCI bus: a folder tree with what the kernel's sysfs shows, for nodes without a GPU.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``: ``vendor`` and ``class`` are hexadecimal
numbers, ``driver`` is a link to the bound driver's folder and is missing where none is bound.
"""

from __future__ import annotations

from pathlib import Path

H100 = ("0x10de", "0x030200")
RTX = ("0x10de", "0x030000")
NVSWITCH = ("0x10de", "0x068000")
AUDIO = ("0x10de", "0x040300")
RADEON = ("0x1002", "0x030000")


def plug(
    root: Path, card: tuple[str, str], *, slot: str = "0000:41:00.0", driver: str = "nvidia"
) -> None:
    """Put a card into a slot of the fake bus below ``root``."""
    device = root / "sys/bus/pci/devices" / slot
    device.mkdir(parents=True)
    vendor, device_class = card
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{device_class}\n")
    if driver:
        folder = root / "sys/bus/pci/drivers" / driver
        folder.mkdir(parents=True, exist_ok=True)
        (device / "driver").symlink_to(f"../../drivers/{driver}")


def load(root: Path, version: str = "580.95.05", devices: int = 1) -> None:
    """Load the fake driver: its module, its line in proc, its device nodes (plain files)."""
    module = root / "sys/module/nvidia"
    module.mkdir(parents=True)
    (module / "version").write_text(f"{version}\n")
    proc = root / "proc/driver/nvidia"
    proc.mkdir(parents=True)
    line = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build\n"
    (proc / "version").write_text(line)
    (root / "dev").mkdir(exist_ok=True)
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(devices))):
        (root / "dev" / name).write_text("")


def install_toolkit(root: Path, folder: str, *variants: str) -> None:
    """Lay fake programs of the toolkit."""
    place = root / folder.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *(f".{variant}" for variant in variants)):
        program = place / f"nvidia-container-runtime{suffix}"
        program.write_text('#!/bin/sh\nexec runc "$@"\n')
        program.chmod(0o755)
