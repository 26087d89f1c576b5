"""``k0sruntime report``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import file_option, json_option, node_options, option, request

if TYPE_CHECKING:
    from k0sruntime.seen.document import NodeReport


@click.command(name="report")
@click.argument("reports", nargs=-1, metavar="[NODE.json]...", type=click.Path())
@node_options
@file_option(
    "--html",
    allow_dash=True,
    variable="REPORT_HTML",
    help="Write the page to FILE  [default: standard output]",
)
@option(
    "--name",
    metavar="NAME",
    variable="REPORT_NAME",
    help="What the node is called  [default: its host's name]",
)
@json_option
def command(
    *,
    reports: tuple[str, ...],
    html: str | None,
    name: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Make one page of the node, or of a whole fleet. Changes nothing.

    Without NODE.json: this node, with the proof of its handlers, its configuration key by key with
    their sources, what is pending, and its history. With --json: the same as a document, which
    other machines read. With several such NODE.json: all those nodes in one page, grouped by what
    they run with. A node that up would refuse is reported as well.
    """
    if reports and name:
        raise click.UsageError("--name is for this node's own report, and excludes NODE.json.")
    if html and as_json:
        source = click.get_current_context().get_parameter_source("as_json")
        if source is not click.core.ParameterSource.ENVIRONMENT:
            raise click.UsageError("--html and --json exclude each other.")
        as_json = False
    if not html and not as_json and sys.stdout.isatty():
        raise click.UsageError("a page is no reading for a terminal: say --html FILE, or --json.")
    if reports:
        from k0sruntime.seen import read

        nodes = read.read_all(reports)
    else:
        nodes = [_this_node(name, options)]
    text = _document(nodes) if as_json else _page(nodes)
    if html and html != "-":
        _write(html, text)
        click.echo(f"wrote {html}", err=True)
    else:
        click.echo(text)
    return 0


def _this_node(name: str | None, options: dict[str, Any]) -> NodeReport:
    from k0sruntime import seen

    return seen.this_node(request(**options), name or "")


def _document(nodes: list[NodeReport]) -> str:
    import json

    import msgspec

    if len(nodes) == 1:
        return json.dumps(msgspec.to_builtins(nodes[0]), indent=1, ensure_ascii=False)
    from k0sruntime import documents
    from k0sruntime.seen import fleet

    return documents.dumps(fleet.document(fleet.compare(nodes)))


def _page(nodes: list[NodeReport]) -> str:
    from k0sruntime.clock import now
    from k0sruntime.seen import page

    return page.html(nodes, now())


def _write(path: str, text: str) -> None:
    from k0sruntime.durable import write_atomically
    from k0sruntime.refused import refused_io

    with refused_io(path):
        write_atomically(os.path.abspath(path), text.encode())
