"""``migrate``: text in, text and notes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import dotted
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lines import line_of
from k0sruntime.migrate.fates import expected, fates, pruned
from k0sruntime.migrate.rules import File, tables_of_4
from k0sruntime.migrate.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.lines import Path
    from k0sruntime.migrate.fates import Fate
    from k0sruntime.node import Schema

_TOP = re.compile(r"# k0s_managed=true\r?\n|(?:#[^\n]*\n)+(?=\r?\n)")
"""What stays above an inserted version line: k0s's marker, or the file's own heading."""


@dataclass(frozen=True)
class Note:
    """Something that a person must know about one key.

    Attributes:
        key: the key, as the original has it.
        line: its line in the original.
        why: what the other containerd makes of it.
        instead: what to do about it.
        lost: it is not in the result, except as a comment.
    """

    key: str
    line: int
    why: str
    instead: str
    lost: bool

    def __str__(self) -> str:
        """Return the note as one sentence or two."""
        verdict = "is not carried over" if self.lost else "is carried over, and mind"
        return f"{self.key} {verdict}: {self.why}. {self.instead}".rstrip()


@dataclass(frozen=True)
class Migration:
    """A file in the other schema.

    Attributes:
        text: the rewritten file.
        notes: what could not be carried over, and what is different, by line.
        changed: the text is another than the original.
    """

    text: str
    notes: tuple[Note, ...]
    changed: bool


def migrate(text: str, to: Schema, name: str = "the file") -> Migration:
    """Rewrite a drop-in or main file for schema ``to``; ``name`` stands for it in errors.

    Only tables that the schemas have in different places are touched, whatever version the file
    states: a file with the right version and the other schema's tables is put right, too.

    Raises:
        RefusedError: not TOML, a version that nobody knows, or tables without a counterpart.
    """
    document = toml.load(text.encode(), name)
    file = _file(document, to, name, text)
    found = fates(document, file)
    if all(_stays(path, fate, document) for path, fate in found.items()):
        return Migration(text, (), changed=False)
    wanted = expected(found)
    newline = "\r\n" if "\r\n" in text else "\n"
    for exploded in (False, True):
        writer = Writer(document, found, file, newline, exploded=exploded)
        try:
            result = writer.run(text)
        except ValueError as exc:  # TOML that the reader takes and containerd's does not
            raise RefusedError(Problem(str(exc), place=name, remedy="Write it plainly.")) from exc
        result = _with_version(result, to, newline, stated="version" in document)
        if wanted is not None and _holds(result, wanted, to):
            return Migration(result, _notes(text, found, file), changed=True)
    raise RefusedError(
        Problem(
            f"two keys of the file have no place beside each other in version {to}",
            place=name,
            remedy="Bring its CRI tables together by hand, then migrate again.",
        )
    )


def _file(document: Mapping[str, Any], to: Schema, name: str, text: str) -> File:
    plugins = document.get("plugins", {})
    version = document.get("version", 0)
    problems = []
    if not isinstance(version, int) or isinstance(version, bool) or version not in (0, 2, 3, 4):
        problems.append(_version_problem(version, f"{name}:{line_of(text, ('version',))}: version"))
    if not isinstance(plugins, dict):
        place, remedy = f"{name}:{line_of(text, ('plugins',))}: plugins", "Write a table."
        problems.append(Problem("plugins is a value and no table", place, remedy=remedy))
    elif version == 4:
        problems += [
            Problem(
                f"the table {table} is known to version 4 only",
                place=f"{name}:{line_of(text, ('plugins', table))}",
                remedy=f"Take it out; version {to} has no place for it.",
            )
            for table in tables_of_4(plugins)
        ]
    elif not version and (short := [key for key in plugins if "." not in key]):
        problems.append(_version_problem(1, f"{name}: plugins.{short[0]}"))
    if problems:
        raise RefusedError(*problems)
    return File(to, int(version), "imports" in document, frozenset(_handlers(document)))


def _version_problem(version: object, place: str) -> Problem:
    if version == 1 and not isinstance(version, bool):
        return Problem(
            "the file has the plugin names of version 1",
            place=place,
            remedy="Let containerd 1.7 rewrite it first: containerd --config FILE config migrate",
        )
    return Problem(
        f"version = {version!r} is no version that containerd knows",
        place=place,
        remedy="Write version = 2 for containerd 1.x, 3 for containerd 2.",
    )


def _handlers(document: Mapping[str, Any]) -> set[str]:
    return {name for schema in (2, 3) for name in _runtimes(document, schema)}


def _runtimes(document: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    try:
        return schema_.runtimes(document, schema)
    except AttributeError:  # a value where a table should be: it defines no handler
        return {}


def _stays(path: Path, fate: Fate, document: Mapping[str, Any]) -> bool:
    return (
        fate.path == path
        and not fate.change
        and (path != ("version",) or fate.value == document["version"])
    )


def _holds(result: str, wanted: Mapping[str, Any], to: Schema) -> bool:
    """Tell whether the text says what it must: the writer's work is not taken on trust."""
    try:
        return pruned(toml.load(result.encode(), "")) == pruned({**wanted, "version": to})
    except toml.TOMLError:
        return False


def _with_version(text: str, to: Schema, newline: str, *, stated: bool) -> str:
    if stated:
        return text
    top = _TOP.match(text)
    cut = top.end() if top else 0
    return f"{text[:cut]}version = {to}{newline}{text[cut:]}"


def _notes(text: str, found: Mapping[Path, Fate], file: File) -> tuple[Note, ...]:
    notes = [
        Note(dotted(path), line_of(text, path), fate.why, fate.instead, fate.path is None)
        for path, fate in found.items()
        if fate.why
    ]
    if file.version == file.to and any(
        fate.path not in (path, None) for path, fate in found.items()
    ):
        why = f"containerd ignored the tables of the other version below version = {file.to}"
        notes.append(
            Note("version", line_of(text, ("version",)), why, "They count from now on.", lost=False)
        )
    return tuple(sorted(notes, key=lambda note: (note.line, note.key)))
