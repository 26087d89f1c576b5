"""``k0sruntime up``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import change_options, fetch_options, json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="up")
@node_options
@change_options
@fetch_options
@click.option("--dry-run", is_flag=True, help="Stop after the plan, and show it.")
@click.option(
    "--foreground",
    is_flag=True,
    help="Stay, restart containerd when it ends, and stop it at the end.",
)
@json_option
def command(*, dry_run: bool, foreground: bool, as_json: bool, **options: Any) -> int:
    """Compose, check, write, start and prove the node's container runtime.

    Converges and returns; a second run changes nothing and bounces nothing. Where the proof
    fails, the old state is put back.
    """
    from k0sruntime import pipeline, report, sandbox

    asked = request(**options)
    story = Stderr()
    if dry_run:
        prepared = pipeline.prepare(asked, story)
        document = report.plan_document(prepared.plan, prepared.composition)
        text = report.plan_text(prepared.plan, prepared.composition)
        click.echo(report.dumps("Plan", **document) if as_json else text)
        return 0
    sandbox.mark_sandbox(asked.paths)
    outcome = pipeline.up(asked, story)
    click.echo((report.up_document if as_json else report.up_text)(outcome, asked.paths))
    if foreground and outcome.running:
        from k0sruntime import supervise

        return supervise.stay(asked, story)
    return 0
