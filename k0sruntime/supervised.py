"""Leaving a supervisor behind, where a containerd of ours runs and nobody said otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import processes, service, supervisor
from k0sruntime.modes import log
from k0sruntime.real_files import RealFiles

if TYPE_CHECKING:
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Outcome, Request


def stayed_with(request: Request, settings: NodeSettings, outcome: Outcome) -> Outcome:
    """Return what ``up`` came to, with who stays with containerd and where it logs to."""
    if outcome.running is None:
        return outcome
    where = log.place_of(request.paths, settings.log)
    pid = ensure(request, settings)
    notes = (*outcome.notes, *_boot_note(request.paths))
    return replace(outcome, supervisor=pid, log=where, notes=notes)


def _boot_note(paths: Paths) -> tuple[str, ...]:
    """Say so where nothing would start containerd when the machine is started anew."""
    found = supervisor.present(paths)
    if paths.sandbox or service.installed(RealFiles(paths)) or (found and not found.detached):
        return ()
    return ("nothing starts containerd at boot: k0sruntime install-service does",)


def ensure(request: Request, settings: NodeSettings) -> int:
    """Leave a supervisor behind where a containerd of ours runs and nobody said otherwise.

    Returns its PID, or 0 where there is none.
    """
    if not request.start or processes.running(request.paths) is None:
        return 0
    wanted = settings.supervisor.enabled if request.supervise is None else request.supervise
    found = supervisor.present(request.paths)
    return found.pid if found else supervisor.ensure(request.paths) if wanted else 0
