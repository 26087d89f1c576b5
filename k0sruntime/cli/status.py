"""``k0sruntime status``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime import documents
    from k0sruntime.errors import K0sRuntimeError, Problem
    from k0sruntime.last_good import Held
    from k0sruntime.node import GPU
    from k0sruntime.plan import Ledger, Running
    from k0sruntime.restore import Programs
    from k0sruntime.stages import Prepared, Request
    from k0sruntime.supervisor import Supervisor


@dataclass(frozen=True)
class Seen:
    """Everything that ``status`` tells."""

    ledger: Ledger
    generations: tuple[tuple[Ledger, Programs], ...]
    running: Running | None
    supervisor: Supervisor | None
    held: Held | None
    unfinished: bool
    quarantined: tuple[str, ...] = ()
    prepared: Prepared | None = None
    refused: K0sRuntimeError | None = None

    def changes(self, action: str) -> list[str]:
        """Return the paths to which something of this kind would happen."""
        changes = self.prepared.plan.changes if self.prepared else ()
        return [change.path for change in changes if change.action == action]

    def foreign(self) -> list[str]:
        """Return the files of other hands that containerd loads."""
        layers = self.prepared.composition.layers if self.prepared else ()
        return [layer.path for layer in layers if layer.foreign]


@click.command(name="status")
@node_options
@json_option
def command(*, as_json: bool, **options: Any) -> int:
    """Show what runs, what is owned, and what the last proof said. Changes nothing.

    What runs and what is ours is shown even where the settings or a drop-in are refused; the
    exit code then is that of the refusal.
    """
    seen = _look(request(**options))
    click.echo(_document(seen) if as_json else "\n".join(_lines(seen)))
    return int(seen.refused.exit_code) if seen.refused else 0


def _look(asked: Request) -> Seen:
    from dataclasses import replace

    from k0sruntime import (
        last_good,
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

    state = State(asked.paths)
    known = [state.generation(number) for number in state.generations()]
    cache = provide.cache_folder(asked, own_settings.bare_settings(asked))
    seen = Seen(
        observe.owned(asked.paths),
        tuple((g, restore.programs(g, asked.paths, cache)) for g in known if g),
        processes.running(asked.paths),
        supervisor.recorded(asked.paths),
        last_good.held(asked.paths),
        transaction.unfinished(asked.paths),
        observe.quarantined(asked.paths),
    )
    try:
        return replace(seen, prepared=pipeline.prepare(asked, Silent()))
    except K0sRuntimeError as exc:
        return replace(seen, refused=exc)


def _document(seen: Seen) -> str:
    from k0sruntime import documents, report

    prepared, supervisor, held = seen.prepared, seen.supervisor, seen.held
    refused = seen.refused.problems if seen.refused else ()
    return documents.dumps(
        documents.Status(
            mode=prepared.composition.mode if prepared else None,
            generation=seen.ledger.generation,
            proved=seen.ledger.proved,
            generations=[
                documents.Generation(generation=g.generation, proved=g.proved, programs=programs)
                for g, programs in seen.generations
            ],
            gpus=[documents.GPU(**gpu._asdict()) for gpu in prepared.node.gpus] if prepared else [],
            running=report.running_document(seen.running),
            supervisor=documents.Supervisor(**asdict(supervisor), alive=supervisor.alive)
            if supervisor
            else None,
            held=documents.Held(at=held.at, problems=_problems(held.problems)) if held else None,
            owned=sorted(seen.ledger.files),
            foreign=seen.foreign(),
            quarantined=list(seen.quarantined),
            drift=seen.changes("drift"),
            pending=not prepared.plan.empty if prepared else None,
            unfinished=seen.unfinished,
            proofs=report.proof_documents(seen.running.proofs if seen.running else ()),
            problems=_problems(refused),
        )
    )


def _problems(problems: Iterable[Problem]) -> list[documents.Problem]:
    from k0sruntime import documents

    return [documents.Problem(**asdict(problem)) for problem in problems]


def _lines(seen: Seen) -> Iterable[str]:
    from k0sruntime import report
    from k0sruntime.cli import render_error
    from k0sruntime.proof import from_records

    prepared, running = seen.prepared, seen.running
    mode = prepared.composition.mode if prepared else "refused"
    state = (
        f"containerd {running.version}, PID {running.pid}" if running else "no containerd of ours"
    )
    yield f"{mode}: {state}, generation {seen.ledger.generation}"
    if prepared is None or prepared.composition.mode == "standalone":
        yield from _supervisor(seen.supervisor)
    yield from (f"  gpu      {_gpu(gpu)}" for gpu in (prepared.node.gpus if prepared else ()))
    yield from (
        f"  ours     {path}  [{owned.owner}]" for path, owned in sorted(seen.ledger.files.items())
    )
    yield from (f"  foreign  {path}" for path in seen.foreign())
    yield from (
        f"  kept     {path}: the original of another hand's file" for path in seen.quarantined
    )
    yield from (f"  drift    {path}: somebody edited it" for path in seen.changes("drift"))
    yield from _generations(seen)
    if running and prepared:
        proofs = from_records(running.proofs)
        yield from ("", *report.handler_table(prepared.composition, proofs))
        yield from report.other_proofs(p for p in proofs if p.provider != "node")
    if seen.unfinished:
        yield "An apply was killed half-way; the next up undoes it first."
    if seen.held:
        yield f"Since {seen.held.at} the node is held on its last good configuration:"
        yield from (line for problem in seen.held.problems for line in problem.lines())
    if prepared and not prepared.plan.empty:
        yield "Changes are pending: see k0sruntime plan."
    if seen.refused:
        yield "What runs keeps running, but the next up would refuse:"
        yield render_error.text(seen.refused)


def _gpu(gpu: GPU) -> str:
    driver = f"{gpu.driver} {gpu.driver_version}".strip() or "no driver"
    return f"{gpu.address}  vendor {gpu.vendor:04x}, class {gpu.device_class:04x}, {driver}"


def _supervisor(found: Supervisor | None) -> Iterator[str]:
    if found is not None and found.alive:
        yield f"supervisor: PID {found.pid}" + (", detached" if found.detached else "")
    elif found is not None and found.gave_up:
        yield f"supervisor: gave up: {found.gave_up}"
    elif found is not None:
        yield f"supervisor: PID {found.pid} is gone; k0sruntime up leaves a new one behind"
    else:
        yield "supervisor: none; containerd is not started again when it ends"


PROGRAMS: Mapping[Programs, str] = {
    "installed": "",
    "cached": "; rollback installs its programs again",
    "gone": "; its programs were removed and are not in the cache",
}


def _generations(seen: Seen) -> Iterator[str]:
    for generation, programs in seen.generations[-5:]:
        present = ", present" if generation.generation == seen.ledger.generation else ""
        state = ("proved" if generation.proved else "not proved") + present + PROGRAMS[programs]
        yield f"  generation {generation.generation}: {len(generation.files)} files, {state}"
