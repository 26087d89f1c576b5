"""Reading the machine: settings, foreign files, and what of ours lies on disk; nothing more."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import regular, toml
from k0sruntime.compose import Existing, main_file
from k0sruntime.compose.foreign import foreign_files
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.file_names import name_fault
from k0sruntime.installed import is_installed
from k0sruntime.ledger import State
from k0sruntime.plan import FileState, Observed, digest
from k0sruntime.processes import alive, identity, server_of, start_time
from k0sruntime.real_files import RealFiles, file_state
from k0sruntime.regular import ENOUGH
from k0sruntime.settings import SettingsFile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.compose.foreign import ForeignFile
    from k0sruntime.node import Program
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger, Running


def read_settings(paths: Paths, path: str = "") -> SettingsFile:
    """Read the settings file; one that is not there is empty, unless it was named.

    Raises:
        RefusedError: unreadable, too large, or not TOML.
    """
    where = path or paths.settings
    on_disk = path or paths.on_disk(paths.settings)
    try:
        with regular.opened(on_disk) as file:
            data = file.read(ENOUGH)
    except FileNotFoundError:
        if path:
            raise RefusedError(Problem("no such settings file", place=path)) from None
        return SettingsFile(where, {})
    except OSError as exc:
        raise RefusedError(
            Problem(f"the settings file cannot be read: {exc.strerror}", place=where)
        ) from exc
    return SettingsFile(where, toml.load(data, where), data)


def owned(paths: Paths) -> Ledger:
    """Read our record, without a main file whose user has taken it over since.

    k0s's marker decides whose the main file is: taking its first line out makes it its user's.
    """
    ledger = State(paths).ledger()
    known = ledger.files.get(paths.main_file)
    found = RealFiles(paths).read(paths.main_file) if known else None
    if known is None or found is None or digest(found) == known.digest:
        return ledger
    if main_file.is_managed(found):
        return ledger
    files = {path: file for path, file in ledger.files.items() if path != paths.main_file}
    return replace(ledger, files=files)


def existing(paths: Paths, ledger: Ledger) -> Existing:
    """Read what other hands wrote: the main file, and drop-ins that are not ours.

    Go's glob loads hidden files as well, and so do we.
    """
    files = RealFiles(paths)
    main = files.read(paths.main_file)
    if kind := files.other_kind(paths.main_file):
        why = f"it is {kind}, and no file"
        raise RefusedError(_unreadable("main file", paths.main_file, why))
    adopted = ledger.files.get(paths.main_file)
    if main is not None and adopted and adopted.displaced and digest(main) == adopted.digest:
        main = None  # its user has handed it over: it is replaced, and kept
    dropins = read_dropins(files, paths.dropins, ledger.files)
    imports = {} if main is None or main_file.is_managed(main) else _imports(files, paths, main)
    state = State(paths)
    edited = {path: state.before(owned) for path, owned in ledger.files.items() if owned.edited}
    profile, own = state.remembered_profile()
    return Existing(main, dropins, imports, profile, edited, own)


def foreign_here(paths: Paths) -> tuple[ForeignFile, ...]:
    """Return the files of other hands; none where one cannot be read, which others refuse."""
    try:
        return foreign_files(existing(paths, owned(paths)), paths)
    except RefusedError:
        return ()


def quarantined(paths: Paths) -> tuple[str, ...]:
    """Return the foreign files that were moved out of containerd's way, and are kept."""
    names = RealFiles(paths).names(paths.quarantine)
    return tuple(f"{paths.quarantine}/{name}" for name in names)


def read_dropins(files: RealFiles, folder: str, ours: Collection[str] = ()) -> dict[str, bytes]:
    """Read the drop-ins of a folder by name, but for ``ours`` (paths).

    Raises:
        RefusedError: every drop-in that cannot be read: containerd would not start.
    """
    found: dict[str, bytes] = {}
    problems: list[Problem] = []
    for name in files.names(folder):
        path = f"{folder}/{name}"
        if not name.endswith(".toml") or path in ours:
            continue
        if wrong := name_fault(path):
            problems.append(wrong)
            continue
        content = files.read(path)
        if content is None:
            kind = files.other_kind(path)
            why = f"it is {kind}, and no file" if kind else "no permission, or a dangling link"
            problems.append(_unreadable("drop-in", path, why))
        else:
            found[name] = content
    if problems:
        raise RefusedError(*problems)
    return found


