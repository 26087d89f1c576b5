"""The last proof of what serves the CRI, in every mode.

``/run/k0sruntime/proof.json`` has its verdicts and the process that they are about. A proof says
nothing of a containerd that was started later.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.clock import now
from k0sruntime.durable import write_volatile
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.processes import server_of, start_time
from k0sruntime.proof import from_records, to_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.paths import Paths
    from k0sruntime.proof import Proven


@dataclass(frozen=True)
class LastProof:
    """What was found, when, and of which process."""

    at: str
    """In ISO 8601."""
    pid: int
    start_time: int
    """Clock ticks since boot at which the process started."""
    proofs: tuple[Proven, ...]

    @property
    def current(self) -> bool:
        """The process that it is about still runs."""
        return start_time(self.pid) == self.start_time


def save(paths: Paths, socket: str, proofs: Sequence[Proven]) -> None:
    """Record a proof; where that is refused, as to a plain user, nothing is recorded.

    Args:
        paths: the node's paths.
        socket: the CRI socket on this machine; who serves it is what was proved.
        proofs: the verdicts, failures among them.
    """
    pid = server_of(socket) or 0
    document = {
        "at": now(),
        "pid": pid,
        "start_time": (start_time(pid) if pid else None) or 0,
        "proofs": to_records(proofs),
    }
    with contextlib.suppress(OSError):
        content = json.dumps(document, indent=1, default=str).encode()
        write_volatile(f"{State(paths).run}/proof.json", content)


def load(paths: Paths) -> LastProof | None:
    """Return the last proof, or ``None`` where there is none that can be read."""
    try:
        found: dict[str, Any] | None = State(paths).record("proof")
        if found is None:
            return None
        proofs = from_records(found["proofs"])
        return LastProof(str(found["at"]), int(found["pid"]), int(found["start_time"]), proofs)
    except (RefusedError, *NONSENSE):
        return None
