"""Sixth stage: start or bounce containerd once, prove it, and put the old state back if that fails.

This is where files and processes meet. The order never changes: files first, then one start, then
the proof; a failure goes back the same way and proves what it went back to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from k0sruntime import apply as apply_
from k0sruntime import on_disk
from k0sruntime.collect import for_provider
from k0sruntime.errors import (
    CRIError,
    Problem,
    RollbackFailedError,
    RolledBackError,
    VerifyFailedError,
)
from k0sruntime.ledger import State, as_proved
from k0sruntime.modes import images, standalone
from k0sruntime.proof import Proven, Target, failures, to_records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from k0sruntime.compose import Composition
    from k0sruntime.cri import CRI
    from k0sruntime.node import Node, Paths
    from k0sruntime.plan import Ledger, Observed, Running
    from k0sruntime.stages import Prepared, Ran, Story

    Checks = Sequence[Callable[[CRI], list[Proven]]]

READY_SECONDS = 30.0
"""From containerd's start to its CRI; 0.1 s is usual, a slow disk may need seconds."""


class NotProvedError(Exception):
    """What was started does not pass; ``problems`` say why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Done:
    """What the stage came to."""

    ran: Ran = ""
    running: Running | None = None
    proofs: tuple[Proven, ...] = ()
    notes: tuple[str, ...] = ()


def run_and_prove(
    prepared: Prepared, ledger: Ledger, story: Story, before: Ledger | None = None
) -> Done:
    """Run what was applied in its mode, and prove it.

    Args:
        prepared: what was composed, and what ran before.
        ledger: the generation that was applied.
        story: told of every step.
        before: the generation to go back to; by default the one that was observed.

    Raises:
        RolledBackError: it failed, and the old state is back and proved.
        RollbackFailedError: it failed, and so did the way back.
        VerifyFailedError: a remote CRI does not pass; nothing there is ours to put back.
    """
    mode = prepared.composition.mode
    if prepared.plan.bounce.verdict == "stop" and prepared.observed.running:
        _stop(prepared.node.paths, prepared.observed.running, story)
    if mode == "managed":
        return Done(notes=("k0s bounces containerd by itself when its drop-ins have changed",))
    if mode == "remote":
        return _prove_remote(prepared, ledger, story)
    try:
        done = _run_standalone(prepared, story)
    except NotProvedError as exc:
        _roll_back(prepared, ledger, before or prepared.observed.ledger, exc, story)
    State(prepared.node.paths).save(as_proved(ledger))
    return done


def _run_standalone(prepared: Prepared, story: Story) -> Done:
    node = prepared.node
    target = _target(prepared.composition)
    return _start_and_prove(
        node,
        prepared.node_settings.log_level,
        target,
        prepared.observed.running,
        prepared.plan.bounce.verdict,
        story,
        lambda: _checks(prepared),
    )


def _target(composition: Composition) -> Target:
    profile = composition.profile.values if composition.profile else {}
    return Target(
        composition.handlers,
        composition.effective,
        composition.schema,
        str(profile.get("cgroupDriver", "")),
    )


def _checks(prepared: Prepared) -> Checks:
    from k0sruntime.verify import provider_checks

    counting = _counting(prepared)
    nodes = {
        record.name: for_provider(prepared.node, record.name, prepared.settings)
        for record in prepared.collected.records
        if record.name in counting and "post_start_check" in record.hooks
    }
    return provider_checks(prepared.discovered.hooks, nodes)


def _counting(prepared: Prepared) -> set[str]:
    """Return the providers whose contributions count: another runtime reads no drop-ins."""
    active = {record.name for record in prepared.collected.records if record.state == "active"}
    if prepared.composition.mode != "remote":
        return active
    collected = prepared.collected
    owners = [item.owner for item in collected.sockets]
    owners += [item.owner for item in collected.profiles]
    return active & {owner.provider for owner in owners}


def _start_and_prove(
    node: Node[Any],
    log_level: str,
    target: Target,
    running: Running | None,
    verdict: str,
    story: Story,
    checks: Callable[[], Checks] = list,
) -> Done:
    """Start, bounce or keep containerd as the plan says, then run the proof.

    Raises:
        NotProvedError: it did not come up, or a layer of the proof failed.
    """
    notes: list[str] = []
    with story.stage("run") as tell:
        if running is not None and verdict == "bounce":
            standalone.stop(node.paths, running)
        if running is None or verdict == "bounce":
            running = _start(node, log_level, target.effective)
            notes += images.import_bundles(node)
        ran: Ran = {"start": "started", "bounce": "bounced"}.get(verdict, "adopted")  # type: ignore[assignment]
        tell(f"containerd {running.version} {ran}, PID {running.pid}")
    with story.stage("verify") as tell:
        proofs = _prove(node, target, checks())
        tell(summary(proofs))
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    running = replace(running, proofs=to_records(proofs, now))
    State(node.paths).record_running(running)
    return Done(ran, running, tuple(proofs), tuple(notes))


def summary(proofs: Sequence[Proven]) -> str:
    """Return the verdicts counted, in words."""
    counts = dict.fromkeys(("pass", "warn", "unknown", "fail"), 0)
    for proof in proofs:
        counts[proof.check.verdict] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def _start(node: Node[Any], log_level: str, effective: Mapping[str, Any]) -> Running:
    offset = standalone.log_size(node.paths)
    started = standalone.start(node, log_level, effective)
    from k0sruntime.cri import CRI  # a tenth of a second, spent while containerd boots

    with CRI(node.paths.socket) as cri:
        try:
            cri.wait(READY_SECONDS, lambda: started.process.poll() is None)
        except CRIError as exc:
            raise NotProvedError([_not_up(node.paths, exc, offset)]) from exc
    return started.running


def _not_up(paths: Paths, error: CRIError, offset: int) -> Problem:
    message = {
        "UNIMPLEMENTED": "containerd runs, and its CRI plugin did not load",
        "ABORTED": "containerd ended as soon as it was started",
    }.get(error.code, f"containerd's CRI did not come up: {error}")
    reason = standalone.why(paths, offset)
    return Problem(
        f"{message}: {reason}" if reason else message,
        place=standalone.log_path(paths),
        remedy="Correct the key or file that the reason names; k0sruntime lint may know more.",
    )


def _prove(
    node: Node[Any],
    target: Target,
    checks: Checks,
    socket: str = "",
) -> list[Proven]:
    from k0sruntime.cri import CRI
    from k0sruntime.verify import verify

    with CRI(socket or node.paths.socket) as cri:
        proofs = verify(target, node, cri, checks)
    failed = failures(proofs)
    if failed:
        raise NotProvedError([failed_problem(proof) for proof in failed])
    return proofs


def failed_problem(proof: Proven) -> Problem:
    """Return a failed verdict as a problem for the screen."""
    what = f"{proof.check.name} of handler {proof.handler!r}" if proof.handler else proof.check.name
    return Problem(
        f"the proof failed: {what}: {proof.check.detail}",
        place=f"handler {proof.handler}" if proof.handler else "the running CRI",
        culprit=f"provider {proof.provider}"
        if not proof.provider.startswith("/")
        else proof.provider,
        remedy=proof.check.remedy or "Correct its settings, or leave it out with --without.",
    )


def prove_again(prepared: Prepared, story: Story) -> Done:
    """Run the proof on what runs, and change nothing.

    Raises:
        VerifyFailedError: a layer fails, or nothing of ours runs.
    """
    running = prepared.observed.running
    if prepared.composition.mode == "standalone" and running is None:
        raise VerifyFailedError(
            Problem(
                "no containerd of ours is running",
                place=prepared.node.paths.socket,
                remedy="Start it: k0sruntime up",
            )
        )
    socket = prepared.composition.socket
    composition = prepared.composition
    target = _target(composition)
    with story.stage("verify") as tell:
        try:
            where = socket.path if socket else prepared.node.paths.socket
            proofs = _prove(prepared.node, target, _checks(prepared), where)
        except NotProvedError as exc:
            raise VerifyFailedError(*exc.problems) from exc
        tell(summary(proofs))
    return Done(running=running, proofs=tuple(proofs))


def _roll_back(
    prepared: Prepared, ledger: Ledger, before: Ledger, failure: NotProvedError, story: Story
) -> NoReturn:
    """Put the last generation back, run it, prove it, and say so; always raises."""
    paths, state = prepared.node.paths, State(prepared.node.paths)
    was_running = prepared.observed.running
    story.say(f"going back to generation {before.generation}: {failure.problems[0].message}")
    try:
        with story.stage("roll back") as tell:
            now = state.running()
            if now is not None:
                standalone.stop(paths, now)
            apply_.go_back(before, paths, state, ledger)
            tell(f"the files of generation {before.generation} are back")
        if was_running is not None:
            _start_and_prove(
                prepared.node,
                prepared.node_settings.log_level,
                _target(on_disk.composed(prepared.node, before)),
                None,
                "start",
                story,
            )
    except Exception as exc:
        problems = getattr(exc, "problems", None) or [Problem(f"{type(exc).__name__}: {exc}")]
        hands = Problem(
            "the way back failed as well: hands are needed",
            place=paths.state,
            remedy="Mend the cause, then run k0sruntime rollback or up.",
        )
        raise RollbackFailedError(hands, *problems, *failure.problems) from exc
    back = (
        f"generation {before.generation} is back and proved"
        if was_running
        else "the node is as it was before, without a running containerd"
    )
    raise RolledBackError(Problem(f"rolled back: {back}"), *failure.problems) from failure


def _prove_remote(prepared: Prepared, ledger: Ledger, story: Story) -> Done:
    """Prove another runtime's socket: it speaks CRI, is ready, and the providers' checks pass."""
    done = prove_again(prepared, story)
    State(prepared.node.paths).save(as_proved(ledger))
    return done


def stop(paths: Paths, observed: Observed, story: Story, *, pods: bool) -> Done:
    """Stop the containerd that we started; with ``pods`` also what runs in it."""
    if observed.running is None:
        return Done()
    notes = []
    left = _pods(paths, remove=pods, story=story)
    if left:
        notes.append(f"{left} pods live on without containerd; the next up takes them over")
    _stop(paths, observed.running, story)
    return Done("stopped", notes=tuple(notes))


def _stop(paths: Paths, running: Running, story: Story) -> None:
    with story.stage("stop") as tell:
        standalone.stop(paths, running)
        tell(f"containerd, PID {running.pid}")


def _pods(paths: Paths, *, remove: bool, story: Story) -> int:
    from k0sruntime.cri import CRI

    try:
        with CRI(paths.socket) as cri:
            found = cri.pods()
            if not remove or not found:
                return len(found)
            with story.stage("pods") as tell:
                for pod, _, _ in found:
                    cri.remove_pod(pod)
                tell(f"{len(found)} stopped and removed")
            return 0
    except CRIError as exc:
        story.say(f"the pods cannot be listed: {exc}")
        return 0
