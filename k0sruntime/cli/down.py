"""``k0sruntime down``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import change_options, json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="down")
@node_options
@change_options
@click.option(
    "--pods",
    is_flag=True,
    show_envvar=True,
    help="Stop and remove all pods first; else they live on.",
)
@click.option(
    "--purge",
    is_flag=True,
    show_envvar=True,
    help="Remove our state as well; with --sandbox the whole sandbox.",
)
@json_option
def command(*, pods: bool, purge: bool, as_json: bool, **options: Any) -> int:
    """Stop what we started and remove what we own, nothing else."""
    from k0sruntime import documents, pipeline, report

    asked = request(**options)
    outcome = pipeline.down(asked, Stderr(), pods=pods, purge=purge)
    changes = outcome.plan.pending()
    removed = [change.path for change in changes if change.action != "restore"]
    restored = [change.path for change in changes if change.action == "restore"]
    if as_json:
        notes = list(outcome.notes)
        document = documents.Down(removed=removed, restored=restored, ran=outcome.ran, notes=notes)
        click.echo(documents.dumps(document))
        return 0
    for change in changes:
        click.echo(report.taken_back(change))
    for note in outcome.notes:
        click.echo(f"note: {note}")
    if not changes and not outcome.ran:
        click.echo("Nothing of ours is here.")
    return 0
