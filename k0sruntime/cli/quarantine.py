"""``k0sruntime quarantine``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import json_option, node_options, request

if TYPE_CHECKING:
    from k0sruntime.quarantine import Done


@click.command(name="quarantine")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--repair",
    is_flag=True,
    envvar="K0SRUNTIME_QUARANTINE_REPAIR",
    show_envvar=True,
    help="Put the files right in place instead; the originals are kept.",
)
@node_options
@json_option
def command(*, files: tuple[str, ...], repair: bool, as_json: bool, **options: Any) -> int:
    """Move drop-ins of other hands out of containerd's way; they are kept.

    FILE is a drop-in, or a main file that has lost k0s's marker. A provider that left its handlers
    to such a file contributes them at the next up. With --repair the file stays, in the version and
    tables of this node, with its handlers and without what was copied from elsewhere.
    """
    from k0sruntime import documents, quarantine

    asked = request(**options)
    paths = tuple(path if options["root"] else os.path.abspath(path) for path in files)
    act = quarantine.put_right if repair else quarantine.quarantine
    done = act(asked, paths)
    if as_json:
        told = [
            documents.Quarantined(path=one.path, kept=one.kept, repaired=list(one.repaired))
            for one in done
        ]
        click.echo(documents.dumps(documents.Quarantine(files=told)))
        return 0
    for one in done:
        click.echo("\n".join(_lines(one, repair=repair)))
    main = asked.paths.main_file
    if any(one.path == main and one.kept for one in done):
        click.echo("Start k0s anew, so that it writes its main file; in other modes run up.")
    elif not repair:
        click.echo("Now run k0sruntime up: within three seconds k0s bounces containerd but once.")
    return 0


def _lines(one: Done, *, repair: bool) -> list[str]:
    if not one.kept:
        return [f"{one.path}: nothing to put right"]
    if repair:
        done = [f"  {clause}" for clause in one.repaired]
        return [f"{one.path}: put right; the original is {one.kept}", *done]
    return [f"{one.path}: moved to {one.kept}; to put it back: mv {one.kept} {one.path}"]
