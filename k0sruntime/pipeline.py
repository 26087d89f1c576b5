"""The program on one screen: discover → collect → compose → plan → apply → run → verify.

A stage takes the value of the one before and returns the next. Only ``up`` and ``down`` go past
the plan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import apply as apply_
from k0sruntime import (
    inputs,
    k0s_install,
    last_good,
    processes,
    provide,
    request_record,
    sandbox,
    service,
    settings_file,
    supervised,
)
from k0sruntime.collect import asked, collect, provider_settings, refuse_broken, with_broken
from k0sruntime.compose import Composition, compose, k0s
from k0sruntime.compose.foreign import foreign_files
from k0sruntime.discovery import discover
from k0sruntime.errors import K0sRuntimeError, Problem
from k0sruntime.facts import ask_programs, observe_node
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.observe import existing, foreign_here, observe, owned
from k0sruntime.own_settings import asked_mode, bare_node, bare_settings, chosen, node_settings
from k0sruntime.plan import plan, refuse_other_hands
from k0sruntime.precedence import refuse_socket, settle, settle_each
from k0sruntime.proof import from_records
from k0sruntime.real_files import RealFiles
from k0sruntime.recover import recover
from k0sruntime.settings_source import settings_of
from k0sruntime.stages import Outcome, Prepared, Request, Story

if TYPE_CHECKING:
    from k0sruntime.collect import Answers
    from k0sruntime.records import Record


def prepare(request: Request, story: Story) -> Prepared:
    """Run the stages that change nothing: discover, collect, compose, plan."""
    with story.stage("discover") as tell:
        file = settings_of(request)
        own = node_settings(file, request)
        programs = ask_programs(request.paths, own)  # they answer while we discover
        discovered = discover(chosen(request, own))
        for note in discovered.notes:
            story.say(note)
        refuse_broken(discovered.records)
        ledger = owned(request.paths)
        settings = {**provider_settings(discovered, file, ledger.owners()), "node": own}
        tell(f"{len(discovered.usable())} of {len(discovered.records)} providers")
    with story.stage("collect") as tell:
        found = existing(request.paths, ledger).instead(request.paths, request.instead)
        node = observe_node(request.paths, own, programs, request.mode)
        node = replace(node, foreign=foreign_files(found, request.paths))
        node = request.upgrade.of(node) if request.upgrade else node
        collected, notes = settle(collect(discovered, node, settings), own.prefer)
        refuse_socket(collected, asked_mode(request, own))
        for note in notes:
            story.say(note)
        active = [r.name for r in collected.records if r.state == "active"]
        tell(f"active: {', '.join(active)}")
    with story.stage("compose") as tell:
        composition = compose(node, collected, found)
        tell(composed_words(composition))
    with story.stage("plan") as tell:
        observed = observe(composition, request.paths, ledger, node.containerd)
        planned = plan(composition, observed, force=request.force)
        managed = composition.mode == "managed"  # then k0s bounces, and the verdict is none
        verdict = f"{'' if managed else f'{planned.bounce.verdict}: '}{planned.bounce.reason}"
        tell(f"{len(planned.pending())} files change; {verdict}")
    return Prepared(
        discovered,
        settings,
        node,
        collected,
        composition,
        observed,
        planned,
        file.data,
        inputs.of(found, request.paths),
    )


def survey(request: Request, story: Story) -> tuple[tuple[Record, Answers], ...]:
    """Return all providers with their state on this node and what they contribute to it.

    Broken ones are among them.
    """
    file = settings_of(request)
    own = node_settings(file, request)
    programs = ask_programs(request.paths, own)
    discovered = discover(chosen(request, own))
    for note in discovered.notes:
        story.say(note)
    owners, broken = owned(request.paths).owners(), dict[str, Problem]()
    settings = {**provider_settings(discovered, file, owners, broken), "node": own}
    node = observe_node(request.paths, own, programs, request.mode)
    node = replace(node, foreign=foreign_here(request.paths))
    records = with_broken(discovered, broken)
    found = [asked(discovered, record, node, settings) for record in records]
    return settle_each(found, own.prefer)


def verify(request: Request, story: Story) -> Outcome:
    """Run the last stage alone.

    Where the node is held back on its last good configuration, that is proved, and the error says
    what holds it back.

    Raises:
        VerifyFailedError: a layer fails, nothing of ours runs, or the node is held back.
    """
    from k0sruntime import run

    held = last_good.held(request.paths)
    try:
        prepared = prepare(request, story)
    except K0sRuntimeError as exc:
        if processes.running(request.paths) is None:
            raise
        raise run.prove_held(bare_node(request)[0], exc.problems, story) from exc
    if held is not None and prepared.observed.running is not None:
        raise run.prove_held(prepared.node, held.problems, story)
    done = run.prove_again(prepared, story)
    return Outcome(
        prepared.plan,
        prepared.composition,
        prepared.collected.records,
        prepared.observed.ledger.generation,
        running=done.running,
        proofs=done.proofs,
        notes=(*done.notes, *_left_over(prepared)),
    )


def _left_over(prepared: Prepared) -> tuple[str, ...]:
    """Tell what was kept for a CRI that k0s has left by now."""
    left = [c.path for c in prepared.plan.pending() if c.after is None or c.action == "restore"]
    if prepared.composition.mode != "remote" or not left:
        return ()
    more = f" and {len(left) - 1} more" if left[1:] else ""
    return (f"k0s has left its own containerd, and {left[0]}{more} is left over: k0sruntime up",)


def composed_words(composition: Composition) -> str:
    """Return a composition in a few words, for the story."""
    handlers = ", ".join(handler.name for handler in composition.handlers)
    text = f"{composition.mode}, schema {composition.schema}, {composition.scheme}"
    return f"{text}; handlers: {handlers}" if handlers else text


def up(request: Request, story: Story) -> Outcome:
    """Bring the node to what its providers and settings say, and prove it.

    Raises:
        K0sRuntimeError: refused with nothing written, or rolled back; see ``errors.py``.
    """
    with locked(request.paths, request.lock_timeout, story.say):
        return converge(request, story)


def converge(request: Request, story: Story) -> Outcome:
    """Do what ``up`` does; the caller holds the node's lock.

    Raises:
        K0sRuntimeError: as ``up``.
    """
    recover(request.paths, story)
    before = apply_.way_back(State(request.paths))
    try:
        prepared = prepare(request, story)
        refuse_other_hands(prepared.plan)
        _refuse_start(request, prepared)
        if request.apply_k0s:
            k0s_install.judge(prepared, story)
        prepared = provide.provide(request, prepared, story)
        with settings_file.brought(request, prepared) as arrive:
            if prepared.plan.empty and proved(prepared):
                outcome = adopt(prepared, story)
            else:
                outcome = change(request, prepared, story)
            notes = (*outcome.notes, *arrive())
        outcome = replace(outcome, before=before, notes=notes)
    except K0sRuntimeError:
        request = request.without_brought()
        supervised.ensure(request, bare_settings(request))  # whatever runs now is stayed with
        raise
    if prepared.composition.mode == "remote" and prepared.composition.stays:
        supervised.ensure(request, prepared.node_settings)  # what runs, runs on as it is
        return provide.tidied(request, prepared, outcome)
    if request.start:
        last_good.release(request.paths)
    if request.start and request.remember:
        request_record.save(request, prepared.inputs)
    outcome = provide.tidied(request, prepared, outcome)
    return supervised.stayed_with(request, prepared.node_settings, outcome)


def _refuse_start(request: Request, prepared: Prepared) -> None:
    """Stop before anything is written where our containerd could not be started or bounced."""
    if request.start and prepared.composition.mode == "standalone":
        from k0sruntime.modes import standalone

        to = prepared.node_settings.log
        standalone.refuse_start(request.paths, prepared.observed.running, to)


def proved(prepared: Prepared) -> bool:
    """Tell whether what runs has passed its proof, so that nothing is left to do."""
    if prepared.composition.mode != "standalone":  # what others run is asked every time
        return False
    running = prepared.observed.running
    return running is not None and bool(running.proofs)


def adopt(prepared: Prepared, story: Story) -> Outcome:
    """Take over what runs already: nothing changes, nothing is bounced.

    Raises:
        RefusedError: what other hands have done since would stop the next start.
    """
    from k0sruntime import gate

    told = gate.refuse(prepared.composition, prepared.node)
    running = prepared.observed.running
    with story.stage("run") as tell:
        tell(f"adopted PID {running.pid}: nothing to do" if running else "nothing to do")
    return Outcome(
        prepared.plan,
        prepared.composition,
        prepared.collected.records,
        prepared.observed.ledger.generation,
        ran="adopted" if running else "",
        running=running,
        proofs=from_records(running.proofs) if running else (),
        notes=told,
    )


def change(request: Request, prepared: Prepared, story: Story) -> Outcome:
    """Run the stages that change something: check, apply, run, verify."""
    from k0sruntime import config_check

    checked = None
    if request.start and prepared.composition.mode == "remote":
        from k0sruntime import run

        checked = run.before_another(prepared, story)
    with (
        story.stage("apply") as tell,
        config_check.begun(prepared.composition, prepared.node) as approve,
    ):
        from k0sruntime import gate, run  # while containerd reads a copy of the composition
        from k0sruntime.bounce import Done
        from k0sruntime.modes import managed

        told = gate.refuse(prepared.composition, prepared.node)
        told += gate.not_judged(prepared.composition, prepared.node)
        watched = managed.Watched.now(request.paths)
        known, text = prepared.observed.ledger, prepared.settings_text
        ledger = apply_.apply(prepared.plan, request.paths, known, approve, text)
        read = config_check.reads(prepared.composition, prepared.node)
        by = gate.judged_by(prepared.composition, prepared.node, read=read)
        tell(f"{by}; generation {ledger.generation}, {len(prepared.plan.pending())} files")
    done = Done()
    if request.start:
        done = run.run_and_prove(prepared, ledger, story, watched, checked=checked)
    return Outcome(
        prepared.plan,
        prepared.composition,
        prepared.collected.records,
        ledger.generation,
        bool(prepared.plan.pending()),
        done.ran,
        done.running,
        done.proofs,
        (*told, *done.notes),
    )


def down(request: Request, story: Story, *, pods: bool, purge: bool) -> Outcome:
    """Stop what we started and remove what we own, nothing else.

    The same pipeline with an empty desired state.
    """
    from k0sruntime import report, run
    from k0sruntime.modes import remote

    with locked(request.paths, request.lock_timeout, story.say):
        recover(request.paths, story)
        ledger = owned(request.paths)
        observed = observe(None, request.paths, ledger)
        planned = plan(NOTHING, observed, force=request.force)
        refuse_other_hands(planned)
        notes = run.take_pods(request.paths, observed, story, remove=pods)
        with story.stage("apply") as tell:
            apply_.apply(planned, request.paths, ledger)
            tell(report.taken_back_words(planned))
        notes += tuple(remote.reload_owed(request.paths))
        done = run.stop(request.paths, observed, story)
        last_good.forget(request.paths)
        notes += still_elsewhere(request)
        if purge and (unit := service.installed(RealFiles(request.paths))):
            notes += (f"{unit} is still installed: disable it, then remove it",)
        if purge:
            notes += provide.left_by_purge(bare_settings(request))
            with story.stage("purge") as tell:
                tell(sandbox.purge(request.paths))
    return Outcome(
        planned,
        None,
        (),
        planned.generation,
        bool(planned.pending()),
        done.ran,
        notes=(*notes, *done.notes),
    )


def still_elsewhere(request: Request) -> tuple[str, ...]:
    """Tell where k0s is still started with another CRI, and what ends that."""
    node, _ = bare_node(request)
    told = k0s.own_again(node, "managed", None, *State(request.paths).remembered_profile())
    if not told.words or not told.service:
        return ()
    head = f"k0s is still started with another CRI ({told.service.path or 'as it runs'})"
    return (f"{head}; back to its own: {' && '.join(told.lines)}",)


NOTHING = Composition("standalone", 3, "native")
"""The desired state of ``down``."""
