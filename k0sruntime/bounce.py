"""Start, bounce or keep our containerd, then prove it: files are in place before this begins.

A bounce stops and starts containerd alone; shims and pods live on.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import counts, supervisor
from k0sruntime.clock import now
from k0sruntime.deferred import deferred
from k0sruntime.errors import CRIError, K0sRuntimeError, Problem
from k0sruntime.ledger import State
from k0sruntime.modes import beside, images, log, standalone
from k0sruntime.proof import Proven, Target, to_records
from k0sruntime.prove import NotProvedError, prove, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from k0sruntime.node import Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.plan import Running
    from k0sruntime.prove import Checks
    from k0sruntime.stages import Ran, Story

READY_SECONDS = 30.0
"""From containerd's start to its CRI; 0.1 s is usual, a slow disk may need seconds."""


@dataclass(frozen=True)
class Done:
    """What the run stage came to."""

    ran: Ran = ""
    running: Running | None = None
    proofs: tuple[Proven, ...] = ()
    notes: tuple[str, ...] = ()


def start_and_prove(
    node: Node[Any],
    settings: NodeSettings,
    target: Target,
    running: Running | None,
    verdict: str,
    story: Story,
    checks: Callable[[], Checks] = tuple,
    config: str = "",
) -> Done:
    """Start, bounce or keep containerd as the plan says, then run the proof.

    Args:
        node: the node, with its containerd.
        settings: the host's own.
        target: what is to be proved.
        running: the containerd that runs, if one does.
        verdict: of the plan.
        story: told of every step.
        checks: gives the providers' own checks, when containerd is up.
        config: containerd's main file, where that is not the node's own.

    Raises:
        NotProvedError: it did not come up, or a layer of the proof failed.
    """
    notes: list[str] = []
    with story.stage("run") as tell, deferred():
        if running is not None and verdict == "bounce":
            importlib.import_module("k0sruntime.cri")  # while the old one still answers
            standalone.stop(node.paths, running)
            counts.add(node.paths, bounces=1)
            running = None
        if running is None:
            running = _start(node, settings, target.effective, config)
            notes += images.import_bundles(node)
        ran: Ran = {"start": "started", "bounce": "bounced"}.get(verdict, "adopted")  # type: ignore[assignment]
        tell(f"containerd {running.version} {ran}, PID {running.pid}")
    with story.stage("verify") as tell:
        proofs = prove(node, target, checks())
        tell(summary(proofs))
    running = replace(running, proofs=to_records(proofs, now()))
    State(node.paths).record_running(running)
    return Done(ran, running, tuple(proofs), tuple(notes))


def _start(
    node: Node[Any], settings: NodeSettings, effective: Mapping[str, Any], config: str
) -> Running:
    since = log.mark(node.paths, settings.log)
    try:
        started = standalone.start(node, settings, effective, config)
    except (OSError, K0sRuntimeError) as exc:  # files are in place and nothing runs: go back
        raise NotProvedError(_problems(exc)) from exc
    stays = supervisor.present(node.paths)
    if stays is not None and not stays.detached:
        beside.join(started.running.pid, stays.pid)
    from k0sruntime.cri import CRI  # a tenth of a second, spent while containerd boots

    counts.add(node.paths, starts=1)
    with CRI(node.paths.socket) as cri:
        try:
            cri.wait(READY_SECONDS, lambda: started.process.poll() is None)
        except CRIError as exc:
            raise NotProvedError([_not_up(node, settings, exc, since)]) from exc
    return started.running


def _problems(error: Exception) -> tuple[Problem, ...]:
    if isinstance(error, K0sRuntimeError):
        return error.problems
    return (Problem(f"containerd cannot be started: {error}"),)


def _not_up(node: Node[Any], settings: NodeSettings, error: CRIError, since: str) -> Problem:
    message = {
        "UNIMPLEMENTED": "containerd runs, and its CRI plugin did not load",
        "ABORTED": "containerd ended as soon as it was started",
    }.get(error.code, f"containerd's CRI did not come up: {error}")
    reason = log.why(node.paths, settings.log, since)
    return Problem(
        f"{message}: {reason}" if reason else message,
        place=log.place_of(node.paths, settings.log),
        remedy="Correct the key or file that the reason names; k0sruntime lint may know more.",
    )
