"""Sixth stage: run what was applied in its mode, prove it, and put the old state back if it fails.

This is where files and processes meet. The order never changes: files first, then one start, then
the proof; a failure goes back the same way and proves what it went back to.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import counts, gate, kubectl, last_good, next_start, supervisor
from k0sruntime.bounce import Done, start_and_prove
from k0sruntime.compose.k0s_unit import PROFILE
from k0sruntime.contributions import Check
from k0sruntime.errors import CRIError, Problem, VerifyFailedError
from k0sruntime.ledger import State, as_proved
from k0sruntime.modes import managed, remote, standalone
from k0sruntime.proof import Proven
from k0sruntime.prove import NotProvedError, checks_of, prove, summary, target_of, unfit
from k0sruntime.roll_back import roll_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from k0sruntime.modes.managed import Watched
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger, Observed, Running
    from k0sruntime.stages import Prepared, Story


def run_and_prove(
    prepared: Prepared,
    ledger: Ledger,
    story: Story,
    watched: Watched,
    before: Ledger | None = None,
    checked: Done | None = None,
) -> Done:
    """Run what was applied in its mode, and prove it.

    Args:
        prepared: what was composed, and what ran before.
        ledger: the generation that was applied.
        story: told of every step.
        watched: the drop-in folder before it was applied.
        before: the generation to go back to; by default the one that was observed.
        checked: the proof of a remote CRI from before anything was applied.

    Raises:
        RolledBackError: it failed, and the old state is back and proved.
        RollbackFailedError: it failed, and so did the way back.
        VerifyFailedError: a remote CRI does not pass; nothing there is ours to put back.
    """
    mode, paths = prepared.composition.mode, prepared.node.paths
    other = Done()
    if mode == "remote":  # our containerd is stopped only when the other one has passed
        other = checked or _run_remote(prepared, ledger, before, story)
    if prepared.plan.bounce.verdict == "stop" and prepared.observed.running:
        gone = _send_supervisor_away(paths)
        _stop(paths, prepared.observed.running, story)
        last_good.forget(paths)
        other = replace(other, ran="stopped", notes=(*other.notes, *gone))
    if mode == "remote":
        return _remember(prepared, ledger, other)
    for note in remote.reload_owed(paths):
        story.say(note)
    try:
        if mode == "managed":
            done = _run_managed(prepared, story, watched)
        else:
            done = _run_standalone(prepared, story)
    except NotProvedError as exc:
        roll_back(prepared, ledger, before or prepared.observed.ledger, exc, story)
    if done.proofs:
        State(paths).save(as_proved(ledger))
        with contextlib.suppress(OSError):  # what is not needed may stay
            State(paths).prune()
    if mode == "standalone":
        last_good.save(paths, prepared.composition, target_of(prepared.composition))
    return done


def _run_standalone(prepared: Prepared, story: Story) -> Done:
    return start_and_prove(
        prepared.node,
        prepared.node_settings,
        target_of(prepared.composition),
        prepared.observed.running,
        prepared.plan.bounce.verdict,
        story,
        lambda: checks_of(prepared),
    )


def _run_managed(prepared: Prepared, story: Story, watched: Watched) -> Done:
    """Wait for k0s to bounce its containerd, and prove it; say so where k0s does not run."""
    node, composition = prepared.node, prepared.composition
    notes = next_start.warnings(node, composition)
    reason = _not_proved(node, watched)
    if reason:
        return Done(notes=(reason, *notes))
    if watched.touched():
        managed.wait(node, managed.ticks(), prepared.node_settings.bounce_seconds, story)
        counts.add(node.paths, bounces=1)
    else:
        managed.settle(node, prepared.node_settings.bounce_seconds, story)
    with story.stage("verify") as tell:
        proofs = prove(node, target_of(composition), checks_of(prepared))
        tell(summary(proofs))
    return Done(proofs=tuple(proofs), notes=notes)


def _not_proved(node: Node[Any], watched: Watched) -> str:
    """Return why nothing can be proved now, or nothing."""
    service = node.k0s_service
    if service is None:
        return "k0s is not running: the files are right, and it loads them when it starts"
    if socket := service.flag("--cri-socket"):
        return (
            f"k0s runs with --cri-socket={socket}: it starts no containerd and reads no drop-ins,"
            " until it is started without"
        )
    if watched.touched() and not watched.there:
        return (
            f"k0s did not watch {node.paths.dropins}, which was not there:"
            " restart k0s, and it loads what was written; then k0sruntime verify"
        )
    return ""


def prove_again(prepared: Prepared, story: Story) -> Done:
    """Run the proof on what runs, and change nothing.

    Raises:
        VerifyFailedError: a layer fails, or nothing of ours runs.
    """
    running, composition = prepared.observed.running, prepared.composition
    if composition.mode == "standalone" and running is None:
        raise VerifyFailedError(
            Problem(
                prepared.observed.gone or "no containerd of ours is running",
                place=prepared.node.paths.socket,
                remedy="Start it: k0sruntime up",
            )
        )
    socket = composition.socket
    if composition.mode == "managed":
        managed.settle(prepared.node, prepared.node_settings.bounce_seconds, story)
    with story.stage("verify") as tell:
        try:
            where = socket.path if socket else ""
            checks, owner = checks_of(prepared), _who_named(prepared)
            proofs = prove(prepared.node, target_of(composition), checks, where, owner)
        except NotProvedError as exc:
            raise VerifyFailedError(*exc.problems) from exc
        if socket:
            proofs += reported(prepared.node, proofs)
        tell(summary(proofs))
    notes = next_start.warnings(prepared.node, composition)
    ours = running if composition.mode == "standalone" else None
    return Done(running=ours, proofs=tuple(proofs), notes=notes)


def _who_named(prepared: Prepared) -> str:
    """Return who named the socket of another runtime."""
    owners = [item.owner for item in prepared.collected.sockets]
    if owners and owners[0].provider == "node":
        return "[node] cri_socket, or --cri-socket"
    return str(owners[0]) if owners else ""


def reported(node: Node[Any], proofs: Sequence[Proven]) -> list[Proven]:
    """Hold what the cluster says of this node's runtime against what answers on the socket.

    Until k0s was told and started anew that is another one, which is no fault of the socket's.
    """
    found, why = kubectl.reported_runtime(node)
    if not found and not why:
        return []  # no kubeconfig is at hand
    answers = next(proof.check.detail for proof in proofs if proof.check.name == "CRI answers")
    wanted = "://".join(answers.split(" ", 1))
    same = found == wanted or found.startswith(f"{wanted}+")
    check = Check(
        name="the cluster's view of the node",
        verdict="pass" if same else "warn" if found else "unknown",
        detail=found if same else f"{found}, not {wanted} yet" if found else why,
        remedy="" if same else "Run the k0s install that is printed, and restart k0s.",
    )
    return [Proven("node", check)]


def prove_held(node: Node[Any], problems: Sequence[Problem], story: Story) -> VerifyFailedError:
    """Prove what a node that is held back runs; return the error that ``verify`` ends with."""
    good = last_good.load(node.paths)
    held = Problem(
        "the node is held back on its last good configuration, which passes its proof",
        place=node.paths.dropins,
        remedy="Correct what is told below, then run k0sruntime up.",
    )
    if good is None:
        return VerifyFailedError(*problems)
    with story.stage("verify") as tell:
        try:
            tell(summary(prove(node, good.target)))
        except NotProvedError as exc:
            return VerifyFailedError(*exc.problems, *problems)
    return VerifyFailedError(held, *problems)


def before_another(prepared: Prepared, story: Story) -> Done | None:
    """Check another runtime before anything is written for it; return its proof, if there is one.

    Where files of that runtime are edited first, only the socket itself can be judged now; then
    ``None`` is returned, and the proof comes after.

    Raises:
        VerifyFailedError: it does not pass; nothing was changed.
        RefusedError: a file would not be taken, or one that is left over would stop k0s.
    """
    gate.refuse(prepared.composition, prepared.node)
    remote.refuse(prepared.composition.files)
    if not any(change.edited or change.reload for change in prepared.plan.pending()):
        return _prove_other(prepared, story)
    from k0sruntime.cri import CRI

    socket = prepared.composition.socket
    path = prepared.node.paths.on_disk(socket.path) if socket else ""
    with CRI(path) as cri:
        wrong = unfit(path, cri, _who_named(prepared))
    if wrong:
        raise VerifyFailedError(wrong)
    return None


def _run_remote(prepared: Prepared, ledger: Ledger, before: Ledger | None, story: Story) -> Done:
    """Let the other runtime read its file again, and prove it; its file goes back if that fails."""
    paths = prepared.node.paths
    notes = tuple(remote.reload_owed(paths))
    try:
        done = prove_again(prepared, story)
    except VerifyFailedError as exc:
        if not prepared.plan.pending():
            raise
        failure = NotProvedError(exc.problems)
        roll_back(prepared, ledger, before or prepared.observed.ledger, failure, story)
    return replace(done, notes=(*notes, *done.notes))


def _prove_other(prepared: Prepared, story: Story) -> Done:
    """Prove another runtime; one that may have missed that its file changed is told once more."""
    try:
        return prove_again(prepared, story)
    except VerifyFailedError:
        readers = [file.reload for file in prepared.composition.files if file.reload]
        if not readers:
            raise
        story.say("it may have missed its file: told to read it again")
        for note in remote.reload(readers, prepared.node.paths):
            story.say(note)
        return prove_again(prepared, story)


def _remember(prepared: Prepared, ledger: Ledger, done: Done) -> Done:
    """Record the generation as proved, and the worker profile that goes when this CRI goes."""
    state = State(prepared.node.paths)
    state.save(as_proved(ledger))
    if profile := prepared.composition.profile:
        service = prepared.composition.k0s_told.service
        named = service.flag(PROFILE) if service else ""
        known, own = state.remembered_profile()
        state.remember_profile(profile.name, own if named in (profile.name, known) else named)
    return done


def take_pods(paths: Paths, observed: Observed, story: Story, *, remove: bool) -> tuple[str, ...]:
    """Stop and remove what runs in our containerd, or say how much of it lives on."""
    left = _pods(paths, remove=remove, story=story) if observed.running else 0
    return (f"{left} pods live on without containerd; the next up takes them over",) * bool(left)


def stop(paths: Paths, observed: Observed, story: Story) -> Done:
    """Stop the containerd that we started, and the supervisor that would start it again."""
    notes = _send_supervisor_away(paths)
    if observed.running is None:
        return Done(notes=tuple(notes))
    _stop(paths, observed.running, story)
    return Done("stopped", notes=tuple(notes))


def _send_supervisor_away(paths: Paths) -> list[str]:
    """Send the supervisor away, which would start containerd again; return what to tell."""
    gone = supervisor.send_away(paths)
    if gone is None or gone.detached:
        return []
    return [f"the supervisor in the foreground, PID {gone.pid}, has left; stop its service as well"]


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
