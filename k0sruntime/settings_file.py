"""The settings file as a command brings it: in place when the change is proved, never before.

``up --settings-from FILE`` composes from FILE, and the node's own file stays as it is until all has
passed. So whatever ends the command, the next one, and the next start of the machine, find settings
that the node has lived with. ``rollback`` puts the settings of a generation back in the same way,
where the present ones were brought so: what somebody wrote by hand stays.

``/var/lib/k0sruntime/settings.json`` says what is coming, and what was brought last; the contents
are kept as all others of a generation.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from k0sruntime import regular, request_record
from k0sruntime.durable import remove, sync_folder, write_atomically, write_like, write_synced
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.plan import FileState, digest
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger
    from k0sruntime.stages import Prepared, Request, Story

SECRET = 0o600
"""Permissions of a new file, which may hold credentials of registries."""


@dataclass(frozen=True)
class Brought:
    """A settings file that a command brings, or has brought.

    Attributes:
        path: where it lies on this machine's disk; empty for the node's own place.
        digest: of its content; empty for no file at all.
        generation: the generation that it comes with.
    """

    path: str
    digest: str
    generation: int

    def place(self, paths: Paths) -> str:
        """Return where it lies on this machine's disk, behind links, but for those of an image."""
        path = self.path or paths.on_disk(paths.settings)
        return path if paths.image else os.path.realpath(path)


@contextlib.contextmanager
def brought(request: Request, prepared: Prepared) -> Iterator[Callable[[], None]]:
    """Have the settings ready that ``up`` was told to bring, if any; the function puts them there.

    Raises:
        RefusedError: the file system refuses; nothing was changed.
    """
    if not request.settings_from:
        yield lambda: None
        return
    paths, text = request.paths, prepared.settings_text
    found = file_state(Brought(request.settings, "", 0).place(paths))
    _note(paths, found.content if found else b"")  # what the present generation has lived with
    number = prepared.plan.generation
    if found and found.content == text:  # it is there, and is ours from now on
        last = Brought(request.settings, digest(text), number)
        yield lambda: None if _read(paths)[1] == last else _record(paths, None, last)
        return
    with bringing(paths, text, number, request.settings) as arrive:

        def here() -> None:
            _note(paths, text)
            arrive()

        yield here


def _note(paths: Paths, content: bytes) -> None:
    """Note down the settings of the present generation, if there is one."""
    state = State(paths)
    ledger = state.ledger()
    if ledger.generation and ledger.settings != digest(content):
        with refused_io(state.folder):
            state.save(replace(ledger, settings=state.keep(content)))


@contextlib.contextmanager
def bringing(
    paths: Paths, content: bytes | None, generation: int, path: str = ""
) -> Iterator[Callable[[], None]]:
    """Have a settings file ready; the yielded function puts it in place, when all has passed.

    Args:
        paths: the node's paths.
        content: what it is to say; ``None`` for no file.
        generation: the generation that it comes with.
        path: where it lies, where that is not the node's own place.

    Raises:
        RefusedError: the file system refuses.
    """
    state, begun = State(paths), False
    coming = Brought(path, digest(content) if content is not None else "", generation)
    with refused_io(state.folder):
        if content is not None:
            state.keep(content)
        _record(paths, coming, _read(paths)[1])

    def arrive() -> None:
        nonlocal begun
        begun = True
        try:
            _arrive(paths, coming)
        except OSError as exc:
            message = f"the change is done, and its settings are not in place: {exc.strerror}"
            remedy = "Mend the cause; the next command puts them there."
            problem = Problem(message, coming.place(paths), remedy=remedy)
            raise RefusedError(problem) from exc

    try:
        with refused_io(coming.place(paths)):
            _try(coming.place(paths), content)
        yield arrive
    finally:
        if not begun:
            _give_up(paths, coming)


def recover(paths: Paths, story: Story) -> None:
    """Finish what a killed command was about to bring where its change was proved; else forget it.

    Called when there is no unfinished apply any more, so that the ledger says what the node has.
    """
    coming, _ = _read(paths)
    if coming is None:
        return
    present, found = State(paths).ledger(), file_state(coming.place(paths))
    proved = present.proved and present.generation == coming.generation
    if (found.digest if found else "") == coming.digest:
        _arrive(paths, coming)  # but for its record
    elif proved and present.settings == (coming.digest or digest(b"")):
        _arrive(paths, coming)
        story.say(f"the settings of generation {present.generation}, which is proved, are in place")
    else:
        _give_up(paths, coming)


def come_back(paths: Paths, wanted: Ledger) -> str:
    """Return where the settings of a generation are kept, if they come back with it; else nothing.

    They do where they are known, and where the present ones were brought by a command and nobody
    edited them since.
    """
    last = _read(paths)[1]
    found = file_state(last.place(paths)) if last else None
    ours = last is not None and (found.digest if found else "") == last.digest
    return f"{State(paths).folder}/objects/{wanted.settings}" if ours and wanted.settings else ""


@contextlib.contextmanager
def going_back(paths: Paths, wanted: Ledger) -> Iterator[Callable[[], tuple[str, ...]]]:
    """Have the settings of a generation ready; the function puts them there, and tells so.

    Raises:
        RefusedError: they are not kept any more, or the file system refuses.
    """
    last = _read(paths)[1]
    if last is None or not come_back(paths, wanted):
        yield lambda: ()
        return
    kept = State(paths).kept(wanted.settings)
    with bringing(paths, kept or None, wanted.generation, last.path) as arrive:

        def back() -> tuple[str, ...]:
            arrive()
            request_record.take_settings(paths, kept)
            return (f"the settings of generation {wanted.generation} are back as well",)

        yield back


def _try(target: str, content: bytes | None) -> None:
    """Write the new file beside the old one: what a disk refuses, it refuses now."""
    if content is None:
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    write_synced(f"{target}.new", content, SECRET)


def _arrive(paths: Paths, coming: Brought) -> None:
    place = coming.place(paths)
    if coming.digest:
        content, found = State(paths).kept(coming.digest), file_state(place)
        write_like(place, content, found or FileState(b"", SECRET))
    elif os.path.exists(place):
        remove(place)
        sync_folder(os.path.dirname(place))
    _record(paths, None, coming)


def _give_up(paths: Paths, coming: Brought) -> None:
    """Leave the file as it is, and nothing beside it."""
    place = coming.place(paths)
    remove(f"{place}.new")
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(place))  # which was made for it, where it is empty
    _record(paths, None, _read(paths)[1])


def _record(paths: Paths, coming: Brought | None, last: Brought | None) -> None:
    document = {
        "coming": asdict(coming) if coming else None,
        "last": asdict(last) if last else None,
    }
    if coming is None and last is None:
        remove(_file(paths))
    else:
        write_atomically(_file(paths), json.dumps(document).encode())


def _read(paths: Paths) -> tuple[Brought | None, Brought | None]:
    """Return what is coming, and what was brought last; a spoilt record says nothing."""
    try:
        with regular.opened(_file(paths)) as file:
            document = json.load(file)
        coming, last = (document[key] and Brought(**document[key]) for key in ("coming", "last"))
    except (FileNotFoundError, *NONSENSE):
        return None, None
    return coming, last


def _file(paths: Paths) -> str:
    return f"{State(paths).folder}/settings.json"
