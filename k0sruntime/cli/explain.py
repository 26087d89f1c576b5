"""``k0sruntime explain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli import complete
from k0sruntime.cli.options import json_option, node_options, request
from k0sruntime.cli.story import Silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime import documents
    from k0sruntime.explain import Explained, Setting


@click.command(name="explain")
@click.argument("key", required=False, shell_complete=complete.keys)
@click.option(
    "--handler",
    metavar="NAME",
    show_envvar=True,
    shell_complete=complete.handlers,
    help="Explain everything about one handler.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    envvar="K0SRUNTIME_EXPLAIN_ALL",
    show_envvar=True,
    help="Explain every key that a file sets.",
)
@node_options
@json_option
def command(
    *, key: str | None, handler: str | None, everything: bool, as_json: bool, **options: Any
) -> int:
    """Show where a key of the effective configuration comes from.

    KEY is dotted and may leave out the plugin ID: containerd.runtimes.runsc.runtime_type. A table
    explains all keys in it. Without KEY, the tree of all keys is shown.
    """
    from k0sruntime import documents, explain, pipeline

    if sum(map(bool, (key, handler, everything))) > 1:
        raise click.UsageError("KEY, --handler and --all exclude each other.")
    composition = pipeline.prepare(request(**options), Silent()).composition
    if key:
        found = explain.explain_key(composition, key)
    elif handler:
        found = explain.explain_handler(composition, handler)
    else:
        found = explain.explain_all(composition)
    if as_json:
        click.echo(documents.dumps(_document(found)))
    else:
        click.echo("\n".join(tree(found)))
    return 0


def _document(found: Iterable[Explained]) -> documents.Explain:
    from k0sruntime import documents

    return documents.Explain(
        keys=[
            documents.ExplainedKey(
                key=list(entry.key),
                value=entry.value,
                set_by=documents.Setting(**vars(entry.setting)),
                overrode=[documents.Setting(**vars(setting)) for setting in entry.overrode],
            )
            for entry in found
        ]
    )


def tree(entries: Iterable[Explained]) -> list[str]:
    """Return the keys as an indented tree; under each value who set it and what it overrode."""
    from k0sruntime.compose.layers import dotted

    lines: list[str] = []
    open_tables: tuple[str, ...] = ()
    for entry in entries:
        table = entry.key[:-1]
        common = 0
        while common < min(len(table), len(open_tables)) and table[common] == open_tables[common]:
            common += 1
        lines += [f"{'  ' * d}{dotted((table[d],))}" for d in range(common, len(table))]
        open_tables = table
        indent = "  " * len(table)
        lines.append(f"{indent}{dotted((entry.key[-1],))} = {_value(entry.value)}")
        lines.append(f"{indent}  set by {_said(entry.setting)}")
        if entry.setting.reason:
            lines.append(f"{indent}  because: {entry.setting.reason}")
        lines += [
            f"{indent}  overrode {_value(setting.value)} from {_said(setting)}"
            for setting in entry.overrode
        ]
    return lines


def _said(setting: Setting) -> str:
    return f"{setting.path}:{setting.line} ({setting.owner})"


def _value(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
