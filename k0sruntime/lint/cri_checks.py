"""What CRI's own checks refuse: its plugin does not load, though containerd stays up.

Source: containerd 2.3 ``internal/cri/config/config.go`` (``ValidateRuntimeConfig``); seen on 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.layers import dotted
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case


def both_bin_dirs(case: Case) -> Iterator[Hit]:
    """Find ``cni.bin_dir`` beside ``bin_dirs``: together they keep the CRI plugin from loading."""
    if case.target.containerd < (2, 1):
        return
    for path, table in case.cri("runtime"):
        cni = table_at(table, "cni")
        if cni.get("bin_dir") and cni.get("bin_dirs"):
            where = (*path, "cni", "bin_dir")
            other = case.setter((*path, "cni", "bin_dirs"))
            yield Hit(
                case.setter(where),
                f"cni.bin_dir stands beside cni.bin_dirs ({other.path})",
                "Keep bin_dirs only.",
                where,
            )


def base_key_missing(case: Case) -> Iterator[Hit]:
    """Find all devices allowed without the key that this one refines."""
    key, base = (
        "privileged_without_host_devices_all_devices_allowed",
        "privileged_without_host_devices",
    )
    for handler in case.handlers():
        if handler.table.get(key) is True and handler.table.get(base) is not True:
            path = (*handler.path, key)
            yield Hit(
                case.setter(path),
                f"{key} of the handler {handler.name!r} needs {base}",
                f"Set {base} = true, or take the line out.",
                path,
            )


def bad_io_type(case: Case) -> Iterator[Hit]:
    """Find an ``io_type`` that containerd does not have."""
    if case.target.containerd < (2,):
        return
    for handler in case.handlers():
        value = handler.table.get("io_type", "")
        if isinstance(value, str) and value not in ("", "fifo", "streaming"):
            path = (*handler.path, "io_type")
            yield Hit(
                case.setter(path),
                f"{dotted(path[-2:])} is {value!r}{did_you_mean(value, ('fifo', 'streaming'))}",
                'Write "fifo" or "streaming".',
                path,
            )


RULES = (
    Rule(
        "K0R307",
        "both-cni-bin-dirs",
        "cni.bin_dir beside cni.bin_dirs",
        "kills CRI",
        both_bin_dirs,
    ),
    Rule(
        "K0R308",
        "device-base-key-missing",
        "all devices allowed without privileged_without_host_devices",
        "kills CRI",
        base_key_missing,
    ),
    Rule(
        "K0R309",
        "bad-io-type",
        "an io_type that containerd does not have",
        "kills CRI",
        bad_io_type,
    ),
)
"""K0R307 to K0R309: what keeps the CRI plugin from loading."""
