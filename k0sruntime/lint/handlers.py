"""Runtime handlers: what breaks their pods, and what their shims never read.

Sources: containerd 2.3 ``internal/cri/server/runtime_config_linux.go`` (the cgroup driver) and
gVisor ``pkg/shim/v1/runsc/options.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.case import RUNC_TYPES
from k0sruntime.lint.default_handler import defined_names
from k0sruntime.lint.finding import Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case, Handler


MOST_NAMES = 3
RUNSC_TYPE = "io.containerd.runsc.v1"
CONFIG_KEYS = ("ConfigPath", "ConfigBody", "TypeUrl")
"""What a shim other than runc's can be told through options. Source: runtimeoptions/v1."""


def no_runtime_type(case: Case) -> Iterator[Hit]:
    """Find handlers without a shim: their pods end in ``container.Runtime.Name must be set``."""
    for handler in case.handlers():
        value = handler.table.get("runtime_type", "")
        stated = "runtime_type" in handler.table
        if value != "" or (handler.name == "runc" and not stated):
            continue
        path = (*handler.path, "runtime_type") if stated else handler.path
        yield Hit(
            case.setter(path),
            f"the handler {handler.name!r} has {'an empty' if stated else 'no'} runtime_type",
            'Name its shim, such as "io.containerd.runc.v2".',
            path,
        )


def cgroup_flip(case: Case) -> Iterator[Hit]:
    """Find runc handlers that disagree on the cgroup driver.

    The kubelet takes the driver of the default handler for all pods, so that the others' fail.
    """
    systemd = {handler.name: handler for handler in case.handlers() if _systemd(handler)}
    others = {
        handler.name
        for handler in case.handlers()
        if handler.runtime_type in RUNC_TYPES and not _systemd(handler)
    }
    if "runc" in defined_names(case) and "runc" not in systemd:
        others.add("runc")
    if not systemd or not others:
        return
    for handler in systemd.values():
        path = (*handler.path, "options", "SystemdCgroup")
        yield Hit(
            case.setter(path),
            f"the handler {handler.name!r} uses systemd's cgroups, but {_listed(others)} not",
            "Set SystemdCgroup to the same value for every runc handler, runc itself included.",
            path,
        )


def _listed(names: set[str]) -> str:
    first = sorted(names)[:MOST_NAMES]
    listed = ", ".join(repr(name) for name in first)
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    return f"{listed}{more} {'does' if len(names) == 1 else 'do'}"


def _systemd(handler: Handler) -> bool:
    return handler.runtime_type in RUNC_TYPES and handler.options.get("SystemdCgroup") is True


def unread_binary_name(case: Case) -> Iterator[Hit]:
    """Find a BinaryName for a shim that is not runc's: only that one reads it."""
    for handler in case.handlers():
        if handler.runtime_type in ("", *RUNC_TYPES) or "BinaryName" not in handler.options:
            continue
        path = (*handler.path, "options", "BinaryName")
        remedy = "Take it out; the shim itself is named by runtime_type or runtime_path."
        if handler.runtime_type == RUNSC_TYPE:
            remedy = "Set binary_name in the file that ConfigPath names."
        yield Hit(
            case.setter(path),
            f"the shim of {handler.runtime_type} does not read BinaryName",
            remedy,
            path,
        )


def inline_runsc_options(case: Case) -> Iterator[Hit]:
    """Find runsc options that stand in containerd's file, where its shim never looks."""
    for handler in case.handlers():
        if handler.runtime_type != RUNSC_TYPE:
            continue
        names = [name for name in handler.options if name not in (*CONFIG_KEYS, "BinaryName")]
        for name in names:
            path = (*handler.path, "options", name)
            yield Hit(
                case.setter(path),
                f"runsc does not read the option {name!r} from here",
                "Put it into a file of runsc's own, as a string under [runsc_config], and name"
                " that file in ConfigPath.",
                path,
            )


RULES = (
    Rule(
        "K0R303",
        "empty-runtime-type",
        "a handler that names no shim",
        "breaks pods",
        no_runtime_type,
    ),
    Rule(
        "K0R304",
        "cgroup-driver-flip",
        "runc handlers that disagree on SystemdCgroup",
        "breaks pods",
        cgroup_flip,
    ),
    Rule(
        "K0R305",
        "unread-binary-name",
        "BinaryName for a shim that does not read it",
        "silently ignored",
        unread_binary_name,
    ),
    Rule(
        "K0R306",
        "inline-runsc-options",
        "runsc's options where its shim does not read them",
        "silently ignored",
        inline_runsc_options,
    ),
)
"""K0R303 to K0R306: runtime handlers."""
