"""``k0sruntime status``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import file_option, flag_option, json_option, node_options, request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime import documents
    from k0sruntime.errors import Problem
    from k0sruntime.node import GPU
    from k0sruntime.restore import Programs
    from k0sruntime.seen.look import Seen
    from k0sruntime.stages import Request
    from k0sruntime.supervisor import Supervisor


@click.command(name="status")
@node_options
@file_option(
    "--prometheus",
    allow_dash=True,
    variable="STATUS_PROMETHEUS",
    help="Write metrics to FILE.prom, for node-exporter's textfile collector; - prints them.",
)
@flag_option(
    "--watch",
    variable="STATUS_WATCH",
    help="Look again every two seconds, until Ctrl-C.",
)
@json_option
def command(*, prometheus: str | None, watch: bool, as_json: bool, **options: Any) -> int:
    """Show what runs, what is owned, and what the last proof said. Changes nothing.

    What runs and what is ours is shown even where the settings or a drop-in are refused; the
    exit code then is that of the refusal.
    """
    if watch and (as_json or prometheus):
        raise click.UsageError("--watch excludes --json and --prometheus.")
    asked = request(**options)
    if prometheus:
        return _metrics(asked, prometheus)
    from k0sruntime.seen.look import look

    if watch:
        from k0sruntime.cli.watch import watch as watching

        return watching(lambda: "\n".join(_lines(look(asked))))
    seen = look(asked)
    click.echo(_document(seen) if as_json else "\n".join(_lines(seen)))
    return int(seen.refused.exit_code) if seen.refused else 0


def _metrics(asked: Request, path: str) -> int:
    """Write the metrics at once: a collector sees the old file or the new one.

    Raises:
        UsageError: no collector would read a file of this name.
        RefusedError: there is no such folder, or the file system refuses.
    """
    import os

    from k0sruntime import seen
    from k0sruntime.durable import write_atomically
    from k0sruntime.refused import refused_io
    from k0sruntime.seen import metrics

    if path != "-":
        _refuse_unread(path)
    text = metrics.text(seen.this_node(asked))
    if path == "-":
        click.echo(text, nl=False)
        return 0
    with refused_io(path):
        write_atomically(os.path.abspath(path), text.encode())
    return 0


def _refuse_unread(path: str) -> None:
    """Refuse what nobody would read (node-exporter ``collector/textfile.go``: ``*.prom``)."""
    import os

    from k0sruntime import regular
    from k0sruntime.errors import Problem, RefusedError, UsageError

    if not path.endswith(".prom"):
        message = "node-exporter reads only files that end in .prom"
        remedy = "Name it such as k0sruntime.prom, or pass - to print the metrics."
        raise UsageError(Problem(message, place=path, remedy=remedy))
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        remedy = "Name the folder of node-exporter's --collector.textfile.directory, or make it."
        raise RefusedError(
            Problem("there is no such folder; nothing was changed", folder, remedy=remedy)
        )
    if kind := regular.other_kind(path):
        remedy = "Name another file, or move it away."
        raise RefusedError(Problem(f"{kind} lies there", path, remedy=remedy))


def _document(seen: Seen) -> str:
    from k0sruntime import documents, report
    from k0sruntime.proof import to_records

    prepared, supervisor, held = seen.prepared, seen.supervisor, seen.held
    refused = seen.refused.problems if seen.refused else ()
    return documents.dumps(
        documents.Status(
            mode=prepared.composition.mode if prepared else None,
            generation=seen.ledger.generation,
            proved=seen.ledger.proved,
            generations=[
                documents.Generation(
                    generation=g.generation,
                    at=g.at,
                    proved=g.proved,
                    programs=programs,
                    rolled_back=documents.RolledBack(
                        at=g.rolled_back.at,
                        to=g.rolled_back.to,
                        reasons=list(g.rolled_back.reasons),
                    )
                    if g.rolled_back
                    else None,
                )
                for g, programs in seen.generations
            ],
            counts=documents.Counts(**asdict(seen.counts)),
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
            pending=seen.pending,
            unfinished=seen.unfinished,
            proofs=report.proof_documents(to_records(seen.proofs, seen.proved_at)),
            problems=_problems(refused),
        )
    )


def _problems(problems: Iterable[Problem]) -> list[documents.Problem]:
    from k0sruntime import documents

    return [documents.Problem(**asdict(problem)) for problem in problems]


def _lines(seen: Seen) -> Iterable[str]:
    from k0sruntime import report
    from k0sruntime.cli import render_error

    prepared, running = seen.prepared, seen.running
    mode = prepared.composition.mode if prepared else "refused"
    state = (
        f"containerd {running.version}, PID {running.pid}" if running else "no containerd of ours"
    )
    yield f"{mode}: {state}, generation {seen.ledger.generation}"
    composition = prepared.composition if prepared else None
    if composition is None or composition.mode == "standalone" or composition.stays:
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
    if prepared and (running or seen.proofs):
        yield from ("", *report.handler_table(prepared.composition, seen.proofs))
        yield from report.other_proofs(p for p in seen.proofs if p.provider != "node")
    if seen.unfinished:
        yield "An apply was killed half-way; the next up undoes it first."
    if seen.held:
        yield f"Since {seen.held.at} the node is held on its last good configuration:"
        yield from (line for problem in seen.held.problems for line in problem.lines())
    if seen.pending:
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
        if back := generation.rolled_back:
            yield f"    rolled back to {back.to} at {back.at}: {'; '.join(back.reasons)}"
