"""``k0sruntime migrate``.

k0s bounces containerd on any event in ``containerd.d``, even that of a temporary file. So a new
file is made beside that folder and renamed into place: one event, and a whole file at any instant.
This is no part of an apply: the file stays the operator's, and the ledger knows nothing of it.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from k0sruntime.migrate import Migration

WATCHED = "containerd.d"
"""Name of the folder that k0s watches."""


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
            _diff(path, *(_shown(text, original) for text in (original.decode(), migration.text)))
        else:
            heading = f"# {path}\n" if len(done) > 1 else ""
            shown = _shown(migration.text, original)
            click.echo(heading + shown, nl=not shown.endswith("\n"))
            if shown != migration.text:
                click.echo(f"{path}: secrets are masked here; --write keeps them", err=True)
        _tell(path, migration, to)
    return 0


def _shown(text: str, original: bytes) -> str:
    """Return a text as it may be shown: without the secrets of the file that it comes from."""
    from k0sruntime import masking, toml

    return masking.source(text, toml.load(original, ""))


def _migrated(files: tuple[str, ...], schema: Any) -> list[tuple[str, bytes, Migration]]:
    """Rewrite all files before anything is written, so that all bad ones are told at once."""
    from k0sruntime import regular, toml
    from k0sruntime.errors import Problem, RefusedError
    from k0sruntime.migrate import migrate
    from k0sruntime.refused import refused_io

    done: list[tuple[str, bytes, Migration]] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(files):
        with refused_io(path), regular.opened(path) as file:
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
    if migration.changed:
        kept = _exchange(path, original, migration.text)
        click.echo(f"{path}: rewritten for version {to}; the original is {kept}", err=True)


def _exchange(path: str, original: bytes, text: str) -> str:
    """Replace a file and return where the original is kept. A link is followed.

    Raises:
        RefusedError: the file system refuses; the file is as it was.
    """
    from k0sruntime.refused import refused_io

    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if os.path.basename(folder) == WATCHED:
        folder = os.path.dirname(folder)
    with refused_io(path):
        before = os.stat(path)
        kept = _keep(folder, name, original, before)
        try:
            _switch(path, folder, text, before)
        except BaseException:
            os.unlink(kept)
            raise
    return kept


def _keep(folder: str, name: str, original: bytes, like: os.stat_result) -> str:
    """Write the original beside the watched folder; an older copy is never overwritten."""
    number = 1
    while True:
        kept = f"{folder}/{name}.bak" if number == 1 else f"{folder}/{name}.bak{number}"
        try:
            descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        _fill(descriptor, original, like)
        return kept


def _switch(path: str, folder: str, text: str, like: os.stat_result) -> None:
    import tempfile

    descriptor, temporary = tempfile.mkstemp(prefix=".k0sruntime-migrate-", dir=folder)
    try:
        _fill(descriptor, text.encode(), like)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _fill(descriptor: int, content: bytes, like: os.stat_result) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(PermissionError):  # not root: the file becomes the caller's
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o7777)
        os.fsync(descriptor)


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
