"""Fourth stage: desired against observed. What changes, whose it is, and bounce or not.

A pure function of the composition, of what lies on disk and of the ledger. A bounce is containerd
stopped and started once: it has no reload, and SIGHUP kills it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime import loads_now
from k0sruntime.changes import Action as Action  # noqa: PLC0414 - one place to import from
from k0sruntime.changes import Change as Change  # noqa: PLC0414 - one place to import from
from k0sruntime.changes import FileState as FileState  # noqa: PLC0414 - one place to import from
from k0sruntime.changes import digest as digest  # noqa: PLC0414 - one place to import from
from k0sruntime.compose.layers import dotted
from k0sruntime.compose.main_file import is_managed
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.json_keys import without
from k0sruntime.key_changes import KeyChange, difference
from k0sruntime.whose_cri import CRIOf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.binaries import Installation
    from k0sruntime.compose import Composition, DesiredFile
    from k0sruntime.json_keys import Before
    from k0sruntime.rolled_back import RolledBack

Verdict = Literal["start", "bounce", "stop", "none"]


@dataclass(frozen=True)
class OwnedFile:
    """What the ledger knows of a file of ours."""

    digest: str
    owner: str
    mode: int
    displaced: str = ""
    """Digest of the file that lay there before us and comes back when ours goes."""
    displaced_mode: int = 0o644
    displaced_owner: tuple[int, int] = (-1, -1)
    edited: bool = False
    """It is another program's; only our keys in it are ours, and others may edit it any time."""
    reload: str = ""
    """Who reads it again on SIGHUP, as ``program:pid-file``."""


@dataclass(frozen=True)
class Ledger:
    """Our record of what we own: the last generation applied."""

    generation: int = 0
    files: Mapping[str, OwnedFile] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    """Folders that we made, the outermost first; removed when they are empty."""
    proved: bool = False
    """The proof of this generation passed."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Folders of programs that its files name, and the digest of the kept record of each."""
    runtime_classes: Mapping[str, str] = field(default_factory=dict)
    """The RuntimeClass that each handler is offered as: containerd's files do not tell it."""
    cri: CRIOf = field(default_factory=CRIOf)
    """Whose CRI the node had."""
    at: str = field(default="", compare=False)
    """When it was applied, in ISO 8601; empty in records that do not tell."""
    settings: str = field(default="", compare=False)
    """Digest of the kept settings file that it was composed from; empty where that is not known."""
    rolled_back: RolledBack | None = field(default=None, compare=False)
    """Why it was given up, if it was."""

    def owners(self) -> tuple[str, ...]:
        """Return the provider of each file, be it still installed or not."""
        return tuple(file.owner for file in self.files.values())


@dataclass(frozen=True)
class Running:
    """The containerd that we started, as recorded when we did, and as it is now."""

    pid: int
    start_time: int
    """Clock ticks since boot at which the process started (``/proc/PID/stat``, field 22)."""
    binary: str
    version: str
    effective: Mapping[str, Any] = field(default_factory=dict)
    """What its configuration files came to when it started."""
    proofs: tuple[Mapping[str, str], ...] = ()
    """Verdicts of the last proof of this process."""
    search_path: tuple[str, ...] = ()
    """Its PATH: programs are found there again, whatever the PATH of a later command is."""
    config: str = ""
    """The main file that it was started with, where that is not the node's own."""


@dataclass(frozen=True)
class Observed:
    """What is on the machine: the files that matter, our ledger, and the running containerd."""

    files: Mapping[str, FileState] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    running: Running | None = None
    displaced: Mapping[str, FileState] = field(default_factory=dict)
    """What lay at a path before us, where we keep it."""
    edited: Mapping[str, Before] = field(default_factory=dict)
    """What we wrote into files of other programs, and what was there before."""
    newest: int = 0
    """The highest generation that was ever recorded."""
    unfinished: bool = False
    """A journal of an unfinished apply lies there."""
    installed: frozenset[str] = frozenset()
    """Folders of programs that are there and whole."""
    gone: str = ""
    """What became of the containerd that we started and that runs no more."""
    replaced: str = ""
    """Why the containerd that runs will not do: another one is installed, or it is deaf."""


