"""Fifth stage: one transaction from the old files to the new ones.

Stage every new file outside the watched folder on the same file system, fsync; write the journal;
rename each into place at once, so that k0s's debounce sees one change; fsync the folders; record
the generation; drop the journal. Killed at any instant, the next command finds the journal and
puts the old files back.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import (
    State,
    ledger_from,
    ledger_json,
    sync_folder,
    write_atomically,
    write_synced,
)
from k0sruntime.plan import Change, FileState, Ledger, OwnedFile
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from k0sruntime.node import Paths
    from k0sruntime.plan import Plan

STAGING = ".k0sruntime-staging"
"""Folder for files on their way, beside the watched folder and never in it."""


@dataclass(frozen=True)
class _Step:
    """One file of a transaction: where it goes, where it waits, and what was there before."""

    path: str
    staged: str
    """Path of the staged new file; empty for a removal."""
    before: str
    """Digest of the kept old content; empty where there was none."""
    before_mode: int


@contextlib.contextmanager
def scratch_copy(files: Mapping[str, str]) -> Iterator[str]:
    """Lay texts into a folder of their own for as long as a check needs them."""
    with (
        refused_io("the folder for temporary files"),
        tempfile.TemporaryDirectory(prefix="k0sruntime-check-") as folder,
    ):
        for name, text in files.items():
            with open(f"{folder}/{name}", "x", encoding="utf-8") as file:
                file.write(text)
        yield folder


def apply(
    plan: Plan, paths: Paths, ledger: Ledger, approve: Callable[[], None] = lambda: None
) -> Ledger:
    """Write all pending changes in one transaction and return the new ledger.

    Args:
        plan: what changes.
        paths: the node's paths.
        ledger: what we own before.
        approve: called when everything is staged and nothing is switched; raises to stop here.

    Raises:
        RefusedError: the file system refused; nothing was changed.
    """
    changes = [c for c in plan.changes if c.action != "unchanged"]
    after = _next_ledger(plan, ledger)
    if not changes:
        approve()
        # Equal files that we did not know of are taken over without touching them.
        if after.files.keys() != ledger.files.keys():
            State(paths).save(replace(after, generation=ledger.generation, proved=ledger.proved))
        return replace(after, generation=ledger.generation, proved=ledger.proved)
    return _transact(changes, paths, ledger, after, approve)


def _transact(
    changes: Sequence[Change],
    paths: Paths,
    before: Ledger,
    after: Ledger,
    approve: Callable[[], None] = lambda: None,
) -> Ledger:
    state = State(paths)
    steps: list[_Step] = []
    made: list[str] = []
    try:
        with refused_io(paths.on_disk(paths.etc)):
            for change in changes:
                made += _make_folders(os.path.dirname(paths.on_disk(change.path)))
            steps = [_stage(change, paths, state) for change in changes]
            approve()
            after = replace(after, folders=(*after.folders, *made))
            _write_journal(state, before, after, steps, made)
            for step in steps:
                _switch(step)
            for folder in sorted({os.path.dirname(step.path) for step in steps}):
                sync_folder(folder)
            state.save(after)
            os.unlink(state.journal)
    except BaseException:
        with contextlib.suppress(OSError):
            undo(paths)
        _discard(steps, made)
        raise
    _discard(steps, ())
    for folder in reversed(after.folders):  # those that nothing of ours needs any more
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return after


def _stage(change: Change, paths: Paths, state: State) -> _Step:
    target = paths.on_disk(change.path)
    before = state.keep(change.before.content) if change.before else ""
    before_mode = change.before.mode if change.before else 0
    if change.after is None:
        return _Step(target, "", before, before_mode)
    state.keep(change.after.content)
    folder = _staging_folder(target, paths)
    os.makedirs(folder, exist_ok=True)
    staged = f"{folder}/{change.path.strip('/').replace('/', '%')}"
    write_synced(staged, change.after.content, change.after.mode)
    return _Step(target, staged, before, before_mode)


def _staging_folder(target: str, paths: Paths) -> str:
    """Return a folder on the target's file system that nobody watches."""
    etc, run = paths.on_disk(paths.etc), paths.on_disk(paths.run)
    return f"{run if target.startswith(run + '/') else etc}/{STAGING}"


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
    """
    state = State(paths)
    try:
        with open(state.journal, "rb") as file:
            journal: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        _sweep(paths)
        return False
    before, after = ledger_from(journal["before"]), ledger_from(journal["after"])
    steps = [_Step(**step) for step in journal["steps"]]
    if state.ledger() != after:
        for step in steps:
            _put_back(step, state)
        for folder in sorted({os.path.dirname(step.path) for step in steps}):
            if os.path.isdir(folder):
                sync_folder(folder)
        if before.generation or before.files:
            state.save(before)
    os.unlink(state.journal)
    _discard(steps, () if state.ledger() == after else journal["made"])
    _sweep(paths)
    return True


def _sweep(paths: Paths) -> None:
    """Remove what an apply has staged that was killed before its journal or after it."""
    for folder in (paths.etc, paths.run):
        staging = f"{paths.on_disk(folder)}/{STAGING}"
        if os.path.isdir(staging):
            for name in os.listdir(staging):
                os.unlink(f"{staging}/{name}")
            os.rmdir(staging)


def _put_back(step: _Step, state: State) -> None:
    if not step.before:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(step.path)
        return
    content = state.kept(step.before)
    if file_state(step.path) == FileState(content, step.before_mode):
        return
    folder = os.path.dirname(step.staged) or os.path.dirname(os.path.dirname(step.path))
    os.makedirs(folder, exist_ok=True)
    staged = f"{folder}/put-back"
    write_synced(staged, content, step.before_mode)
    os.replace(staged, step.path)


def _discard(steps: Sequence[_Step], made: Sequence[str]) -> None:
    """Remove what is left of the staging folders, and folders made for nothing."""
    for step in steps:
        if step.staged:
            with contextlib.suppress(OSError):
                os.unlink(step.staged)
    for folder in {os.path.dirname(step.staged) for step in steps if step.staged}:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _make_folders(folder: str) -> list[str]:
    """Make a folder and return those that were missing, the outermost first."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        os.mkdir(path, 0o755)
    return list(reversed(missing))


