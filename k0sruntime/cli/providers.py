"""``k0sruntime providers``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="providers")
@node_options
@json_option
def command(*, as_json: bool, **options: Any) -> int:
    """List the providers: where they come from, and what they do here.

    A broken provider is listed with its reason; up would refuse to go on.
    """
    from k0sruntime import pipeline, report

    records = pipeline.survey(request(**options), Stderr())
    click.echo((report.providers_document if as_json else report.providers_text)(records))
    return 0
