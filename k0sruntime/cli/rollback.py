"""``k0sruntime rollback``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli import complete
from k0sruntime.cli.options import change_options, fetch_options, json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="rollback")
@click.argument(
    "generation", required=False, type=click.IntRange(min=1), shell_complete=complete.generations
)
@node_options
@change_options
@fetch_options
@json_option
def command(*, generation: int | None, as_json: bool, **options: Any) -> int:
    """Go back to an earlier generation, by default the last one that was proved.

    The files come back as they were, programs that they name are installed again where they were
    removed, containerd is bounced once and proved.

    Settings that a command has brought (up --settings-from, a bundle, a roll-out) go back with it,
    unless somebody has edited the file since. Those of your own hand stay, and the next up
    composes from them anew: change them as well.
    """
    from k0sruntime import report, rollback

    asked = request(**options)
    outcome = rollback.rollback(asked, Stderr(), generation)
    click.echo((report.up_document if as_json else report.up_text)(outcome, asked.paths))
    return 0
