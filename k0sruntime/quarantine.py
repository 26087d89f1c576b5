"""Foreign files out of containerd's way, at the operator's word: moved and kept, or put right.

A file of another hand is never touched otherwise. Both are one rename, so that k0s sees one event,
and containerd at any instant the old file or none, or the old one or the right one.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k0sruntime import lint, own_settings, repair, staging, transaction
from k0sruntime.compose import cgroups
from k0sruntime.compose.main_file import is_managed
from k0sruntime.compose.scheme import node_schema
from k0sruntime.durable import sync_folder, write_synced
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lint.subject import Subject, parse
from k0sruntime.lint.target import for_node
from k0sruntime.lock import locked
from k0sruntime.observe import foreign_here, owned
from k0sruntime.real_files import RealFiles, file_state
from k0sruntime.refused import refused_io
from k0sruntime.remainder import refuse_worse

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.plan import FileState
    from k0sruntime.repair import Repair
    from k0sruntime.stages import Request

SUFFIX = ".quarantined"
"""What the name of a kept file ends in: no glob of containerd's or k0s's matches it."""


@dataclass(frozen=True)
class Done:
    """What became of one file: where the original is kept, and what was put right."""

    path: str
    kept: str
    repaired: tuple[str, ...] = ()


def quarantine(request: Request, given: tuple[str, ...]) -> tuple[Done, ...]:
    """Move foreign files out of the way, and keep them.

    Raises:
        RefusedError: a file that is ours, is not there, or is none that containerd loads, or one
            that others lean on; nothing was moved.
    """
    paths = request.paths
    with locked(paths, request.lock_timeout, lambda _: None):
        transaction.undo(paths)  # a killed command may have left staged files, or a journal
        asked = _refuse_others(given, paths)
        refuse_worse(request, dict.fromkeys(asked))
        return tuple(Done(path, _moved(path, paths)) for path in asked)


def put_right(request: Request, given: tuple[str, ...]) -> tuple[Done, ...]:
    """Repair foreign files in place, and keep the originals. A file that is right stays as it is.

    Raises:
        RefusedError: as ``quarantine``, or a file that cannot be put right; nothing was changed.
    """
    paths = request.paths
    with locked(paths, request.lock_timeout, lambda _: None):
        transaction.undo(paths)
        found = _contents(_refuse_others(given, paths), paths)
        repairs = _repairs(found, request)
        refuse_worse(request, {path: repairs[path].text.encode() for path in found})
        return tuple(
            _replaced(path, found[path], repairs[path], paths)
            if repairs[path].text.encode() != found[path].content
            else Done(path, "")
            for path in found
        )


def _refuse_others(given: tuple[str, ...], paths: Paths) -> tuple[str, ...]:
    """Return the files, each once, or refuse all of them that are none of another hand's."""
    ours = owned(paths).files
    asked = tuple(dict.fromkeys(given))
    found = (_not_foreign(path, paths, ours=path in ours) for path in asked)
    if problems := [problem for problem in found if problem]:
        raise RefusedError(*problems)
    return asked


def _not_foreign(path: str, paths: Paths, *, ours: bool) -> Problem | None:
    dropin = os.path.dirname(path) == paths.dropins and path.endswith(".toml")
    if not dropin and path != paths.main_file:
        return Problem(
            "this is no file that k0s's containerd loads",
            place=path,
            remedy=f"Name a file {paths.dropins}/*.toml, or {paths.main_file}.",
        )
    files = RealFiles(paths)
    if not files.exists(path):
        return Problem("there is no such file", place=path)
    if ours or (path == paths.main_file and is_managed(files.read(path) or b"")):
        whose = "ours" if ours else "k0s's own"
        return Problem(
            f"this file is {whose}",
            place=path,
            remedy="Change the settings instead, or leave its provider out.",
        )
    return None


def _contents(asked: tuple[str, ...], paths: Paths) -> dict[str, FileState]:
    found = {path: file_state(paths.on_disk(path)) for path in asked}
    problems = [
        Problem(
            "a link that leads nowhere cannot be put right",
            place=path,
            remedy=f"Move it away: k0sruntime quarantine {path}",
        )
        for path, state in found.items()
        if state is None
    ]
    if problems:
        raise RefusedError(*problems)
    return {path: state for path, state in found.items() if state}


def _moved(path: str, paths: Paths) -> str:
    """Rename a file away and return where it is kept, as the node sees it."""
    source = paths.on_disk(path)
    with refused_io(path):
        kept = _free(f"{paths.quarantine}/{os.path.basename(path)}", paths)
        os.makedirs(paths.on_disk(paths.quarantine), exist_ok=True)
        try:
            os.rename(source, paths.on_disk(kept))
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            kept = _free(path, paths)  # the folder is a mount of its own
            os.rename(source, paths.on_disk(kept))
        for changed in (source, paths.on_disk(kept)):
            sync_folder(os.path.dirname(changed))
    return kept


def _free(base: str, paths: Paths) -> str:
    """Return a name that nobody has: what was kept before is never overwritten."""
    names = (f"{base}{SUFFIX}" + (f".{number}" if number else "") for number in range(1000))
    return next(name for name in names if not os.path.lexists(paths.on_disk(name)))


def _repairs(found: dict[str, FileState], request: Request) -> dict[str, Repair]:
    node, _ = own_settings.bare_node(request)
    schema = node_schema(node, node.mode or "standalone")
    target = for_node(replace(node, foreign=()))
    others = [file for file in foreign_here(request.paths) if file.path not in found]
    systemd = cgroups.decided((), others, request.paths, schema)
    repairs: dict[str, Repair] = {}
    problems: list[Problem] = []
    for path, state in found.items():
        text = state.content.decode(errors="replace")
        try:
            if path == request.paths.main_file:
                repairs[path] = repair.repaired_main(text)
                continue
            repairs[path] = repair.repaired(text, schema, path, systemd)
        except RefusedError as exc:
            problems += exc.problems
            continue
        file = parse(path, repairs[path].text.encode(), "drop-in")
        alone = replace(target, machine=None) if target else None
        left = lint.check(Subject((file,)), alone, node.files) if alone else ()
        problems += (_unfit(finding, path) for finding in lint.errors(left))
    if problems:
        raise RefusedError(*problems)
    return repairs


def _unfit(finding: lint.Finding, path: str) -> Problem:
    return Problem(
        f"it cannot be put right: {finding.message}",
        place=path,
        culprit="a foreign file",
        remedy=f"Correct it by hand, or move it away: k0sruntime quarantine {path}",
    )


def _replaced(path: str, before: FileState, wanted: Repair, paths: Paths) -> Done:
    target = os.path.realpath(paths.on_disk(path))
    with refused_io(path):
        kept = _free(f"{paths.quarantine}/{os.path.basename(path)}", paths)
        os.makedirs(paths.on_disk(paths.quarantine), exist_ok=True)
        write_synced(paths.on_disk(kept), before.content, before.mode, before.owner)
        folder = staging.folder_for(target, paths)
        os.makedirs(folder, exist_ok=True)
        staged = f"{folder}/{staging.name_for(path)}"
        write_synced(staged, wanted.text.encode(), before.mode, before.owner)
        os.replace(staged, target)
        sync_folder(os.path.dirname(target))
        staging.sweep(paths)
    return Done(path, kept, wanted.done)
