"""The state of a process that all of its code shares, and that a provider must leave as it is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def process_state() -> dict[str, object]:
    """Return folder, environment, signals, threads, umask, path and filters, by what they are."""
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "the working folder": _here(),
        "the environment": dict(os.environ),
        "signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "running threads": [thread.ident for thread in threading.enumerate()],
        "the umask": umask,
        "sys.path": list(sys.path),
        "the filters of warnings": _filters(),
    }


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return what is another in two states; a thread that has ended meanwhile is none."""
    found = [what for what, value in before.items() if value != after[what]]
    if "running threads" in found:
        then, now = before["running threads"], after["running threads"]
        if isinstance(then, list) and isinstance(now, list) and set(now) <= set(then):
            found.remove("running threads")
    return found


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
