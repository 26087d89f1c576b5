"""What is counted over a node's life: starts and bounces of containerd, and roll-backs.

``/var/lib/k0sruntime/counts.json`` has the numbers. Whoever counts holds the node's lock. A count
that cannot be read begins anew, and one that cannot be written stops nothing: it is a number.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.durable import write_atomically
from k0sruntime.ledger import NONSENSE, State

if TYPE_CHECKING:
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class Counts:
    """The numbers, and when the last roll-back was."""

    starts: int = 0
    """containerd was started by us; the start that ends a bounce is one."""
    bounces: int = 0
    """containerd was stopped and started because of us, by us or by k0s."""
    roll_backs: int = 0
    """A change failed its proof and was taken back."""
    last_roll_back: str = ""
    """In ISO 8601; empty where there was none."""


NUMBERS = ("starts", "bounces", "roll_backs")


def read(paths: Paths) -> Counts:
    """Return the numbers; zeros where nothing was counted."""
    try:
        with regular.opened(_path(paths)) as file:
            known = json.load(file)
        starts, bounces, roll_backs = (int(known[name]) for name in NUMBERS)
        return Counts(starts, bounces, roll_backs, str(known["last_roll_back"]))
    except (OSError, *NONSENSE):
        return Counts()


def add(
    paths: Paths, *, starts: int = 0, bounces: int = 0, roll_backs: int = 0, at: str = ""
) -> None:
    """Count something more; ``at`` is when a roll-back was, in ISO 8601."""
    known = read(paths)
    counted = replace(
        known,
        starts=known.starts + starts,
        bounces=known.bounces + bounces,
        roll_backs=known.roll_backs + roll_backs,
        last_roll_back=at or known.last_roll_back,
    )
    with contextlib.suppress(OSError):
        write_atomically(_path(paths), json.dumps(asdict(counted), indent=1).encode())


def _path(paths: Paths) -> str:
    return f"{State(paths).folder}/counts.json"
