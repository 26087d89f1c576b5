"""``k0sruntime schema``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import node_options, request
from k0sruntime.cli.story import Stderr

if TYPE_CHECKING:
    from k0sruntime.records import Record


@click.command(name="schema")
@node_options
def command(**options: Any) -> int:
    """Print a JSON Schema of the settings file, for editors: a table for each installed provider.

    In an editor with a TOML language server, write on the first line of the file:
    "#:schema ./schema.json". The table of a provider that cannot be used may hold anything; such a
    provider is told. One that is left out is not imported, and its table may hold anything too.
    Mistakes in the file stop nothing, but for those of [node]: it says what may be imported.
    """
    from k0sruntime import own_settings, settings_schema
    from k0sruntime.discovery import discover
    from k0sruntime.settings_source import settings_of

    asked = request(**options)
    story = Stderr()
    own = own_settings.node_settings(settings_of(asked), asked)
    discovered = discover(own_settings.chosen(asked, own))
    broken: list[Record] = []
    made = settings_schema.schema(discovered.records, broken)
    for record in (*discovered.records, *broken):
        if record.unusable:
            words = f"{record.name} is {record.state}, and its keys are not known"
            story.say(f"{words}: {record.reason}")
    click.echo(json.dumps(made, indent=2, allow_nan=False))
    return 0
