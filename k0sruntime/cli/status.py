"""``k0sruntime status``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Silent


@click.command(name="status")
@node_options
@json_option
def command(*, as_json: bool, **options: Any) -> int:
    """Show what runs, what is owned, and what the last proof said. Changes nothing."""
    from k0sruntime import pipeline, report
    from k0sruntime.proof import from_records, to_records

    asked = request(**options)
    prepared = pipeline.prepare(asked, Silent())
    running = prepared.observed.running
    proofs = from_records(running.proofs) if running else ()
    drift = [change.path for change in prepared.plan.changes if change.action == "drift"]
    foreign = [layer.path for layer in prepared.composition.layers if layer.foreign]
    ledger = prepared.observed.ledger
    if as_json:
        click.echo(
            report.dumps(
                "Status",
                mode=prepared.composition.mode,
                generation=ledger.generation,
                proved=ledger.proved,
                running=report.running_document(running),
                owned=sorted(ledger.files),
                foreign=foreign,
                drift=drift,
                pending=not prepared.plan.empty,
                unfinished=prepared.observed.unfinished,
                proofs=list(to_records(proofs)),
            )
        )
        return 0
    state = (
        f"containerd {running.version}, PID {running.pid}" if running else "no containerd of ours"
    )
    click.echo(f"{prepared.composition.mode}: {state}, generation {ledger.generation}")
    for path in sorted(ledger.files):
        click.echo(f"  ours     {path}  [{ledger.files[path].owner}]")
    for path in foreign:
        click.echo(f"  foreign  {path}")
    for path in drift:
        click.echo(f"  drift    {path}: somebody edited it")
    if running:
        click.echo("\n".join(["", *report.handler_table(prepared.composition, proofs)]))
    if prepared.observed.unfinished:
        click.echo("An apply was killed half-way; the next up undoes it first.")
    if not prepared.plan.empty:
        click.echo("Changes are pending: see k0sruntime plan.")
    return 0
