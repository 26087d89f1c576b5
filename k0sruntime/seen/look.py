"""Looks at a node and changes nothing: what ``status`` and ``report`` tell of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import (
    counts,
    gate,
    last_good,
    last_proof,
    observe,
    own_settings,
    pipeline,
    processes,
    provide,
    restore,
    supervisor,
    transaction,
)
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.ledger import State
from k0sruntime.node import Node
from k0sruntime.plan import refuse_other_hands
from k0sruntime.proof import from_records
from k0sruntime.real_files import RealFiles
from k0sruntime.stages import Silent

if TYPE_CHECKING:
    from k0sruntime.counts import Counts
    from k0sruntime.last_good import Held
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger, Running
    from k0sruntime.proof import Proven
    from k0sruntime.restore import Programs
    from k0sruntime.stages import Prepared, Request
    from k0sruntime.supervisor import Supervisor


@dataclass(frozen=True)
class Seen:
    """What was seen of a node."""

    node: Node[Any]
    ledger: Ledger
    generations: tuple[tuple[Ledger, Programs], ...]
    running: Running | None
    supervisor: Supervisor | None
    held: Held | None
    unfinished: bool
    counts: Counts
    quarantined: tuple[str, ...] = ()
    prepared: Prepared | None = None
    refused: K0sRuntimeError | None = None
    proofs: tuple[Proven, ...] = ()
    """Verdicts of the last proof of what serves the CRI now."""
    proved_at: str = ""
    """When that was, in ISO 8601; empty where nobody has asked since it was started."""
    pid: int = 0
    """Whoever serves containerd's socket, ours or k0s's; 0 where nobody does."""

    def changes(self, action: str) -> list[str]:
        """Return the paths to which something of this kind would happen."""
        changes = self.prepared.plan.changes if self.prepared else ()
        return [change.path for change in changes if change.action == action]

    def foreign(self) -> list[str]:
        """Return the files of other hands that containerd loads."""
        layers = self.prepared.composition.layers if self.prepared else ()
        return [layer.path for layer in layers if layer.foreign]

    @property
    def pending(self) -> bool | None:
        """The next ``up`` would change something; ``None`` where it would be refused."""
        return not self.prepared.plan.empty if self.prepared else None


def look(asked: Request) -> Seen:
    """Look at a node; what refuses the next ``up`` is part of what is seen.

    Raises:
        RefusedError: a record of our own cannot be read.
    """
    state, paths = State(asked.paths), asked.paths
    known = [state.generation(number) for number in state.generations()]
    cache = provide.cache_folder(asked, own_settings.bare_settings(asked))
    prepared, refused = None, None
    try:
        prepared = pipeline.prepare(asked, Silent())
    except K0sRuntimeError as exc:
        refused = exc
    running = processes.running(paths)
    seen = Seen(
        prepared.node if prepared else _bare_node(asked),
        observe.owned(paths),
        tuple((g, restore.programs(g, paths, cache)) for g in known if g),
        running,
        supervisor.recorded(paths),
        last_good.held(paths),
        transaction.unfinished(paths),
        counts.read(paths),
        observe.quarantined(paths),
        prepared,
        refused,
        pid=running.pid if running else _k0s_containerd(paths),
    )
    return _with_proof(seen, paths)


def _bare_node(asked: Request) -> Node[Any]:
    """Return the node without its providers; without facts where asking for them is refused."""
    try:
        return own_settings.bare_node(asked)[0]
    except K0sRuntimeError:
        return Node(None, RealFiles(asked.paths), paths=asked.paths)


def _k0s_containerd(paths: Paths) -> int:
    pid = processes.read_pid_file(paths) if paths.root == "/" else None
    return pid if pid and processes.start_time(pid) is not None else 0


def _with_proof(seen: Seen, paths: Paths) -> Seen:
    last = last_proof.load(paths)
    if last is not None and last.current:
        return replace(seen, proofs=last.proofs, proved_at=last.at)
    if seen.running is None or not seen.running.proofs:
        return seen
    records = seen.running.proofs
    return replace(seen, proofs=from_records(records), proved_at=str(records[0].get("at", "")))


def refusal(seen: Seen) -> K0sRuntimeError | None:
    """Return why the next ``up`` would stop before it wrote what is pending, if it would."""
    prepared = seen.prepared
    if prepared is None or prepared.plan.empty:
        return None
    try:
        refuse_other_hands(prepared.plan)
        gate.refuse(prepared.composition, prepared.node)
    except K0sRuntimeError as exc:
        return exc
    return None


def started(pid: int) -> float:
    """Return when a process started, in seconds since the epoch; 0 where that is not known."""
    ticks = processes.start_time(pid) if pid else None
    if ticks is None:
        return 0.0
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return round(boot + ticks / os.sysconf("SC_CLK_TCK"), 1)
