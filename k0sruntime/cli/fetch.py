"""``k0sruntime fetch``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import fetch_options, json_option, node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="fetch")
@node_options
@fetch_options
@click.option(
    "--arch",
    metavar="MACHINE",
    default="",
    envvar="K0SRUNTIME_ARCH",
    show_envvar=True,
    help="The node's machine, as uname -m spells it  [default: this one's]",
)
@json_option
def command(*, arch: str, as_json: bool, **options: Any) -> int:
    """Get all programs that the settings name into the cache, and install nothing.

    The cache is a folder that can be carried to a node without a network, where up takes it with
    --offline --cache DIR. Of this machine nothing is asked but the network.
    """
    from k0sruntime import documents, in_advance, masking, provide, report

    asked = request(**options)
    story = Stderr()
    needed = in_advance.wanted(asked, arch, story)
    wanted = needed.installations
    with story.stage("fetch") as tell:
        found = provide.fetch(asked, needed.settings, wanted, story)
        tell(", ".join(map(str, wanted)) or "nothing is to be fetched")
    cache = provide.cache_folder(asked, needed.settings)
    files = [
        documents.Fetched(
            name=item.binary.name,
            version=item.binary.version,
            owner=item.owner.provider,
            url=masking.url(download.url),
            path=path,
        )
        for item in wanted
        for download, _, path in found[item.folder]
    ]
    if as_json:
        document = documents.Fetch(cache=cache, files=files, notes=list(needed.notes))
        click.echo(documents.dumps(document))
        return 0
    rows = [("BINARY", "FROM", "FILE")]
    rows += [(f"{f.name} {f.version}", f.url, f.path) for f in files]
    click.echo("\n".join(report.table(rows)) if files else f"Nothing is to be fetched into {cache}")
    return 0
