"""The transaction: files change together or not at all, whatever ends it and whenever.

Stage every new file outside the watched folder on the same file system, fsync; write the journal;
rename each into place at once, so that k0s's debounce sees one change; fsync the folders; record
the generation; drop the journal. Killed at any instant, the next command finds the journal and
puts the old files back.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import regular, staging
from k0sruntime.durable import sync_folder, write_atomically, write_synced
from k0sruntime.errors import Problem, RefusedError, RollbackFailedError
from k0sruntime.ledger import State, ledger_from, ledger_json
from k0sruntime.owed import owe
from k0sruntime.plan import FileState
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k0sruntime.paths import Paths
    from k0sruntime.plan import Change, Ledger


@dataclass(frozen=True)
class _Step:
    """One file of a transaction: where it goes, where it waits, and what was there before."""

    path: str
    staged: str
    """Path of the staged new file; empty for a removal."""
    before: str
    """Digest of the kept old content; empty where there was none."""
    before_mode: int
    before_owner: tuple[int, int] = (-1, -1)
    link: str = ""
    """Second name of the old file while the transaction lasts; the way back needs no space then."""


def transact(
    changes: Sequence[Change],
    paths: Paths,
    before: Ledger,
    after: Ledger,
    approve: Callable[[], None] = lambda: None,
) -> Ledger:
    """Make all changes in one transaction and return the ledger that stands for them.

    Args:
        changes: what happens to which file.
        paths: the node's paths.
        before: what we own before.
        after: what we own afterwards, but for folders made on the way.
        approve: called when everything is staged and nothing is switched; raises to stop here.

    Raises:
        RefusedError: the file system refused; nothing was changed.
        RollbackFailedError: it refused half-way, and the way back too; the journal stays.
    """
    state = State(paths)
    steps: list[_Step] = []
    made: list[str] = []
    try:
        with refused_io(paths.on_disk(paths.etc)):
            for change in changes:
                _make_folders(os.path.dirname(paths.on_disk(change.path)), made)
            steps += (_stage(change, paths, state) for change in changes)
            approve()
            after = replace(after, folders=tuple(dict.fromkeys((*after.folders, *made))))
            _write_journal(state, before, after, steps, made)
            owe(paths, _reloads(changes, before, after))
            for step in steps:
                _switch(step)
            for folder in sorted({os.path.dirname(step.path) for step in steps}):
                sync_folder(folder)
            state.save(after)
            os.unlink(state.journal)
    except BaseException as exc:
        _back_out(paths, steps, made, exc)
        raise
    _discard(steps, ())
    return _without_empty_folders(after, state)


def _reloads(changes: Sequence[Change], before: Ledger, after: Ledger) -> set[str]:
    """Return who reads the changed files again, as either generation knows it."""
    known = [
        ledger.files[c.path]
        for ledger in (before, after)
        for c in changes
        if c.path in ledger.files
    ]
    return {*(change.reload for change in changes), *(owned.reload for owned in known)}


def _back_out(
    paths: Paths, steps: Sequence[_Step], made: Sequence[str], cause: BaseException
) -> None:
    """Undo what was begun.

    Raises:
        RollbackFailedError: the system refuses that as well; the journal stays.
    """
    try:
        undo(paths)
    except (OSError, RefusedError) as exc:
        if not unfinished(paths):  # nothing was switched: the old files are all there
            _discard(steps, made)
            return
        told = getattr(cause, "problems", None) or (Problem(f"{type(cause).__name__}: {cause}"),)
        first = f"some files are new and some are old, and the way back was refused: {exc}"
        raise RollbackFailedError(
            Problem(
                first,
                place=State(paths).journal,
                remedy="Mend the cause below, then run any command: it undoes the rest first.",
            ),
            *(replace(p, message=p.message.partition("; nothing was changed")[0]) for p in told),
        ) from cause
    _discard(steps, made)


def _without_empty_folders(after: Ledger, state: State) -> Ledger:
    """Remove those of our folders that nothing needs any more, and forget them."""
    gone = set()
    for folder in reversed(after.folders):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            continue  # something lies in it
        gone.add(folder)
    if not gone:
        return after
    after = replace(after, folders=tuple(f for f in after.folders if f not in gone))
    with refused_io(state.folder):
        state.save(after)
    return after


def _stage(change: Change, paths: Paths, state: State) -> _Step:
    target = paths.on_disk(change.path)
    folder = staging.folder_for(target, paths)
    os.makedirs(folder, exist_ok=True)
    staged = f"{folder}/{staging.name_for(change.path)}"
    step = _Step(target, staged if change.after else "", "", 0)
    if change.before:
        kept, link = state.keep(change.before.content), _linked(target, f"{staged}.before")
        step = replace(
            step,
            before=kept,
            before_mode=change.before.mode,
            before_owner=change.before.owner,
            link=link,
        )
    if change.after:
        state.keep(change.after.content)
        write_synced(staged, change.after.content, change.after.mode, change.after.owner)
    return step


def _linked(target: str, link: str) -> str:
    """Give a file a second name and return it; empty where its file system has no hard links."""
    try:
        os.link(target, link, follow_symlinks=False)
    except OSError:
        return ""
    return link


def _write_journal(
    state: State, before: Ledger, after: Ledger, steps: Sequence[_Step], made: Sequence[str]
) -> None:
    document = {
        "kind": "Journal",
        "schema": 1,
        "before": json.loads(ledger_json(before)),
        "after": json.loads(ledger_json(after)),
        "steps": [vars(step) for step in steps],
        "made": list(made),
    }
    write_atomically(state.journal, json.dumps(document, indent=1).encode())


def _switch(step: _Step) -> None:
    if step.staged:
        os.replace(step.staged, step.path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(step.path)


def unfinished(paths: Paths) -> bool:
    """Tell whether the journal of an unfinished apply lies there."""
    return os.path.exists(State(paths).journal)


def undo(paths: Paths) -> bool:
    """Put back what an unfinished apply has changed; tell whether there was one.

    Where the new ledger was already written the apply is complete but for its journal, and stays.

    Raises:
        RefusedError: the journal, or a content that it names, cannot be read.
    """
    state = State(paths)
    journal = _read_journal(state)
    if journal is None:
        staging.sweep(paths)
        return False
    before, after, steps, made = journal
    present = state.ledger()
    if present != after:
        for step in steps:
            _put_back(step, state)
        for folder in sorted({os.path.dirname(step.path) for step in steps}):
            if os.path.isdir(folder):
                sync_folder(folder)
        if present != before:
            state.save(before)
    os.unlink(state.journal)
    _discard(steps, () if present == after else made)
    staging.sweep(paths)
    return True


def _read_journal(state: State) -> tuple[Ledger, Ledger, list[_Step], list[str]] | None:
    try:
        with regular.opened(state.journal) as file:
            journal: dict[str, Any] = json.load(file)
        steps = [
            _Step(**{**step, "before_owner": tuple(step["before_owner"])})
            for step in journal["steps"]
        ]
        made = [str(folder) for folder in journal["made"]]
        return ledger_from(journal["before"]), ledger_from(journal["after"]), steps, made
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RefusedError(
            Problem(
                f"the journal of an unfinished apply cannot be read: {type(exc).__name__}: {exc}",
                place=state.journal,
                remedy=f"Compare the files with {state.folder}/generations, then remove it.",
            )
        ) from exc


def _put_back(step: _Step, state: State) -> None:
    if not step.before:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(step.path)
        return
    content = state.kept(step.before)
    if file_state(step.path) == FileState(content, step.before_mode):
        return
    os.makedirs(os.path.dirname(step.path), exist_ok=True)
    if step.link and os.path.lexists(step.link):
        os.replace(step.link, step.path)
        return
    folder = os.path.dirname(step.staged or step.link) or os.path.dirname(
        os.path.dirname(step.path)
    )
    os.makedirs(folder, exist_ok=True)
    staged = f"{folder}/put-back"
    write_synced(staged, content, step.before_mode, step.before_owner)
    os.replace(staged, step.path)


def _discard(steps: Sequence[_Step], made: Sequence[str]) -> None:
    """Remove what is left of the staging folders, and folders made for nothing."""
    left = [path for step in steps for path in (step.staged, step.link) if path]
    for path in left:
        with contextlib.suppress(OSError):
            os.unlink(path)
    for folder in {os.path.dirname(path) for path in left}:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _make_folders(folder: str, made: list[str]) -> None:
    """Make a folder that everybody may enter, and note down those that were missing."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        os.mkdir(path, 0o755)
        made.append(path)
        os.chmod(path, 0o755)  # noqa: S103 - whatever the caller's mask: containerd's own default
