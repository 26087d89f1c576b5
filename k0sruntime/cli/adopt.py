"""``k0sruntime adopt``."""

from __future__ import annotations

import os
from typing import Any

import click

from k0sruntime.cli.options import json_option, node_options, request


@click.command(name="adopt")
@click.argument("path", type=click.Path())
@node_options
@json_option
def command(*, path: str, as_json: bool, **options: Any) -> int:
    """Take a foreign file over that lies under a name of ours; the original is kept.

    PATH is containerd's main file, or a drop-in whose name starts with k0sruntime-. Nothing is
    written now: the next up replaces the file, and down puts the original back.
    """
    from k0sruntime import adopt, documents

    asked = request(**options)
    where = path if options["root"] else os.path.abspath(path)
    ledger = adopt.adopt_file(asked, where)
    if as_json:
        kept = ledger.files[where].displaced
        click.echo(documents.dumps(documents.Adopt(path=where, kept=kept)))
    else:
        click.echo(f"{where} is ours now; the next up replaces it, and down puts it back")
    return 0
