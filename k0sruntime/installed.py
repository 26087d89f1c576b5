"""What programs of ours lie on the node: whole installations, and the folders beside them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from k0sruntime import regular
from k0sruntime.ledger import NONSENSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.binaries import Download, Installation
    from k0sruntime.paths import Paths

MARK = ".k0sruntime.json"
"""Lies in a whole installation and tells what it is made of; written last."""


def is_installed(installation: Installation, paths: Paths) -> bool:
    """Tell whether an installation is there and whole: sizes and permissions as recorded.

    A pinned checksum that has changed since counts as another file.
    """
    folder = paths.on_disk(installation.folder)
    record = whole(folder)
    if record is None:
        return False
    known = {item["name"]: item for item in record["downloads"]}
    return all(_same(download, known) for download in installation.downloads)


def whole(folder: str) -> dict[str, Any] | None:
    """Return what an installation is made of, or ``None`` where it is not whole or none at all."""
    record = read_record(record_of(folder))
    if record is None:
        return None
    kept = (shape(f"{folder}/{name}") == tuple(at) for name, at in record["files"].items())
    return record if all(kept) else None


def _same(download: Download, known: Mapping[str, Any]) -> bool:
    """Tell whether a file of this version is the one wanted, from whatever source it came."""
    found = known.get(download.file_name)
    if found is None:
        return False
    pins = {"sha512": download.sha512, "sha256": download.sha256}
    pinned = [pin for pin in pins.values() if pin]
    return not pinned or pins.get(found["algorithm"]) == found["digest"]


def record_of(folder: str) -> bytes:
    """Return the record of an installation as it lies there; empty where there is none."""
    with contextlib.suppress(OSError), regular.opened(f"{folder}/{MARK}") as file:
        return file.read()
    return b""


def read_record(content: bytes) -> dict[str, Any] | None:
    """Return what a record says, or ``None`` where it says nothing that we wrote."""
    with contextlib.suppress(*NONSENSE):
        document = json.loads(content)
        for item in document["downloads"]:
            for key in ("name", "url", "algorithm", "digest"):
                _text(item[key])
        for name, (size, mode) in document["files"].items():
            _text(name)
            int(size), int(mode)
        found: dict[str, Any] = document
        return found
    return None


def _text(value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")


def shape(path: str) -> tuple[int, int]:
    """Return size and permission bits of a file; (-1, 0) where it is none."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, 0
    return found.st_size, stat.S_IMODE(found.st_mode)


def versions(paths: Paths) -> dict[str, list[str]]:
    """Return all folders of versions on the node, by provider, as the node sees them.

    What bears no record of ours was put there by another hand, and is left alone.
    """
    base = paths.on_disk(paths.binaries)
    return {
        provider: [
            f"{paths.binaries}/{provider}/{name}"
            for name in _folders(f"{base}/{provider}")
            if not name.startswith(".") and record_of(f"{base}/{provider}/{name}")
        ]
        for provider in _folders(base)
    }


def _folders(folder: str) -> list[str]:
    """Return the names of the folders in a folder; stray files and links are nobody's versions."""
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def users(folder: str) -> list[int]:
    """Return the processes whose program lies in a folder, also where it was removed since."""
    real = f"{os.path.realpath(folder)}/"
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{name}/exe").startswith(real):
                found.append(int(name))
    return sorted(found)
