"""``k0sruntime new``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from k0sruntime.cli.options import folder_option, json_option, option

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command(name="new")
@click.argument("name")
@option(
    "--handler",
    metavar="NAME",
    default="",
    variable="HANDLER",
    help="Name of the runtime handler and its RuntimeClass  [default: the provider's name]",
)
@option(
    "--shim",
    metavar="TYPE",
    default="",
    variable="SHIM",
    help="A containerd shim of your own, such as io.containerd.acme.v1"
    "  [default: runc's shim calls your low-level runtime]",
)
@option(
    "--program",
    metavar="FILE",
    default="",
    variable="PROGRAM",
    help="What the provider looks for on the node  [default: the shim, or NAME]",
)
@folder_option(
    "--directory",
    variable="DIRECTORY",
    help="Where to write it: a new or an empty folder  [default: ./k0sruntime-NAME]",
)
@json_option
def command(
    *, name: str, handler: str, shim: str, program: str, directory: str | None, as_json: bool
) -> int:
    """Write a new provider: a distribution that installs, passes its tests and conforms.

    NAME is the provider's, such as acme; the distribution is then k0sruntime-acme.
    """
    from k0sruntime import documents, scaffold

    made = scaffold.scaffold(name, handler, shim, program)
    folder = os.path.abspath(directory or made.distribution)
    files = scaffold.files(made)
    _write(folder, files)
    if as_json:
        document = documents.New(name=made.name, folder=folder, files=sorted(files))
        click.echo(documents.dumps(document))
        return 0
    for path in sorted(files):
        click.echo(f"+ {os.path.join(folder, path)}")
    click.echo(f"\nNext: cd {folder} && pip install -e '.[testing]' && pytest")
    return 0


def _write(folder: str, files: Mapping[str, str]) -> None:
    """Write the files into a folder that holds nothing yet.

    Raises:
        RefusedError: the folder holds something, or cannot be written.
    """
    from k0sruntime.errors import Problem, RefusedError

    try:
        if os.path.exists(folder) and os.listdir(folder):
            remedy = "Name an empty or a new folder with --directory."
            raise RefusedError(Problem("the folder is not empty", place=folder, remedy=remedy))
        for path, text in files.items():
            whole = os.path.join(folder, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError as exc:
        raise RefusedError(
            Problem(f"the folder cannot be written: {exc.strerror}", place=folder)
        ) from exc