def _unreadable(role: str, path: str, why: str) -> Problem:
    remedy = "Mend or remove it: containerd does not start with it."
    return Problem(f"the {role} cannot be read: {why}", path, "a foreign file", remedy)


def _imports(files: RealFiles, paths: Paths, main: bytes) -> Mapping[str, bytes]:
    """Read what a user-managed main file imports, but for the drop-in folder (breadth first).

    Raises:
        RefusedError: what an import names is no file: containerd fails on it, or waits for ever.
    """
    found: dict[str, bytes] = {}
    problems: dict[str, Problem] = {}
    queue = [(paths.main_file, main)]
    while queue:
        importer, data = queue.pop(0)
        try:
            patterns = toml.load(data, importer).get("imports", [])
        except toml.TOMLError:
            continue  # compose reads it again and refuses it with its place
        for pattern in patterns if isinstance(patterns, list) else []:
            full = os.path.normpath(os.path.join(os.path.dirname(importer), str(pattern)))
            for path in _glob(files, full):
                if os.path.dirname(path) == paths.dropins or path in found:
                    continue
                if kind := files.other_kind(path):
                    why = f"it is {kind}, and no file"
                    problems[path] = _unreadable("import", path, why)
                elif content := files.read(path):
                    found[path] = content
                    queue.append((path, content))
    if problems:
        raise RefusedError(*problems.values())
    return found


def _glob(files: RealFiles, pattern: str) -> list[str]:
    """Return the paths that a pattern of Go's ``filepath.Glob`` names, in its order."""
    found = [""]
    for part in pattern.strip("/").split("/"):
        if set(part) & set("*?["):
            found = [
                f"{folder}/{name}"
                for folder in found
                for name in files.names(folder or "/")
                if fnmatch.fnmatchcase(name, part)
            ]
        else:
            found = [f"{folder}/{part}" for folder in found]
    return found


def observe(
    composition: Composition | None,
    paths: Paths,
    ledger: Ledger,
    containerd: Program | None = None,
) -> Observed:
    """Read what lies at the composed and the owned paths, and the running containerd.

    Args:
        composition: what the node shall have; ``None`` for nothing.
        paths: the node's paths.
        ledger: what we own.
        containerd: the one that is installed.
    """
    wanted = {file.path for file in composition.files} if composition else set()
    wanted_programs = composition.installations if composition else ()
    files = {}
    for path in wanted | set(ledger.files):
        found = file_state(paths.on_disk(path))
        if found is not None:
            files[path] = found
    state = State(paths)
    displaced = {
        path: FileState(state.kept(owned.displaced), owned.displaced_mode, owned.displaced_owner)
        for path, owned in ledger.files.items()
        if owned.displaced and path not in wanted
    }
    generations = state.generations()
    record = state.running()
    runs = record if record and alive(record) else None
    return Observed(
        files,
        ledger,
        runs,
        displaced,
        {path: state.before(owned) for path, owned in ledger.files.items() if owned.edited},
        generations[-1] if generations else 0,
        os.path.exists(state.journal),
        frozenset(i.folder for i in wanted_programs if is_installed(i, paths)),
        gone=_gone(record) if record and not runs else "",
        replaced=_replaced(runs, containerd, paths) if runs and containerd else "",
    )


def _gone(record: Running) -> str:
    if start_time(record.pid) is None:
        return f"the containerd that we started, PID {record.pid}, is gone"
    return f"the containerd that we started is gone; PID {record.pid} is another process now"


def _replaced(runs: Running, containerd: Program, paths: Paths) -> str:
    if server_of(paths.socket) is None:
        return f"containerd, PID {runs.pid}, runs, and nobody serves its socket any more"
    if not runs.binary or runs.binary == identity(containerd.path):
        return ""
    return f"containerd {runs.version} runs, {containerd.path} is {containerd.version} now"
