"""What ``migrate`` and ``up`` put right in a node's files, told before they do it."""

from __future__ import annotations

import difflib
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from k0sruntime import masking, report, toml
from k0sruntime.errors import RefusedError
from k0sruntime.migrate import migrate

if TYPE_CHECKING:
    from k0sruntime.lint.subject import Subject
    from k0sruntime.migrate import Note
    from k0sruntime.node import Files, Schema
    from k0sruntime.stages import Prepared

OURS = "k0sruntime-"


@dataclass(frozen=True)
class Mend:
    """A file that ``migrate`` or ``up`` puts right.

    Attributes:
        path: the file.
        by: the command that does it.
        diff: what changes, as it may be shown.
        notes: what a person must know about keys of it.
    """

    path: str
    by: Literal["migrate", "up"]
    diff: str
    notes: tuple[Note, ...] = ()


def migrated(
    subject: Subject, files: Files, schema: Schema, *, ours: bool = False
) -> list[tuple[Mend, bytes]]:
    """Return what ``migrate`` makes of files, where it changes any: drop-ins and what is imported.

    Those of ours are written anew by ``up``; without a node (``ours``) they come to the same. So
    is a main file with k0s's marker.
    """
    done = []
    for file in subject.files:
        own = posixpath.basename(file.path).startswith(OURS)
        if (own and not ours) or (file.role == "main" and file.managed):
            continue
        content = files.read(file.path) or b""
        try:
            result = migrate(content.decode(), schema, file.path)
        except (RefusedError, UnicodeDecodeError):
            continue  # lint has told why
        if result.changed:
            document = toml.load(content, file.path)
            texts = (masking.source(text, document) for text in (content.decode(), result.text))
            by: Literal["up", "migrate"] = "up" if own else "migrate"
            mend = Mend(file.path, by, _diff(file.path, *texts), result.notes)
            done.append((mend, result.text.encode()))
    return done


def _diff(path: str, before: str, after: str) -> str:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, path, f"{path} (migrated)"))


def written(after: Prepared) -> tuple[Mend, ...]:
    """Return the files of ours that ``up`` writes anew."""
    return tuple(
        Mend(change.path, "up", report.shown_diff(change))
        for change in after.plan.pending()
        if change.action not in ("foreign", "drift")
    )


def contents(after: Prepared) -> dict[str, bytes | None]:
    """Return what ``up`` makes of files, by path; ``None`` for one that it takes away."""
    return {
        change.path: change.after.content if change.after else None
        for change in after.plan.pending()
        if change.action not in ("foreign", "drift")
    }
