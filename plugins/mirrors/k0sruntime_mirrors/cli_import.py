"""``k0sruntime-mirrors import``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from k0sruntime_mirrors.imported import Imported


@click.command(name="import")
@click.argument("source", metavar="FILE", type=click.Path(exists=True))
@click.option(
    "--disable-default-registry-endpoint",
    "mirror_only",
    is_flag=True,
    show_envvar=True,
    help="k3s runs with this option: the registries themselves are never asked.",
)
@click.option(
    "--leave-out",
    is_flag=True,
    show_envvar=True,
    help="Leave out what containerd cannot do, say so, and print the rest.",
)
@click.option(
    "--output",
    metavar="PATH",
    type=click.Path(dir_okay=False),
    show_envvar=True,
    help="Write the settings to a new file that only its owner reads, secrets included.",
)
def command(*, source: str, mirror_only: bool, leave_out: bool, output: str | None) -> int:
    """Print the settings that FILE comes to.

    FILE is k3s's registries.yaml, or a folder of hosts files such as /etc/containerd/certs.d.
    Passwords, tokens and headers are masked in what is printed; --output keeps them.
    """
    from k0sruntime import Refused, masked_text
    from k0sruntime_mirrors import write

    found = _imported(source, mirror_only=mirror_only)
    if found.refused and not leave_out:
        click.echo("note: nothing is printed; --leave-out goes on without these", err=True)
        raise Refused(*found.refused)
    for problem in found.refused:
        click.echo("left out: " + "\n".join(problem.lines()), err=True)
    for note in dict.fromkeys(found.notes):
        click.echo(f"note: {masked_text(note)}", err=True)
    head = f"# From {source}. These tables belong into /etc/k0sruntime/config.toml.\n\n"
    if not found.tables:
        click.echo("note: no registry is left to be set", err=True)
    click.echo(head + write.text(write.masked(found.tables)), nl=False)
    if output:
        _write(output, head + write.text(found.tables))
        click.echo(f"written to {output}", err=True)
    elif write.masked(found.tables) != found.tables:
        click.echo("note: secrets are masked here; --output PATH writes them", err=True)
    return 0


def _imported(source: str, *, mirror_only: bool) -> Imported:
    from k0sruntime import Problem, Refused, files_here
    from k0sruntime_mirrors import k3s, tree

    if os.path.isdir(source):
        return tree.read(os.path.abspath(source), files_here())
    if kind := files_here().other_kind(os.path.abspath(source)):
        problem = Problem(f"it is {kind}, and no file", source, remedy="Give a readable file.")
        raise Refused(problem)
    try:
        with open(source, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(Problem(str(exc), place=source, remedy="Give a readable file.")) from exc
    return k3s.read(text, source, mirror_only=mirror_only)


def _write(path: str, text: str) -> None:
    """Write a new file; one that is there is left alone."""
    from k0sruntime import Problem, Refused

    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as exc:
        said = exc.strerror or str(exc)
        remedy = "Give a new file in a folder that you may write to."
        raise Refused(Problem(said, place=path, remedy=remedy)) from exc
