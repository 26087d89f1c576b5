"""``k0sruntime providers``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli import complete
from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="providers")
@click.argument("name", required=False, shell_complete=complete.providers)
@node_options
@json_option
def command(*, name: str | None, as_json: bool, **options: Any) -> int:
    """List the providers: where they come from, and what they do here.

    With NAME: all about one of them: its contract, what it contributes to this node, and its
    settings with their types and defaults. A broken provider is listed with its reason; up would
    refuse to go on.
    """
    from k0sruntime import pipeline, report

    found = pipeline.survey(request(**options), Stderr())
    if name is None:
        records = [record for record, _ in found]
        click.echo((report.providers_document if as_json else report.providers_text)(records))
        return 0
    from k0sruntime import provider_report
    from k0sruntime.errors import Problem, UsageError
    from k0sruntime.settings import nearest

    known = [record.name for record, _ in found]
    if name not in known:
        remedy = nearest(name, known) or f"There are {', '.join(known)}."
        raise UsageError(Problem(f"no provider called {name!r} is installed", remedy=remedy))
    render = provider_report.document if as_json else provider_report.text
    (record, answers), *others = [one for one in found if one[0].name == name]
    click.echo(render(record, answers.all(), [other for other, _ in others]))
    return 0
