"""What a bundle lays onto a node beside programs: its settings and its images, and the way back.

Settings are laid where the node has none, or has those of an earlier bundle that nobody edited
since; the operator's own are never written over. An image is renamed into k0s's folder when it is
whole: k0s imports whatever appears there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime import regular, toml
from k0sruntime.bundle.manifest import SETTINGS
from k0sruntime.cache import digest_of
from k0sruntime.durable import sync_folder, write_atomically
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.plan import digest
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from k0sruntime.bundle.archive import Archive
    from k0sruntime.bundle.manifest import Entry
    from k0sruntime.paths import Paths

RECORD = "bundle"
"""``/var/lib/k0sruntime/bundle.json``: what bundles have laid here, by checksum."""
STAGING = ".k0sruntime-images"
"""Beside k0s's folder of images, which k0s watches."""


@dataclass
class Placed:
    """What was laid onto the node so far, and how to take it back."""

    paths: Paths
    known: dict[str, Any] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    """New images, as the node sees them."""
    notes: list[str] = field(default_factory=list)
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def take_back(self) -> list[str]:
        """Leave the node as it was before, as far as this is about; return what could not be."""
        failed = []
        for undo in reversed(self._undo):
            try:
                undo()
            except OSError as exc:
                failed.append(f"{exc.filename} could not be taken back: {exc.strerror}")
        self._undo.clear()
        return failed

    def finish(self) -> None:
        """Forget the way back."""
        self._undo.clear()
        shutil.rmtree(self._staging, ignore_errors=True)

    @property
    def _staging(self) -> str:
        return f"{self.paths.on_disk(self.paths.data)}/{STAGING}"

    def settings(self, archive: Archive, named: str, given: bytes | None = None) -> bool:
        """Tell whether the bundle's settings are to be brought: the node has none of its own.

        Args:
            archive: the bundle.
            named: the settings file that a person names; then that one counts.
            given: what it says, where it was read already.

        Raises:
            RefusedError: the node has others.
        """
        entry = archive.manifest.entry(SETTINGS)
        if entry is None:
            return False
        content, path = archive.text(entry), self.paths.settings
        on_disk = self.paths.on_disk(path)
        before = _read(named or on_disk) if given is None else given
        if before == content:
            return False
        if named:
            self.notes.append(f"the bundle's settings rest: {named} counts")
            return False
        if before is not None and digest(before) not in self.known.get("settings", []):
            raise _other_settings(path, archive.path, before, content)
        self._record("settings", [*self.known.get("settings", []), digest(content)])
        what = "take the place of those of an earlier bundle in" if before else "were laid to"
        self.notes.append(f"the bundle's settings {what} {path}")
        return True

    def image(self, archive: Archive, entry: Entry) -> None:
        """Rename an image into k0s's folder, unless it is there already.

        Raises:
            RefusedError: another image of this name is there, which no bundle has laid.
        """
        path = f"{self.paths.images}/{entry.name}"
        on_disk, staged = self.paths.on_disk(path), f"{self._staging}/{entry.name}"
        ours: dict[str, list[str]] = self.known.get("images", {})
        known = ours.get(path, [])
        found = _sha256(on_disk)
        if found == entry.sha256:
            return
        if found and found not in known:
            message = f"another image file of this name is there: {entry.name}"
            remedy = "Move it away, or pack the image under another name."
            raise RefusedError(Problem(message, path, archive.path, remedy))
        with refused_io(on_disk):
            _unlink(staged)
            archive.lay(entry, staged, 0o644)
            os.makedirs(os.path.dirname(on_disk), exist_ok=True)
            if found:
                aside = f"{self._staging}/before/{entry.name}"
                os.makedirs(os.path.dirname(aside), exist_ok=True)
                _unlink(aside)
                _link(on_disk, aside)
                self._undo.append(lambda: _rename(aside, on_disk))
            else:
                self._undo.append(lambda: _put_back(on_disk, None, 0))
            self._record("images", {**ours, path: [*known, entry.sha256]})
            _rename(staged, on_disk)
        self.images.append(path)

    def _record(self, key: str, value: object) -> None:
        """Record what is about to be laid: a killed command must not make it a stranger's."""
        self.known = {**self.known, "kind": "LaidByBundles", "schema": 1, key: value}
        path = f"{State(self.paths).folder}/{RECORD}.json"
        before = _read(path)
        self._undo.append(lambda: _put_back(path, before, 0o644))
        write_atomically(path, json.dumps(self.known, indent=1).encode())


def begin(paths: Paths) -> Placed:
    """Return what earlier bundles have laid, with nothing laid yet by this one."""
    known: dict[str, Any] = {}
    with contextlib.suppress(*NONSENSE):
        content = _read(f"{State(paths).folder}/{RECORD}.json") or b"{}"
        document = json.loads(content)
        images = {path: list(sums) for path, sums in document.get("images", {}).items()}
        known = {"settings": list(document.get("settings", [])), "images": images}
    return Placed(paths, known)


def _other_settings(path: str, bundle: str, node: bytes, ours: bytes) -> RefusedError:
    where = _differing(node, ours)
    return RefusedError(
        Problem(
            "the node has settings of its own, and the bundle brings others"
            + (f"; they differ in {where}" if where else ""),
            place=path,
            culprit=bundle,
            remedy=f"Keep the node's: add --settings {path}. Take the bundle's: move the node's"
            " away, and run the same command again.",
        )
    )


def _differing(one: bytes, other: bytes) -> str:
    """Return the names of keys that differ, two levels deep; never a value."""
    try:
        left, right = toml.load(one, ""), toml.load(other, "")
    except toml.TOMLError:
        return ""
    found = []
    for table in sorted({*left, *right}):
        inner = (left.get(table, {}), right.get(table, {}))
        if isinstance(inner[0], dict) and isinstance(inner[1], dict):
            found += [f"[{table}] {key}" for key in _keys(*inner)]
        elif inner[0] != inner[1]:
            found.append(str(table))
    return ", ".join(found)


def _keys(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    return [key for key in sorted({*left, *right}) if left.get(key) != right.get(key)]


def _read(path: str) -> bytes | None:
    """Return the content of a file, or ``None`` where there is none.

    Raises:
        RefusedError: it cannot be read.
    """
    with refused_io(path), contextlib.suppress(FileNotFoundError), regular.opened(path) as file:
        return file.read()
    return None


def _sha256(path: str) -> str:
    with refused_io(path), contextlib.suppress(FileNotFoundError):
        return digest_of(path, "sha256")
    return ""


def _put_back(path: str, before: bytes | None, mode: int) -> None:
    if before is None:
        os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))  # which we have made, where it is empty
    else:
        write_atomically(path, before, mode)


def _link(source: str, target: str) -> None:
    """Keep a file under a second name; a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _rename(staged: str, target: str) -> None:
    """Rename a whole file into place; where the folder is a mount of its own, from inside of it."""
    folder = os.path.dirname(target)
    try:
        os.rename(staged, target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        inside = f"{folder}/{STAGING}"
        os.makedirs(inside, exist_ok=True)
        try:
            shutil.copyfile(staged, f"{inside}/{os.path.basename(target)}")
            os.rename(f"{inside}/{os.path.basename(target)}", target)
        finally:
            shutil.rmtree(inside, ignore_errors=True)
    sync_folder(folder)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