def _next_ledger(plan: Plan, ledger: Ledger) -> Ledger:
    files = {}
    for change in plan.changes:
        if change.after is None or change.action == "restore":
            continue
        known = ledger.files.get(change.path, OwnedFile("", "", 0))
        files[change.path] = replace(
            known, digest=change.after.digest, owner=change.owner, mode=change.after.mode
        )
    return Ledger(plan.generation, files, ledger.folders)


def restore(number: int, paths: Paths, state: State, present: Ledger) -> Ledger:
    """Put the files of an earlier generation back, as a transaction of its own.

    Raises:
        RefusedError: the generation, or a content of it, is not kept any more.
    """
    wanted = state.generation(number) if number else Ledger()
    if wanted is None:
        raise RefusedError(Problem(f"there is no generation {number}", place=state.folder))
    changes = [
        _restored(path, wanted, present, paths, state)
        for path in sorted({*wanted.files, *present.files})
    ]
    pending = [change for change in changes if change.before != change.after]
    after = replace(wanted, generation=number, folders=present.folders)
    return _transact(pending, paths, present, after) if pending else after


def adopt(path: str, owner: str, paths: Paths, state: State) -> Ledger:
    """Take a foreign file over: it counts as ours from now on, and what it holds is kept.

    The file itself is not touched; the next ``up`` replaces it, and ``down`` puts it back.

    Raises:
        RefusedError: there is no such file, or the file system refuses.
    """
    found = file_state(paths.on_disk(path))
    if found is None:
        raise RefusedError(Problem("there is no such file to adopt", place=path))
    ledger = state.ledger()
    with refused_io(state.folder):
        kept = state.keep(found.content)
        owned = OwnedFile(found.digest, owner, found.mode, kept, found.mode)
        after = replace(ledger, files={**ledger.files, path: owned})
        state.save(after)
    return after


def last_proved(state: State, present: Ledger) -> int:
    """Return the newest proved generation before the present one.

    Raises:
        RefusedError: there is none.
    """
    for number in reversed(state.generations()):
        found = state.generation(number)
        if number < present.generation and found is not None and found.proved:
            return number
    raise RefusedError(
        Problem(
            f"there is no proved generation before {present.generation}",
            place=f"{state.folder}/generations",
            remedy="Name one: k0sruntime rollback GENERATION.",
        )
    )


def _restored(path: str, wanted: Ledger, present: Ledger, paths: Paths, state: State) -> Change:
    owned = wanted.files.get(path)
    before = file_state(paths.on_disk(path))
    if owned is None:
        return Change(path, "remove", present.files[path].owner, before, None)
    after = FileState(state.kept(owned.digest), owned.mode)
    return Change(path, "update" if before else "create", owned.owner, before, after)
