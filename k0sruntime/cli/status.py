"""``k0sruntime status``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.errors import K0sRuntimeError
    from k0sruntime.plan import Ledger, Running
    from k0sruntime.stages import Prepared


@click.command(name="status")
@node_options
@json_option
def command(*, as_json: bool, **options: Any) -> int:
    """Show what runs, what is owned, and what the last proof said. Changes nothing.

    What runs and what is ours is shown even where the settings or a drop-in are refused; the
    exit code then is that of the refusal.
    """
    from k0sruntime import observe, pipeline, processes, transaction
    from k0sruntime.errors import K0sRuntimeError

    asked = request(**options)
    ledger = observe.owned(asked.paths)
    running = processes.running(asked.paths)
    unfinished = transaction.unfinished(asked.paths)
    prepared: Prepared | None = None
    refused: K0sRuntimeError | None = None
    try:
        prepared = pipeline.prepare(asked, Silent())
    except K0sRuntimeError as exc:
        refused = exc
    if as_json:
        click.echo(_document(ledger, running, prepared, refused, unfinished=unfinished))
    else:
        lines = _lines(ledger, running, prepared, refused, unfinished=unfinished)
        click.echo("\n".join(lines))
    return int(refused.exit_code) if refused else 0


def _document(
    ledger: Ledger,
    running: Running | None,
    prepared: Prepared | None,
    refused: K0sRuntimeError | None,
    *,
    unfinished: bool,
) -> str:
    from k0sruntime import report

    return report.dumps(
        "Status",
        mode=prepared.composition.mode if prepared else None,
        generation=ledger.generation,
        proved=ledger.proved,
        running=report.running_document(running),
        owned=sorted(ledger.files),
        foreign=_foreign(prepared),
        drift=_drift(prepared),
        pending=not prepared.plan.empty if prepared else None,
        unfinished=unfinished,
        proofs=list(running.proofs) if running else [],
        problems=[asdict(problem) for problem in refused.problems] if refused else [],
    )


def _lines(
    ledger: Ledger,
    running: Running | None,
    prepared: Prepared | None,
    refused: K0sRuntimeError | None,
    *,
    unfinished: bool,
) -> Iterable[str]:
    from k0sruntime import report
    from k0sruntime.cli import render_error
    from k0sruntime.proof import from_records

    mode = prepared.composition.mode if prepared else "refused"
    state = (
        f"containerd {running.version}, PID {running.pid}" if running else "no containerd of ours"
    )
    yield f"{mode}: {state}, generation {ledger.generation}"
    yield from (
        f"  ours     {path}  [{owned.owner}]" for path, owned in sorted(ledger.files.items())
    )
    yield from (f"  foreign  {path}" for path in _foreign(prepared))
    yield from (f"  drift    {path}: somebody edited it" for path in _drift(prepared))
    if running and prepared:
        proofs = from_records(running.proofs)
        yield from ("", *report.handler_table(prepared.composition, proofs))
    if unfinished:
        yield "An apply was killed half-way; the next up undoes it first."
    if prepared and not prepared.plan.empty:
        yield "Changes are pending: see k0sruntime plan."
    if refused:
        yield "What runs keeps running, but the next up would refuse:"
        yield render_error.text(refused)


def _foreign(prepared: Prepared | None) -> list[str]:
    return (
        [layer.path for layer in prepared.composition.layers if layer.foreign] if prepared else []
    )


def _drift(prepared: Prepared | None) -> list[str]:
    return [c.path for c in prepared.plan.changes if c.action == "drift"] if prepared else []
