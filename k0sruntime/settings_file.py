"""The settings file as a command brings it: in place when the change is proved, never before.

``up --settings-from FILE`` composes from FILE, and the node's own file stays as it is until all has
passed. So whatever ends the command, the next one, and the next start of the machine, find settings
that the node has lived with. ``rollback`` puts the settings of a generation back in the same way,
where the present ones were brought so: what somebody wrote by hand stays.

A change that is done is done: where the file cannot be written, its settings count all the same,
and every later command tries again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import settings_record
from k0sruntime.durable import put, remove, sync_folder, write_synced
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import State
from k0sruntime.plan import FileState, digest
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io
from k0sruntime.settings_record import Brought, Coming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger
    from k0sruntime.stages import Prepared, Request, Story

    Arrive = Callable[[], tuple[str, ...]]
    """Puts the settings in place when all has passed, and returns what is to be told."""

SECRET = 0o600
"""Permissions of a new file, which may hold credentials of registries."""


@contextlib.contextmanager
def brought(request: Request, prepared: Prepared) -> Iterator[Arrive]:
    """Have the settings ready that ``up`` was told to bring, if any; the function puts them there.

    In any case it notes down what the generation was composed from.

    Raises:
        RefusedError: the file system refuses; nothing was changed.
    """
    paths, text, number = request.paths, prepared.settings_text, prepared.plan.generation
    if not request.settings_from:
        yield lambda: _noted(paths, text)
        return
    last = Brought(request.settings, digest(text), number)
    found = file_state(last.place(paths))
    if found and found.content == text:
        yield lambda: (*_noted(paths, text), *_taken_over(paths, last))
        return
    with bringing(paths, text, number, request.settings) as arrive:
        yield lambda: (*_noted(paths, text), *arrive())


def _noted(paths: Paths, text: bytes) -> tuple[str, ...]:
    """Note down what the present generation was composed from, if there is one."""
    state = State(paths)
    ledger = state.ledger()
    if not ledger.generation or ledger.settings == digest(text):
        return ()
    with contextlib.suppress(OSError):  # what it says now comes to the same as what is noted
        state.save(replace(ledger, settings=state.keep(text)))
    return ()


def _taken_over(paths: Paths, last: Brought) -> tuple[str, ...]:
    """Note down that a command has brought what lies there already."""
    overdue, known = settings_record.read(paths)
    with contextlib.suppress(OSError):  # then nobody has brought it, and it stays on a way back
        if overdue:
            _give_up(paths, overdue)
        if known != last:
            settings_record.write(paths, None, last)
    return ()


@contextlib.contextmanager
def bringing(
    paths: Paths, content: bytes | None, generation: int, path: str = "", *, insist: bool = True
) -> Iterator[Arrive]:
    """Have a settings file ready; the yielded function puts it in place, when all has passed.

    Args:
        paths: the node's paths.
        content: what it is to say; ``None`` for no file.
        generation: the generation that it comes with.
        path: where it lies, where that is not the node's own place.
        insist: refuse now what a disk would refuse then.

    Raises:
        RefusedError: the file system refuses.
    """
    state, begun = State(paths), False
    overdue, last = settings_record.read(paths)
    coming = _coming(paths, content, generation, path)
    with refused_io(state.folder):
        if content is not None:
            state.keep(content)
        settings_record.write(paths, coming, last)

    def arrive() -> tuple[str, ...]:
        nonlocal begun
        begun = True
        try:
            settings_record.write(paths, replace(coming, passed=True), last)
            return _arrive(paths, coming)
        except (OSError, RefusedError) as exc:
            return (_not_yet(paths, coming, exc),)

    try:
        if insist and content is not None:
            with refused_io(coming.place(paths)):
                remove(coming.scratch)  # of one that could not be put in place: nor can this be
                _lay_beside(paths, coming, content)
        yield arrive
    finally:
        if not begun:
            with contextlib.suppress(OSError):  # the next command does it
                _give_up(paths, coming, overdue)


def _coming(paths: Paths, content: bytes | None, generation: int, path: str) -> Coming:
    """Return the record of a settings file that comes, and keep what it takes the place of."""
    state, (overdue, last) = State(paths), settings_record.read(paths)
    key = digest(content) if content is not None else ""
    place = Brought(path, key, generation).place(paths)
    folder = os.path.dirname(place)
    name = f"{folder}/.{os.path.basename(place)}.{secrets.token_hex(8)}"
    if overdue and os.path.dirname(overdue.scratch) == folder:
        name = overdue.scratch  # of one that could not be written: no second one is left over
    found = file_state(place)
    known = {state.ledger().settings, key, last.digest if last else ""}
    edited = found is not None and found.digest not in known
    if found and edited:
        with refused_io(state.folder):
            state.keep(found.content)
    made: list[str] = []
    while not os.path.isdir(folder):
        made.insert(0, folder)
        folder = os.path.dirname(folder)
    before = found.digest if found else ""
    return Coming(path, key, generation, name, tuple(made), before, edited)


def recover(paths: Paths, story: Story) -> None:
    """Finish what a killed command was about to bring where its change was done; else forget it.

    Called when there is no unfinished apply any more, so that the ledger says what the node has.
    What cannot be written stops nothing: it is told, and tried again by the next command.
    """
    coming, _ = settings_record.read(paths)
    if coming is None:
        return
    due = _due(paths, coming)
    try:
        told = _settled(paths, coming, due=due)
    except (OSError, RefusedError) as exc:
        left = f"{coming.scratch} is left over ({_why(exc)}), and the next command removes it"
        told = (_not_yet(paths, coming, exc) if due else left,)
    for sentence in told:
        story.say(sentence)


def _settled(paths: Paths, coming: Coming, *, due: bool) -> tuple[str, ...]:
    place, number = coming.place(paths), coming.generation
    found = _digest(place)
    if found == coming.digest:
        _give_up(paths, coming)
        settings_record.write(paths, None, coming.as_brought)
        return ()
    if due and found == coming.before:
        told = _arrive(paths, coming)
        return (*told, f"the settings of generation {number}, which is done, are in place")
    _give_up(paths, coming)
    if not due:
        return ()
    kept = _object(paths, coming.digest)
    return (f"{place} was edited since, and stays; generation {number} was made of {kept}",)


def on_its_way(paths: Paths, path: str) -> bytes | None:
    """Return the settings of a change that is done, where their file is not in place yet.

    Args:
        paths: the node's paths.
        path: where the file lies, where that is not the node's own place.
    """
    coming, _ = settings_record.read(paths)
    if coming is None or coming.path != path:
        return None
    try:
        if not _due(paths, coming) or _digest(coming.place(paths)) != coming.before:
            return None
        return State(paths).kept(coming.digest) if coming.digest else b""
    except RefusedError:
        return None


def come_back(paths: Paths, wanted: Ledger) -> bytes | None:
    """Return the settings of a generation, if they come back with it.

    They do where they are known, and where the present ones were brought by a command and nobody
    edited them since.

    Raises:
        RefusedError: they are not kept any more.
    """
    coming, last = settings_record.read(paths)
    now = coming if coming and on_its_way(paths, coming.path) is not None else last
    if now is None or not wanted.settings:
        return None
    ours = now is coming or _digest(now.place(paths)) == now.digest
    return State(paths).kept(wanted.settings) if ours else None


@contextlib.contextmanager
def going_back(paths: Paths, wanted: Ledger) -> Iterator[Arrive]:
    """Have the settings of a generation ready; the function puts them there, and tells so.

    Raises:
        RefusedError: they are not kept any more, or the file system refuses.
    """
    kept = come_back(paths, wanted)
    if kept is None:
        yield lambda: ()
        return
    coming, last = settings_record.read(paths)
    path = (coming or last or Brought("", "", 0)).path
    with bringing(paths, kept or None, wanted.generation, path, insist=False) as arrive:

        def back() -> tuple[str, ...]:
            told = arrive()
            return told or (f"the settings of generation {wanted.generation} are back as well",)

        yield back


def _due(paths: Paths, coming: Coming) -> bool:
    """Tell whether the change that settings came with is done, and the node still has it."""
    present = State(paths).ledger()
    proved = present.proved and present.generation == coming.generation
    return (coming.passed or proved) and present.settings == (coming.digest or digest(b""))


def _lay_beside(paths: Paths, coming: Coming, content: bytes) -> None:
    """Write the new file beside the old one: what a disk refuses, it refuses now."""
    place = coming.place(paths)
    found = file_state(place) or FileState(b"", SECRET)
    ready = file_state(coming.scratch)
    if ready and (ready.digest, ready.mode) == (digest(content), found.mode):
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    remove(coming.scratch)
    write_synced(coming.scratch, content, found.mode, found.owner, fresh=True)


def _arrive(paths: Paths, coming: Coming) -> tuple[str, ...]:
    """Put the file in place, and tell of a hand's edit that it takes the place of."""
    place = coming.place(paths)
    found, told = file_state(place), []
    if found and found.digest != coming.digest:
        if coming.edited or found.digest != coming.before:
            kept = _object(paths, State(paths).keep(found.content))
            told.append(f"{place} had an edit that was not applied; it is kept as {kept}")
        if not coming.digest:
            remove(place)
            sync_folder(os.path.dirname(place))
    if coming.digest and (not found or found.digest != coming.digest):
        _lay_beside(paths, coming, State(paths).kept(coming.digest))
        put(coming.scratch, place)
    elif os.path.lexists(coming.scratch):
        remove(coming.scratch)
    settings_record.write(paths, None, coming.as_brought)
    return tuple(told)


def _give_up(paths: Paths, coming: Coming, instead: Coming | None = None) -> None:
    """Leave the file as it is, and nothing of ours beside it."""
    shared = instead is not None and instead.scratch == coming.scratch
    if os.path.lexists(coming.scratch) and not shared:  # else a read-only disk refuses it
        remove(coming.scratch)
    for folder in reversed(coming.made):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    settings_record.write(paths, instead, settings_record.read(paths)[1])


def _not_yet(paths: Paths, coming: Coming, error: Exception) -> str:
    return (
        f"{coming.place(paths)} could not be written ({_why(error)}): the settings of generation"
        f" {coming.generation} count all the same, and the next command tries again"
    )


def _why(error: Exception) -> str:
    return getattr(error, "strerror", "") or str(error)


def _digest(place: str) -> str:
    found = file_state(place)
    return found.digest if found else ""


def _object(paths: Paths, key: str) -> str:
    return f"{State(paths).folder}/objects/{key}"