@dataclass(frozen=True)
class Bounce:
    """Whether containerd has to be started or bounced, and why."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Plan:
    """What ``up`` would do."""

    changes: tuple[Change, ...]
    keys: tuple[KeyChange, ...]
    bounce: Bounce
    generation: int
    """The generation that applying this plan makes, or the present one where nothing changes."""
    unrecorded: tuple[str, ...] = ()
    """Files that are right already and not in our record, as after the record was lost."""
    missing: tuple[Installation, ...] = ()
    """Programs to be fetched and installed first."""
    programs: tuple[str, ...] = ()
    """Folders of all programs that the composition names, those of ``missing`` included."""
    runtime_classes: Mapping[str, str] = field(default_factory=dict)
    """By handler."""
    cri: CRIOf = field(default_factory=CRIOf)
    """Whose CRI the node shall have."""

    def pending(self) -> tuple[Change, ...]:
        """Return the changes that are to be written."""
        return tuple(change for change in self.changes if change.action != "unchanged")

    @property
    def empty(self) -> bool:
        """There is nothing to write, fetch or record, and containerd runs with what it should."""
        left = self.pending() or self.unrecorded or self.missing
        return not left and self.bounce.verdict == "none"


def plan(composition: Composition, observed: Observed, *, force: bool = False) -> Plan:
    """Compare what the node shall have with what it has.

    Args:
        composition: what the node shall have.
        observed: what it has.
        force: overwrite files of ours that somebody edited.
    """
    changes = [_desired(file, observed, force) for file in composition.files]
    wanted = {file.path for file in composition.files}
    changes += [
        _kept(path, owned, observed, force)
        if keeps(composition, owned)
        else _unwanted(path, owned, observed, force)
        for path, owned in observed.ledger.files.items()
        if path not in wanted and path in observed.files
    ]
    changes.sort(key=lambda change: change.path)
    if composition.mode == "managed":
        keys = loads_now.changes(composition, observed.files, observed.ledger.files)
    else:
        running = observed.running.effective if observed.running else {}
        keys = difference(running, composition.effective)
    unrecorded = tuple(
        change.path
        for change in changes
        if change.action == "unchanged" and change.path not in observed.ledger.files
    )
    cri = CRIOf.of(composition)
    moved = cri.socket != observed.ledger.cri.socket
    anew = moved or unrecorded or any(change.action != "unchanged" for change in changes)
    present = observed.ledger.generation
    generation = max(observed.newest, present) + 1 if anew else present
    verdict = bounce(composition, observed, keys, changes)
    missing = tuple(i for i in composition.installations if i.folder not in observed.installed)
    programs = tuple(i.folder for i in composition.installations)
    classes = {h.name: h.runtime_class for h in composition.handlers if h.runtime_class}
    if composition.stays and composition.mode == "remote":
        programs, classes = tuple(observed.ledger.programs), dict(observed.ledger.runtime_classes)
    return Plan(
        tuple(changes), keys, verdict, generation, unrecorded, missing, programs, classes, cri
    )


def refuse_other_hands(plan: Plan) -> None:
    """Stop where another hand edited a file of ours, or has a file where ours must lie.

    Raises:
        RefusedError: all files of ours that were edited, and the foreign ones with them.
        ConflictError: there are only foreign files under names of ours.
    """
    edited = [_edited(change) for change in plan.changes if change.action == "drift"]
    foreign = [_foreign(change) for change in plan.changes if change.action == "foreign"]
    if edited:
        raise RefusedError(*edited, *foreign)
    if foreign:
        raise ConflictError(*foreign)


def _edited(change: Change) -> Problem:
    return Problem(
        f"{change.path} is ours, and somebody edited it",
        place=change.path,
        culprit=f"written for provider {change.owner}, edited since",
        remedy="Move the edit into the settings or into a drop-in of your own; then run up"
        " --force, which overwrites the file and keeps the edited one.",
    )


def _foreign(change: Change) -> Problem:
    return Problem(
        f"{change.path} is a foreign file under a name that provider {change.owner!r} needs",
        place=change.path,
        culprit="a foreign file",
        remedy=f"Move it away, or take it over: k0sruntime adopt {change.path}",
    )


def _desired(file: DesiredFile, observed: Observed, force: bool) -> Change:
    before = observed.files.get(file.path)
    after = FileState(file.content, file.mode)
    owned = observed.ledger.files.get(file.path)
    action: Action = "update"
    if before is None:
        action = "create"
    elif before == after:
        action = "unchanged"
    elif file.edited:
        after = replace(after, owner=before.owner)
    elif owned is None:
        ours = file.replaces or is_managed(before.content) or before.content == after.content
        action = "update" if ours else "foreign"
    elif before.digest != owned.digest and not force:
        action = "drift"
    base, edited = (file.edited.base, True) if file.edited else (None, False)
    args = (file.path, action, file.owner, before, after, file.loaded, base, edited, file.reload)
    return Change(*args)


def keeps(composition: Composition, owned: OwnedFile) -> bool:
    """Tell whether a file of ours stays though it is not wanted any more.

    k0s is still on the CRI that is left: containerd's files stay on the way to another runtime,
    and what is in that runtime's file on the way back.
    """
    return bool(composition.stays) and owned.edited != (composition.mode == "remote")


def _kept(path: str, owned: OwnedFile, observed: Observed, force: bool) -> Change:
    before = observed.files[path]
    drift = before.digest != owned.digest and not owned.edited and not force
    action: Action = "drift" if drift else "unchanged"
    return Change(path, action, owned.owner, before, before, edited=owned.edited, kept=True)


def _unwanted(path: str, owned: OwnedFile, observed: Observed, force: bool) -> Change:
    before = observed.files[path]
    if owned.edited:
        return taken_out(path, owned, before, observed.edited.get(path))
    if before.digest != owned.digest and not force:
        return Change(path, "drift", owned.owner, before)
    displaced = observed.displaced.get(path)
    if displaced is not None:
        return Change(path, "restore", owned.owner, before, displaced)
    return Change(path, "remove", owned.owner, before)


def taken_out(path: str, owned: OwnedFile, before: FileState, known: Before | None) -> Change:
    """Return the change that takes our keys out of another program's file."""
    left = without(path, before.content, known)
    after = replace(before, content=left) if left is not None else None
    action: Action = "restore" if after else "remove"
    taken = Change(path, action, owned.owner, before, after, loaded=False)
    return replace(taken, edited=True, reload=owned.reload)


def bounce(
    composition: Composition,
    observed: Observed,
    keys: tuple[KeyChange, ...],
    changes: Iterable[Change],
) -> Bounce:
    """Return the verdict for a composition: only a change of what containerd loads bounces.

    Where k0s runs containerd the verdict is about ours alone; the reason tells what k0s will do.
    """
    if composition.mode == "remote" and composition.stays:
        return Bounce("none", f"{composition.stays}: what is there stays until it was restarted")
    if composition.mode != "standalone":
        reason = "another runtime serves the CRI"
        if composition.mode == "managed":
            dropin = any(change.is_dropin for change in changes)
            reason = (
                "k0s bounces containerd, for its drop-ins change"
                if dropin
                else "k0s's drop-ins stay the same"
            )
        return Bounce("stop" if observed.running else "none", reason)
    if observed.running is None:
        return Bounce("start", observed.gone or "no containerd of ours is running")
    if observed.replaced:
        return Bounce("bounce", observed.replaced)
    if keys:
        first = dotted(keys[0].path)
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        return Bounce("bounce", f"the effective configuration changes: {first}{more}")
    return Bounce("none", "the effective configuration stays the same")
