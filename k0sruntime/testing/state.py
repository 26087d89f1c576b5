"""The state of a process that all of its code shares, and that a provider must leave as it is."""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HOST = "k0sruntime"
EVERYBODYS = (builtins, os, socket, subprocess, threading, time)
"""Modules of Python's whose functions the host calls, and others love to replace."""
LIMITS = {getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_")}
"""Limits of resources by their numbers (setrlimit(2)); some have two names."""


def process_state() -> dict[str, Any]:
    """Return what all code of this process shares, by what it is called in a sentence."""
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "the working folder": _here(),
        "the environment": dict(os.environ),
        "signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "running threads": {thread.ident for thread in threading.enumerate()},
        "the umask": umask,
        "sys.path": list(sys.path),
        "the filters of warnings": _filters(),
        "what logging lets through": (logging.root.manager.disable, logging.root.level),
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "the niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "the recursion limit": sys.getrecursionlimit(),
        "the limits of resources": {number: resource.getrlimit(number) for number in LIMITS},
        "sys.modules": {name: id(module) for name, module in sys.modules.items()},
        "functions of Python's modules": {
            module.__name__: {name: id(value) for name, value in vars(module).items()}
            for module in EVERYBODYS
        },
        "the host's modules": {
            name: {key: id(value) for key, value in vars(module).items()}
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] == HOST and isinstance(module, ModuleType)
        },
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what is another in two states: none are threads that ended, and modules that came."""
    found = []
    for what, value in before.items():
        details = _DETAILS.get(what, _differ)(value, after[what])
        if details is not None:
            found.append(f"{what}{details}")
    return found


def changed_since(before: Mapping[str, Any]) -> list[str]:
    """Return what is another now, and put back what the kit itself needs for its work.

    Args:
        before: what ``process_state`` returned.
    """
    found = changes(before, process_state())
    sys.setrecursionlimit(before["the recursion limit"])
    put_limits_back(before["the limits of resources"])
    return found


def put_limits_back(limits: Mapping[int, tuple[int, int]]) -> None:
    """Put the limits of resources back, where that can be done."""
    for number, limit in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a hard limit that only root may raise
            resource.setrlimit(number, limit)


def _differ(before: object, after: object) -> str | None:
    return None if before == after else ""


def _threads(before: set[int], after: set[int]) -> str | None:
    return None if after <= before else ""


def _limits(before: Mapping[int, object], after: Mapping[int, object]) -> str | None:
    return _told(LIMITS[number] for number in before if before[number] != after[number])


def _modules(before: Mapping[str, int], after: Mapping[str, int]) -> str | None:
    gone = [name for name, module in before.items() if after.get(name) != module]
    barred = [name for name in after if name not in before and sys.modules.get(name, 0) is None]
    return _told(gone + barred)


def _replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    return _told(_others(before, after))


def _others(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{module}.{name}"
        for module, names in before.items()
        for name, value in names.items()
        if after.get(module, {}).get(name) != value
    ]


def _hosts(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Compare the host's modules: what is replaced, gone, or new, but for modules that came."""
    new = [
        f"{module}.{name}"
        for module in before
        for name in after.get(module, {})
        if name not in before[module] and f"{module}.{name}" not in sys.modules
    ]
    return _told([*new, *_others(before, after)])


def _told(names: Iterable[str]) -> str | None:
    """Return names as the end of a sentence; ``None`` where there are none."""
    found = sorted(set(names))
    return f": {', '.join(found[:3])}{' …' if len(found) > 3 else ''}" if found else None


_DETAILS: Mapping[str, Callable[[Any, Any], str | None]] = {
    "running threads": _threads,
    "the limits of resources": _limits,
    "sys.modules": _modules,
    "functions of Python's modules": _replaced,
    "the host's modules": _hosts,
}


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _filters() -> list[str]:
    """Return the filters that reach everybody's warnings.

    Libraries such as urllib3 add one for a category of their own, or for one module's.
    """
    return [
        f"{action} {category.__name__}"
        for action, message, categories, module, _ in warnings.filters
        for category in (categories if isinstance(categories, tuple) else (categories,))
        if category.__module__ == "builtins" and not message and not module
    ]
