"""Fifth stage: from the plan to the files in one transaction, and back to a generation."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from k0sruntime import json_keys
from k0sruntime.clock import now
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.installed import record_of
from k0sruntime.ledger import State
from k0sruntime.plan import Change, FileState, Ledger, OwnedFile, digest, taken_out
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io
from k0sruntime.transaction import transact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from k0sruntime.paths import Paths
    from k0sruntime.plan import Plan


TAKEN_OUT = ("restore", "remove")
"""What happens to another program's file when ours goes out of it."""


@contextlib.contextmanager
def scratch_copy(files: Mapping[str, str], folder: str = "") -> Iterator[str]:
    """Lay texts into a folder of their own for as long as a check needs them.

    Args:
        files: texts by name.
        folder: the folder to make, and to empty before: a killed command may have left files
            there. By default one among the temporary files.
    """
    with (
        refused_io(folder or "the folder for temporary files"),
        _emptied(folder) if folder else TemporaryDirectory(prefix="k0sruntime-check-") as place,
    ):
        for name, text in files.items():
            with open(f"{place}/{name}", "x", encoding="utf-8") as file:
                file.write(text)
        yield place


@contextlib.contextmanager
def _emptied(folder: str) -> Iterator[str]:
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def apply(
    plan: Plan,
    paths: Paths,
    ledger: Ledger,
    approve: Callable[[], None] = lambda: None,
    settings: bytes | None = None,
) -> Ledger:
    """Write all pending changes in one transaction and return the new ledger.

    Args:
        plan: what changes.
        paths: the node's paths.
        ledger: what we own before.
        approve: called when everything is staged and nothing is switched; raises to stop here.
        settings: the settings file that it was composed from; ``None`` for the same as before.

    Raises:
        RefusedError: the file system refused; nothing was changed.
        RollbackFailedError: it refused half-way, and the way back too.
    """
    changes = [c for c in plan.changes if c.action != "unchanged"]
    _keep_edited(plan.changes, paths)
    after, composed_of = _next_ledger(plan, ledger, paths), ledger.settings
    if settings is not None:
        with refused_io(paths.on_disk(paths.state)):
            composed_of = State(paths).keep(settings)
    if not changes:
        approve()
        after = replace(after, proved=ledger.proved and not plan.unrecorded)
        # Equal files that we did not know of are taken over without touching them.
        if replace(after, proved=ledger.proved) != ledger:
            with refused_io(paths.on_disk(paths.state)):
                State(paths).save(after)
        return replace(after, settings=composed_of)  # to be saved when it is proved
    return transact(changes, paths, ledger, replace(after, settings=composed_of), approve)


def _keep_edited(changes: Sequence[Change], paths: Paths) -> None:
    """Keep what we write into other programs' files, and what is left of them without us.

    Raises:
        RefusedError: such a file is a symbolic link, which would not come back.
    """
    edited = [c for c in changes if c.edited and not c.kept and c.action not in TAKEN_OUT]
    for change in edited:
        if os.path.islink(paths.on_disk(change.path)):
            target = os.readlink(paths.on_disk(change.path))
            message = f"a symbolic link to {target}: it would become a file"
            remedy = "Put the file itself there, or name the target in the settings."
            raise RefusedError(Problem(message, change.path, "a foreign file", remedy))
    contents = [(c.base, c.after.content if c.after else None) for c in edited]
    with refused_io(paths.on_disk(paths.state)):
        for content in (found for pair in contents for found in pair if found is not None):
            State(paths).keep(content)


def _next_ledger(plan: Plan, ledger: Ledger, paths: Paths) -> Ledger:
    files = {}
    for change in plan.changes:
        if change.after is None or change.action == "restore":
            continue
        if change.kept:
            files[change.path] = ledger.files[change.path]
            continue
        known = ledger.files.get(change.path, OwnedFile("", "", 0))
        files[change.path] = replace(
            known, digest=change.after.digest, owner=change.owner, mode=change.after.mode
        )
        if change.edited:
            files[change.path] = replace(
                files[change.path],
                displaced=digest(change.base) if change.base is not None else "",
                displaced_mode=change.after.mode,
                displaced_owner=change.after.owner,
                edited=True,
                reload=change.reload,
            )
    with refused_io(paths.on_disk(paths.state)):
        programs = {
            folder: State(paths).keep(mark)
            for folder in plan.programs
            if (mark := record_of(paths.on_disk(folder)))
        }
    return Ledger(
        plan.generation,
        files,
        ledger.folders,
        programs=programs,
        runtime_classes=plan.runtime_classes,
        cri=plan.cri,
        at=ledger.at if plan.generation == ledger.generation else now(),
        settings=ledger.settings,
    )


