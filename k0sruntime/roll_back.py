"""The way back from a change that failed its proof: old files, then the old containerd proved.

Files of other hands are never written, so what they broke stays where it lies; containerd then
starts from its last good configuration instead of the files in place.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from k0sruntime import apply as apply_
from k0sruntime import counts, last_good, on_disk
from k0sruntime.bounce import start_and_prove
from k0sruntime.clock import now
from k0sruntime.deferred import deferred
from k0sruntime.errors import K0sRuntimeError, Problem, RollbackFailedError, RolledBackError
from k0sruntime.ledger import State
from k0sruntime.modes import managed, remote, standalone
from k0sruntime.node import Program, Version
from k0sruntime.plan import Ledger
from k0sruntime.processes import identity
from k0sruntime.prove import prove, summary, target_of
from k0sruntime.rolled_back import RolledBack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.last_good import LastGood
    from k0sruntime.node import Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Running
    from k0sruntime.prove import NotProvedError
    from k0sruntime.stages import Prepared, Story


def roll_back(
    prepared: Prepared, ledger: Ledger, before: Ledger, failure: NotProvedError, story: Story
) -> NoReturn:
    """Put the last generation back, run it, prove it, and say so; always raises.

    Args:
        prepared: what was composed, and what ran before.
        ledger: the generation that failed.
        before: the generation to go back to.
        failure: why.
        story: told of every step.

    Raises:
        RolledBackError: the old state is back and proved.
        RollbackFailedError: it is not; hands are needed.
    """
    if prepared.composition.mode == "standalone":
        before = _last_proved(State(prepared.node.paths), before)
    story.say(f"going back to generation {before.generation}: {failure.problems[0].message}")
    _record(prepared.node.paths, ledger, before, failure)
    ways = {"managed": _managed, "remote": _remote}
    way = ways.get(prepared.composition.mode, _standalone)
    try:
        with deferred():  # from the stop of what failed to the proof of what was
            back = way(prepared, ledger, before, story)
    except Exception as exc:
        problems = getattr(exc, "problems", None) or [Problem(f"{type(exc).__name__}: {exc}")]
        hands = Problem(
            "the way back failed as well: hands are needed",
            place=prepared.node.paths.state,
            remedy="Mend the cause, then run k0sruntime rollback or up.",
        )
        raise RollbackFailedError(hands, *problems, *failure.problems) from exc
    raise RolledBackError(Problem(f"rolled back: {back}"), *failure.problems) from failure


def _record(paths: Paths, ledger: Ledger, before: Ledger, failure: NotProvedError) -> None:
    """Record why a generation is given up; a disk that is full must not stop the way back.

    Where files of other hands failed the proof there is no generation to blame.
    """
    at = now()
    counts.add(paths, roll_backs=1, at=at)
    if ledger.generation == before.generation:
        return
    reasons = tuple(problem.message for problem in failure.problems)
    told = RolledBack(at, before.generation, reasons)
    with contextlib.suppress(OSError):
        State(paths).record_generation(replace(ledger, rolled_back=told))


def _last_proved(state: State, before: Ledger) -> Ledger:
    """Return the generation itself, or the last proved one before it; else the empty node.

    One that was never proved is no way back: ``up`` may have been killed before its proof.
    """
    if before.proved:
        return before
    for number in reversed(state.generations()):
        found = state.generation(number) if number <= before.generation else None
        if found is not None and found.proved:
            return found
    return Ledger()


def _files(prepared: Prepared, ledger: Ledger, before: Ledger, story: Story) -> None:
    paths, state = prepared.node.paths, State(prepared.node.paths)
    derived: Mapping[str, bytes] = {}
    with contextlib.suppress(K0sRuntimeError):  # then the files of that generation as they were
        derived = on_disk.derived(on_disk.with_generation(prepared.node, before, ledger, state))
    with story.stage("roll back") as tell:
        apply_.go_back(before, paths, state, ledger, derived)
        tell(f"the files of generation {before.generation} are back")


def _standalone(prepared: Prepared, ledger: Ledger, before: Ledger, story: Story) -> str:
    paths, state = prepared.node.paths, State(prepared.node.paths)
    running = state.running()
    if running is not None:
        standalone.stop(paths, running)
        counts.add(paths, bounces=1)
    _files(prepared, ledger, before, story)
    was = prepared.observed.running
    if last_good.load(paths) is None and (was is None or not was.proofs):
        return "the node is as it was before, without a running containerd"
    node = _with_old_containerd(prepared.node, was)
    held = start_last_good(node, prepared.node_settings, before, story)
    if held:
        return f"generation {before.generation} is back; {HELD}"
    return f"generation {before.generation} is back and proved"


HELD = "containerd runs on its last good configuration, proved, without what the files say now"


def _with_old_containerd(node: Node[Any], was: Running | None) -> Node[Any]:
    """Return the node with the containerd that ran before, if it is still installed."""
    path = was.binary.split(" ")[0] if was else ""
    version = Version.parse(was.version) if was else None
    if was is None or version is None or was.binary != identity(path):
        return node
    return replace(node, containerd=Program(path, version))


def start_last_good(node: Node[Any], settings: NodeSettings, ledger: Ledger, story: Story) -> bool:
    """Start containerd with what was last proved, and prove it again.

    It starts from the files in place where they come to the same, and from the kept copy where
    they do not. Tells whether the copy was needed.

    Raises:
        NotProvedError: that fails as well.
        K0sRuntimeError: nothing was ever proved, and the files in place are refused.
    """
    good = last_good.load(node.paths)
    try:
        composition = on_disk.composed(node, ledger)
    except K0sRuntimeError:
        if good is None:
            raise
        composition = None
    if good is None or (composition is not None and _same(good, composition, node)):
        assert composition is not None  # noqa: S101 - for the types: one of the two is there
        start_and_prove(node, settings, target_of(composition), None, "start", story)
        return False
    story.say("the files in place are not those that were proved: starting from the kept copy")
    config = last_good.lay_out(node.paths, good)
    start_and_prove(node, settings, good.target, None, "start", story, config=config)
    return True


def _same(good: LastGood, composition: Composition, node: Node[Any]) -> bool:
    return not good.differs(composition) and on_disk.in_place(composition, node)


def _managed(prepared: Prepared, ledger: Ledger, before: Ledger, story: Story) -> str:
    node = prepared.node
    watched = managed.Watched.now(node.paths)
    _files(prepared, ledger, before, story)
    if watched.touched():
        managed.wait(node, managed.ticks(), prepared.node_settings.bounce_seconds, story)
        counts.add(node.paths, bounces=1)
    with story.stage("verify") as tell:
        proofs = prove(node, target_of(on_disk.composed(node, before)))
        tell(summary(proofs))
    return f"generation {before.generation} is back, k0s runs it, and it is proved"


def _remote(prepared: Prepared, ledger: Ledger, before: Ledger, story: Story) -> str:
    """Put the files back; what ran before was not stopped."""
    _files(prepared, ledger, before, story)
    for note in remote.reload_owed(prepared.node.paths):
        story.say(note)
    return f"generation {before.generation} is back, and what ran before runs on"
