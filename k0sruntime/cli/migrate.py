"""``k0sruntime migrate``."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from k0sruntime.migrate import Migration


@click.command(name="migrate")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False),
)
@click.option(
    "--to",
    type=click.Choice(["3", "2"]),
    default="3",
    show_default=True,
    envvar="K0SRUNTIME_MIGRATE_TO",
    show_envvar=True,
    help="3: containerd 2, k0s 1.36 and newer; 2: containerd 1.7, k0s up to 1.35.",
)
@click.option(
    "--write",
    is_flag=True,
    envvar="K0SRUNTIME_MIGRATE_WRITE",
    show_envvar=True,
    help="Replace the files; the originals are kept.",
)
@click.option(
    "--diff",
    is_flag=True,
    envvar="K0SRUNTIME_MIGRATE_DIFF",
    show_envvar=True,
    help="Print a unified diff instead of the result.",
)
def command(*, files: tuple[str, ...], to: str, write: bool, diff: bool) -> int:
    """Rewrite drop-ins and main files for another config version, comments kept.

    Only what a file sets is moved, key by key. What the other containerd has no place for is told
    on standard error and left in the file as a comment. Without an option the result is printed
    and nothing is touched. A file that is right already is left as it is.
    """
    if write and diff:
        raise click.UsageError("--write and --diff exclude each other.")
    schema: Any = int(to)
    done = _migrated(files, schema)
    for path, original, migration in done:
        if write:
            _write(path, original, migration, to)
        elif diff:
            _diff(path, original.decode(), migration.text)
        else:
            heading = f"# {path}\n" if len(done) > 1 else ""
            click.echo(heading + migration.text, nl=not migration.text.endswith("\n"))
        _tell(path, migration, to)
    return 0


def _migrated(files: tuple[str, ...], schema: Any) -> list[tuple[str, bytes, Migration]]:
    """Rewrite all files before anything is written, so that all bad ones are told at once."""
    from k0sruntime import toml
    from k0sruntime.errors import Problem, RefusedError
    from k0sruntime.migrate import migrate
    from k0sruntime.refused import refused_io

    done: list[tuple[str, bytes, Migration]] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(files):
        with refused_io(path), open(path, "rb") as file:
            data = file.read()
        try:
            toml.load(data, path)  # before decoding: what is not UTF-8 is told with its line
            done.append((path, data, migrate(data.decode(), schema, path)))
        except RefusedError as exc:
            problems += exc.problems
    if problems:
        raise RefusedError(*problems)
    return done


def _write(path: str, original: bytes, migration: Migration, to: str) -> None:
    from k0sruntime.migrate.files import exchange

    if migration.changed:
        kept = exchange(path, original, migration.text)
        click.echo(f"{path}: rewritten for version {to}; the original is {kept}", err=True)


def _diff(path: str, before: str, after: str) -> None:
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    for line in difflib.unified_diff(old, new, path, f"{path} (migrated)"):
        whole = line.endswith("\n")
        click.echo(line if whole else f"{line}\n\\ No newline at end of file\n", nl=False)


def _tell(path: str, migration: Migration, to: str) -> None:
    if not migration.changed:
        click.echo(f"{path}: unchanged, nothing in it differs from version {to}", err=True)
    for note in migration.notes:
        click.echo(f"{path}:{note.line}: {note}", err=True)
