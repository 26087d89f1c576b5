"""Files that handlers name: those of their shims, and the base of their specs.

Sources: containerd 2.3 ``internal/cri/config/config.go``; gVisor ``pkg/shim/v1/runsc/options.go``
(flags are a map of strings).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.case import RUNC_TYPES
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.handlers import RUNSC_TYPE
from k0sruntime.lint.subject import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case


def shim_config_missing(case: Case) -> Iterator[Hit]:
    """Find a shim's configuration file that is not there: the handler's pods fail."""
    for handler in case.handlers():
        path = handler.options.get("ConfigPath")
        if not isinstance(path, str) or not path or handler.runtime_type in RUNC_TYPES:
            continue
        if not path.startswith("/") or case.machine_files.read(path) is None:
            key = (*handler.path, "options", "ConfigPath")
            yield Hit(
                case.setter(key),
                f"the file {path} of the handler {handler.name!r} cannot be read",
                "Write the file, or correct the path; it must be absolute.",
                key,
            )


def base_spec_missing(case: Case) -> Iterator[Hit]:
    """Find a ``base_runtime_spec`` that is not there: the CRI plugin does not load."""
    for handler in case.handlers():
        path = handler.table.get("base_runtime_spec")
        if isinstance(path, str) and path and case.machine_files.read(path) is None:
            key = (*handler.path, "base_runtime_spec")
            yield Hit(
                case.setter(key),
                f"base_runtime_spec {path} of the handler {handler.name!r} cannot be read",
                "Write the file, or take the line out.",
                key,
            )


def unquoted_runsc_flag(case: Case) -> Iterator[Hit]:
    """Find flags of runsc that are not strings: its shim cannot decode the file."""
    for handler in case.handlers():
        path = handler.options.get("ConfigPath")
        if handler.runtime_type != RUNSC_TYPE or not isinstance(path, str):
            continue
        data = case.machine_files.read(path)
        file = parse(path, data or b"", "import")
        flags = file.document.get("runsc_config")
        for name, value in flags.items() if isinstance(flags, dict) else ():
            if not isinstance(value, str):
                yield Hit(
                    file,
                    f"{name} = {value!r} is not a string; runsc's shim takes nothing else",
                    "Put the value into quotes.",
                    ("runsc_config", name),
                )


SELINUX = "/sys/fs/selinux/enforce"
"""There where the kernel runs with SELinux, enforcing or not (selinuxfs)."""


def runsc_under_selinux(case: Case) -> Iterator[Hit]:
    """Find runsc under ``enable_selinux``: it refuses every pod that carries a label.

    Source: gVisor ``runsc/specutils`` (``SELinux is not supported``).
    """
    on = [path for path, table in case.cri("runtime") if table.get("enable_selinux") is True]
    if not on or not case.machine_files.exists(SELINUX):
        return
    setter = case.setter((*on[0], "enable_selinux"))
    for handler in case.handlers():
        if handler.runtime_type == RUNSC_TYPE:
            key = (*handler.path, "runtime_type")
            yield Hit(
                case.setter(key),
                f"the handler {handler.name!r} runs runsc, which refuses SELinux's labels, and"
                f" enable_selinux is set in {setter.path}",
                "Take enable_selinux out, or leave gVisor to nodes without it.",
                key,
            )


RULES = (
    Rule(
        "K0R805",
        "shim-config-missing",
        "a shim's configuration file that is not there",
        "breaks pods",
        shim_config_missing,
        machine=True,
    ),
    Rule(
        "K0R806",
        "base-spec-missing",
        "a base_runtime_spec that is not there",
        "kills CRI",
        base_spec_missing,
        machine=True,
    ),
    Rule(
        "K0R807",
        "unquoted-runsc-flag",
        "a flag of runsc that is not a string",
        "breaks pods",
        unquoted_runsc_flag,
        machine=True,
    ),
    Rule(
        "K0R808",
        "runsc-under-selinux",
        "runsc on a node whose containerd labels pods for SELinux",
        "breaks pods",
        runsc_under_selinux,
        machine=True,
    ),
)
"""K0R805 to K0R808: files that handlers name."""
