"""``k0sruntime plan``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="plan")
@node_options
@click.option(
    "--exit-code",
    is_flag=True,
    show_envvar=True,
    help="Exit with 10 when there is something to do.",
)
@json_option
def command(*, exit_code: bool, as_json: bool, **options: Any) -> int:
    """Show what up would do, and why."""
    from k0sruntime import documents, pipeline, provide, report
    from k0sruntime.errors import ExitCode

    prepared = provide.asked(pipeline.prepare(request(**options), Stderr()))
    if as_json:
        unfinished = prepared.observed.unfinished
        document = report.plan_document(prepared.plan, prepared.composition, unfinished=unfinished)
        click.echo(documents.dumps(document))
    else:
        click.echo(report.plan_text(prepared.plan, prepared.composition))
        if prepared.observed.unfinished:
            click.echo("An apply was killed half-way; the next up undoes it first.")
    return int(ExitCode.PENDING) if exit_code and not prepared.plan.empty else 0
