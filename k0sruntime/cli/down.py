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
    from k0sruntime import documents, pipeline

    asked = request(**options)
    outcome = pipeline.down(asked, Stderr(), pods=pods, purge=purge)
    removed = [change.path for change in outcome.plan.pending()]
    if as_json:
        notes = list(outcome.notes)
        click.echo(documents.dumps(documents.Down(removed=removed, ran=outcome.ran, notes=notes)))
        return 0
    for path in removed:
        click.echo(f"- removed {path}")
    for note in outcome.notes:
        click.echo(f"note: {note}")
    if not removed and not outcome.ran:
        click.echo("Nothing of ours is here.")
    return 0