def generation(number: int, state: State) -> Ledger:
    """Return a recorded generation.

    Generation 0 is the node before us: without a file of ours, and with what we displaced.

    Raises:
        RefusedError: there is no such generation any more.
    """
    wanted = state.generation(number) if number else Ledger()
    if wanted is None:
        raise RefusedError(
            Problem(
                f"there is no generation {number}",
                place=f"{state.folder}/generations",
                remedy=f"Take one of {', '.join(map(str, state.generations())) or 'none'}.",
            )
        )
    return replace(wanted, generation=number)


def go_back(
    wanted: Ledger,
    paths: Paths,
    state: State,
    present: Ledger,
    derived: Mapping[str, bytes] | None = None,
) -> Ledger:
    """Put the files of a ledger back, as a transaction of its own.

    Args:
        wanted: the ledger to go back to.
        paths: the node's paths.
        state: our own state.
        present: what we own now.
        derived: files of the ledger that are made of others, as they must be now: other hands may
            have changed theirs since.

    Raises:
        RefusedError: a content of it is not kept any more.
    """
    files = dict(wanted.files)
    for path, content in (derived or {}).items():
        if path in files:
            key = state.keep(content)
            files[path] = replace(files[path], digest=key)
    for path, owned in wanted.files.items():
        if owned.edited:
            files[path] = _edited_again(path, owned, present.files.get(path), paths, state)
    wanted = replace(wanted, files=files)
    changes = [
        _restored(path, wanted, present, paths, state)
        for path in sorted({*wanted.files, *present.files})
    ]
    pending = [change for change in changes if change.before != change.after]
    after = replace(wanted, folders=present.folders)
    if pending:
        return transact(pending, paths, present, after)
    with refused_io(state.folder):
        state.save(after)
    return after


def adopt(path: str, owner: str, paths: Paths, state: State) -> Ledger:
    """Take a foreign file over: it counts as ours from now on, and what it holds is kept.

    The file itself is not touched; the next ``up`` replaces it, and ``down`` puts it back.

    Raises:
        RefusedError: there is no such file, or the file system refuses.
    """
    found = file_state(paths.on_disk(path))
    if found is None:
        raise RefusedError(Problem("there is no such file to adopt", place=path))
    if os.path.islink(paths.on_disk(path)):
        target = os.readlink(paths.on_disk(path))
        raise RefusedError(
            Problem(
                f"a symbolic link to {target}: what it points to would not come back",
                place=path,
                remedy="Put the file itself there, or move the link away.",
            )
        )
    ledger = state.ledger()
    with refused_io(state.folder):
        kept = state.keep(found.content)
        owned = OwnedFile(found.digest, owner, found.mode, kept, found.mode, found.owner)
        after = replace(ledger, files={**ledger.files, path: owned})
        state.save(after)
    return after


def way_back(state: State) -> int:
    """Return the generation that a change goes back to; 0 where there is none.

    That is the present one, or the last proved one before it where it never was proved.
    """
    present = state.ledger()
    if present.proved:
        return present.generation
    try:
        return last_proved(state, present)
    except RefusedError:
        return present.generation


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


def _edited_again(
    path: str, owned: OwnedFile, present: OwnedFile | None, paths: Paths, state: State
) -> OwnedFile:
    """Return another program's file with a generation's keys in it, and all that others wrote."""
    found = file_state(paths.on_disk(path))
    now = state.before(present) if present and present.edited else None
    content = found.content if found else None
    edited = json_keys.put_back(path, content, now, state.before(owned))
    displaced = state.keep(edited.base) if edited.base is not None else ""
    return replace(owned, digest=state.keep(edited.content), displaced=displaced)


def _restored(path: str, wanted: Ledger, present: Ledger, paths: Paths, state: State) -> Change:
    owned = wanted.files.get(path)
    before = file_state(paths.on_disk(path))
    if owned is None:
        ours = present.files[path]
        if ours.edited and before is not None:
            return taken_out(path, ours, before, state.before(ours))
        if not ours.displaced:
            return Change(path, "remove", ours.owner, before, None)
        kept = state.kept(ours.displaced)
        displaced = FileState(kept, ours.displaced_mode, ours.displaced_owner)
        return Change(path, "restore", ours.owner, before, displaced)
    after = FileState(state.kept(owned.digest), owned.mode)
    return Change(path, "update" if before else "create", owned.owner, before, after)
