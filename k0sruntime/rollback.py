"""Going back to a generation on request: the pipeline from compose on, without any provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import apply as apply_
from k0sruntime import last_good, on_disk, restore, settings_file, supervisor
from k0sruntime.bounce import Done
from k0sruntime.collect import Collected
from k0sruntime.discovery import Discovered
from k0sruntime.hooks import Hooks
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.observe import observe
from k0sruntime.own_settings import bare_node
from k0sruntime.pipeline import composed_words
from k0sruntime.plan import keeps, plan
from k0sruntime.recover import recover
from k0sruntime.stages import Outcome, Prepared

if TYPE_CHECKING:
    from k0sruntime.compose import Composition
    from k0sruntime.node import Mode, Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.plan import Ledger
    from k0sruntime.stages import Request, Story


def rollback(request: Request, story: Story, generation: int | None) -> Outcome:
    """Put an earlier generation back, run it and prove it; asks no provider.

    Raises:
        RefusedError: there is no such generation, or the node cannot live with it; nothing was
            written.
        RolledBackError: it is not proved any more, and the present one is back.
    """
    from k0sruntime import gate, run
    from k0sruntime.modes import log, managed

    with locked(request.paths, request.lock_timeout, story.say):
        recover(request.paths, story)
        state = State(request.paths)
        present = state.ledger()
        wanted = apply_.generation(generation or apply_.last_proved(state, present), state)
        if (back := settings_file.come_back(request.paths, wanted)) is not None:
            request = replace(request, given=back)
        node, own = bare_node(replace(request, mode=request.mode or _mode(wanted)))
        restore.restore(request, wanted, node, own, story)
        with story.stage("compose") as tell:
            prepared = _prepare_from(request, node, own, wanted, present, state)
            gate.refuse(prepared.composition, prepared.node)
            tell(composed_words(prepared.composition))
        checked = None
        if request.start and prepared.composition.mode == "remote":
            checked = run.before_another(prepared, story)
        watched = managed.Watched.now(request.paths)
        wanted = _with_kept(wanted, present, prepared.composition)
        with settings_file.going_back(request.paths, wanted) as settings_back:
            with story.stage("apply") as tell:
                derived = on_disk.derived(prepared.composition)
                after = apply_.go_back(wanted, request.paths, state, present, derived)
                tell(f"the files of generation {wanted.generation} are back")
            done = Done()
            if request.start:
                done = run.run_and_prove(prepared, after, story, watched, present, checked)
            notes = settings_back()
        stays = prepared.composition.mode == "remote" and prepared.composition.stays
        if request.start and not stays:
            last_good.release(request.paths)
    stays_with = supervisor.present(request.paths) if done.running else None
    return Outcome(
        prepared.plan,
        prepared.composition,
        (),
        wanted.generation,
        True,
        done.ran,
        done.running,
        done.proofs,
        (*notes, *done.notes),
        present.generation,
        supervisor=stays_with.pid if stays_with else 0,
        log=log.place_of(request.paths, own.log) if done.running else "",
    )


def _mode(wanted: Ledger) -> Mode | None:
    """Return the mode of a generation; another runtime's comes of its socket."""
    return None if wanted.cri.socket else wanted.cri.mode


def _with_kept(wanted: Ledger, present: Ledger, composition: Composition) -> Ledger:
    """Add what stays of the present generation, for k0s is still on the CRI that is left."""
    kept = {p: owned for p, owned in present.files.items() if keeps(composition, owned)}
    if not kept:
        return wanted
    classes = {**present.runtime_classes, **wanted.runtime_classes}
    programs = {**present.programs, **wanted.programs}
    files = {**kept, **wanted.files}
    return replace(wanted, files=files, programs=programs, runtime_classes=classes)


def _prepare_from(
    request: Request,
    node: Node[Any],
    own: NodeSettings,
    wanted: Ledger,
    present: Ledger,
    state: State,
) -> Prepared:
    """Compose a generation with the files of other hands as they lie there now."""
    composition = on_disk.with_generation(node, wanted, present, state)
    observed = observe(composition, request.paths, present, node.containerd)
    planned = plan(composition, observed)
    settings = {"node": own}
    discovered = Discovered((), Hooks())
    return Prepared(discovered, settings, node, Collected(), composition, observed, planned)
