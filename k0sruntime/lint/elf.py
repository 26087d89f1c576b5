"""Which machine a program is for, from its first bytes.

Source: the ELF header (System V gABI): byte 5 is the byte order, ``e_machine`` stands at offset 18.
"""

from __future__ import annotations

MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64le",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
}
ALSO_RUNS = {"x86_64": ("i386",), "aarch64": ("armv7l",)}
HEADER_BYTES = 20


def machine_of(data: bytes) -> str:
    """Return the machine as ``uname -m`` spells it; empty for a script, ``?`` for anything else."""
    if data.startswith(b"#!"):
        return ""
    if not data.startswith(b"\x7fELF") or len(data) < HEADER_BYTES:
        return "?"
    order = "big" if data[5] == 2 else "little"
    number = int.from_bytes(data[18:20], "big" if order == "big" else "little")
    return MACHINES.get(number, f"machine {number}")


def runs_on(machine: str, arch: str) -> bool:
    """Tell whether a program for ``machine`` runs on ``arch``."""
    return machine in ("", arch, *ALSO_RUNS.get(arch, ()))
