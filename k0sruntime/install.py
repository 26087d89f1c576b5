"""Installing programs: each version in a folder of its own, staged, checked, renamed into place.

What runs is never touched: the files that are composed name the folder of a version, so that a new
one counts when they are applied, and no longer when they are put back. Old versions go once nothing
needs them.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from k0sruntime import masking, regular
from k0sruntime.durable import sync_folder, write_synced
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.installed import MARK, shape, users, versions
from k0sruntime.lint.elf import HEADER_BYTES, machine_of, runs_on
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from k0sruntime.binaries import Download, Installation
    from k0sruntime.paths import Paths

STAGING = ".staging"
FOR_ALL = 0o755
"""Everybody may run what we install: runsc runs itself again without privileges."""


def install(
    installation: Installation,
    files: Sequence[tuple[Download, str, str]],
    paths: Paths,
    arch: str,
    check: Callable[[str], None] = lambda _: None,
) -> None:
    """Lay fetched files into the folder of their version, at once.

    Args:
        installation: what is installed.
        files: download, algorithm, and the checked file in the cache.
        paths: the node's paths.
        arch: the node's machine, as ``uname -m`` spells it.
        check: called with the staged folder before it counts; raises to stop here.

    Raises:
        RefusedError: a program is missing or for another machine, or the file system refuses.
    """
    target = paths.on_disk(installation.folder)
    parent = os.path.dirname(target)
    staging = f"{parent}/{STAGING}-{os.path.basename(target)}"
    with refused_io(parent):
        os.makedirs(parent, exist_ok=True)
        for folder in (paths.on_disk(paths.state), os.path.dirname(parent), parent):
            os.chmod(folder, FOR_ALL)
        _refuse_noexec(parent)
        _clear(staging)
        os.mkdir(staging)
    try:
        for download, _, path in files:
            _place(download, path, staging)
        _finish(installation, staging, arch)
        check(staging)
        with refused_io(staging):
            _record(installation, files, staging)
            _switch(staging, target)
    except BaseException:
        _clear(staging)
        raise


def _place(download: Download, path: str, staging: str) -> None:
    if download.unpack:
        from k0sruntime.unpack import unpack

        unpack(path, staging, masking.url(download.url))
        return
    with refused_io(staging):
        shutil.copyfile(path, f"{staging}/{download.file_name}")


def _finish(installation: Installation, staging: str, arch: str) -> None:
    """See that the programs are there, for this machine, and may be run by everybody."""
    problems, sound = [], []
    for program in installation.programs:
        path = _inside(f"{staging}/{program}", staging)
        if not path:
            problems.append(f"there is no {program} in it")
            continue
        with regular.opened(path) as file:
            machine = machine_of(file.read(HEADER_BYTES))
        if not runs_on(machine, arch):
            problems.append(f"{program} is {_for(machine)}, and this machine is {arch}")
        sound.append(path)
    if problems:
        raise RefusedError(
            *(
                Problem(
                    f"{installation} cannot be installed: {problem}",
                    place=", ".join(masking.url(d.url) for d in installation.downloads),
                    culprit=str(installation.owner),
                    remedy="Name another version or source; nothing of it was installed.",
                )
                for problem in problems
            )
        )

    for path in sound:
        with refused_io(path):
            os.chmod(path, FOR_ALL)


def _inside(path: str, folder: str) -> str:
    """Return the plain file that a path comes to, or nothing where it is none below the folder."""
    real = os.path.realpath(path)
    below = real.startswith(f"{os.path.realpath(folder)}/")
    return real if below and os.path.isfile(real) else ""


def _for(machine: str) -> str:
    return "no program" if machine == "?" else f"for {machine}"


def _refuse_noexec(folder: str) -> None:
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise RefusedError(
            Problem(
                "this file system is mounted noexec: no program can run from it",
                place=folder,
                remedy="Mount it with exec, or install the programs elsewhere by hand.",
            )
        )


def _record(
    installation: Installation, files: Sequence[tuple[Download, str, str]], staging: str
) -> None:
    """Write what the installation is made of, and bring everything to the disk.

    A generation keeps this record, and ``restore.py`` makes the installation anew from it.
    """
    found = {}
    for folder, _, names in os.walk(staging):
        os.chmod(folder, FOR_ALL)
        for name in names:
            path = f"{folder}/{name}"
            found[os.path.relpath(path, staging)] = shape(path)
            _sync(path)
    document = {
        "kind": "Installation",
        "schema": 1,
        "owner": asdict(installation.owner),
        "name": installation.binary.name,
        "version": installation.binary.version,
        "programs": list(installation.programs),
        "downloads": [
            {
                "name": d.file_name,
                "url": masking.url(d.url),
                "algorithm": algorithm,
                "digest": os.path.basename(path),
                "unpack": d.unpack,
            }
            for d, algorithm, path in files
        ],
        "files": found,
    }
    write_synced(f"{staging}/{MARK}", json.dumps(document, indent=1).encode(), 0o644)
    for folder, _, _ in os.walk(staging):
        sync_folder(folder)


def _sync(path: str) -> None:
    if os.path.islink(path):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _switch(staging: str, target: str) -> None:
    """Rename the staged folder into place; a spoilt one that lay there goes."""
    spoilt = f"{os.path.dirname(target)}/{STAGING}-spoilt"
    if os.path.lexists(target):
        _clear(spoilt)
        os.rename(target, spoilt)
    os.rename(staging, target)
    sync_folder(os.path.dirname(target))
    _clear(spoilt)


def _clear(folder: str) -> None:
    if os.path.isdir(folder) and not os.path.islink(folder):
        shutil.rmtree(folder)
    elif os.path.lexists(folder):
        os.unlink(folder)


def _sweep(paths: Paths) -> None:
    """Remove what killed commands have left half-made, of whatever version."""
    for left in glob.glob(f"{glob.escape(paths.on_disk(paths.binaries))}/*/{STAGING}-*"):
        _clear(left)


def prune(paths: Paths, needed: Collection[str]) -> list[str]:
    """Remove the versions that nothing needs, and return what is to be told about the others.

    Args:
        paths: the node's paths.
        needed: folders that the present files name, or those of the generation before.
    """
    _sweep(paths)
    notes = []
    for provider, folders in versions(paths).items():
        for folder in folders:
            if folder in needed:
                continue
            name = os.path.basename(folder)
            if processes := users(paths.on_disk(folder)):
                notes.append(
                    f"{name} of {provider} stays for the {len(processes)} processes that run it"
                    f" (PID {processes[0]}…); an up after their end removes it"
                )
                continue
            try:
                shutil.rmtree(paths.on_disk(folder))
            except OSError as exc:
                notes.append(f"{name} of {provider} cannot be removed: {exc.strerror}")
            else:
                notes.append(f"{name} of {provider} is not needed any more and was removed")
    return notes
