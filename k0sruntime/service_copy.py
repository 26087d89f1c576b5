"""k0s's service as it was, on disk for as long as ``k0s install --force`` is at work.

That command takes the old service away before the new one is there: ``systemctl disable`` or
``rc-update delete``, the file, then both anew (kardianos/service). Killed in between, the
operator's flags would be lost. So file and links are kept below our state, ``k0s-install.json``,
and put back where the command did not get through; the next command does so where this one was
killed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.compose import k0s_unit
from k0sruntime.durable import remove, sync_folder, write_atomically, write_like
from k0sruntime.errors import Problem, RefusedError, RollbackFailedError
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.plan import FileState
from k0sruntime.processes import start_time
from k0sruntime.programs import ask
from k0sruntime.real_files import RealFiles, file_state
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.compose.k0s_unit import Service
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Story

AT_WORK_SECONDS = 60.0
POLL_SECONDS = 0.1
RELOAD_SECONDS = 30.0


@dataclass(frozen=True)
class Copy:
    """What is needed to put a service back.

    Attributes:
        path: its file.
        content: digest under which the file is kept.
        mode: its permission bits.
        owner: its user and group.
        links: path and target of each link that starts it at boot.
        words: the command that is to install it anew.
        pid: the process that runs the command; 0 before it does.
        start_time: when that was started, in clock ticks since boot.
    """

    path: str
    content: str
    mode: int
    owner: tuple[int, int]
    links: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    pid: int = 0
    start_time: int = 0


def made(service: Service, words: Sequence[str], paths: Paths) -> Copy | None:
    """Keep a service's file and links on disk; ``None`` where there is no file to lose.

    Raises:
        RefusedError: the file system refuses.
    """
    before = file_state(paths.on_disk(service.path))
    if before is None:
        return None
    state = State(paths)
    with refused_io(state.folder):
        key = state.keep(before.content)
        links = tuple(_links(service, paths))
        copy = Copy(service.path, key, before.mode, before.owner, links, tuple(words))
        _save(copy, state)
    return copy


def at_work(copy: Copy, pid: int, paths: Paths) -> None:
    """Note down who runs the command, so that a later one can wait for it."""
    _save(replace(copy, pid=pid, start_time=start_time(pid) or 0), State(paths))


def drop(paths: Paths) -> None:
    """Forget the copy: the service is as it shall be."""
    remove(_path(State(paths)))


def put_back(copy: Copy, paths: Paths) -> None:
    """Put file and links back, and let systemd read its units again.

    Raises:
        RollbackFailedError: the file system refuses; the copy stays, and where it is is told.
    """
    target, state = paths.on_disk(copy.path), State(paths)
    try:
        kept = FileState(state.kept(copy.content), copy.mode, copy.owner)
        if file_state(target) != kept:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            write_like(target, kept.content, kept)
        for path, leads_to in copy.links:
            _put_link_back(paths.on_disk(path), leads_to)
    except (OSError, RefusedError) as exc:
        raise RollbackFailedError(
            Problem(
                f"k0s's service could not be put back: {exc}",
                place=copy.path,
                remedy=f"Its copy is {state.folder}/objects/{copy.content}; mend the cause, and any"
                " command puts it back.",
            )
        ) from exc
    _reload(paths)
    drop(paths)


def recover(paths: Paths, story: Story) -> None:
    """Put k0s's service back where a command was killed while ``k0s install`` was at work.

    Where that got through all the same, what it has written stays.

    Raises:
        RefusedError: it is at work still, or our record cannot be read.
        RollbackFailedError: the service cannot be put back.
    """
    copy = _load(State(paths))
    if copy is None:
        return
    with story.stage("recover") as tell:
        _wait(copy)
        found = k0s_unit.installed(RealFiles(paths), paths)
        there = all(os.path.lexists(paths.on_disk(path)) for path, _ in copy.links)
        if found and there and not k0s_unit.lost(copy.words, found):
            drop(paths)
            tell("k0s install had got through, though the command that ran it was killed")
            return
        put_back(copy, paths)
        tell(f"k0s install was killed: {copy.path} is as it was")


def missing_links(copy: Copy, paths: Paths) -> list[str]:
    """Return the links of the service that are not there any more."""
    return [path for path, _ in copy.links if not os.path.lexists(paths.on_disk(path))]


def _wait(copy: Copy) -> None:
    """Wait for a ``k0s install`` that outlived the command that started it."""
    deadline = time.monotonic() + AT_WORK_SECONDS
    while copy.pid and start_time(copy.pid) == copy.start_time:
        if time.monotonic() > deadline:
            raise RefusedError(
                Problem(
                    "k0s install is at work still",
                    place=f"PID {copy.pid}",
                    culprit="k0s",
                    remedy="See what it waits for, or end it; then run the same command again.",
                )
            )
        time.sleep(POLL_SECONDS)


def _links(service: Service, paths: Paths) -> list[tuple[str, str]]:
    """Return the links that start a service at boot: ``*.wants``, or OpenRC's runlevels."""
    files = RealFiles(paths)
    if service.init == "openrc":
        above = f"{os.path.dirname(paths.init_scripts)}/runlevels"
        folders = [f"{above}/{name}" for name in files.names(above)]
    else:
        above = paths.systemd[0]
        names = [n for n in files.names(above) if n.endswith((".wants", ".requires"))]
        folders = [f"{above}/{name}" for name in names]
    found = [f"{folder}/{os.path.basename(service.path)}" for folder in folders]
    return [(p, os.readlink(on)) for p in found if os.path.islink(on := paths.on_disk(p))]


def _put_link_back(path: str, leads_to: str) -> None:
    if os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(leads_to, path)
    sync_folder(os.path.dirname(path))


def _reload(paths: Paths) -> None:
    """Let systemd read its units; a sandbox does not speak to this machine's own."""
    program = shutil.which("systemctl", path=paths.bin if paths.sandbox else None)
    if program and paths.root == "/":
        ask([program, "daemon-reload"], RELOAD_SECONDS)


def _path(state: State) -> str:
    return f"{state.folder}/k0s-install.json"


def _save(copy: Copy, state: State) -> None:
    content = json.dumps({"kind": "ServiceCopy", "schema": 1, **asdict(copy)}, indent=1)
    write_atomically(_path(state), content.encode(), 0o600)  # tokens may be among the words


def _load(state: State) -> Copy | None:
    try:
        with regular.opened(_path(state)) as file:
            document = json.load(file)
        known = {key: document[key] for key in Copy.__dataclass_fields__}
        links = tuple((str(path), str(leads_to)) for path, leads_to in known["links"])
        return Copy(
            **{
                **known,
                "links": links,
                "owner": tuple(known["owner"]),
                "words": tuple(known["words"]),
            }
        )
    except FileNotFoundError:
        return None
    except (OSError, *NONSENSE) as exc:
        raise RefusedError(
            Problem(
                f"our own record cannot be read: {type(exc).__name__}: {exc}",
                place=_path(state),
                remedy="Look whether k0s's service is whole, then remove it.",
            )
        ) from exc
