"""The cache of what was fetched: files by their checksum, half ones apart, none of them executable.

::

    sha512/<hex>         a whole file, checked
    partial/<hex>        what has come of one so far; the next command goes on from there
    documents/<hex>      a vendor's checksum document, by the SHA-256 of its URL

A folder like this can be carried to a node without a network.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from typing import TYPE_CHECKING, BinaryIO

from k0sruntime import regular
from k0sruntime.durable import sync_folder, write_atomically
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from k0sruntime.binaries import Download

CHUNK = 1 << 20
LONG = 30 * 86400.0
"""How long a whole file stays that nothing needs: it may have been fetched in advance."""
SHORT = 7 * 86400.0
"""How long a half one stays that nobody takes up."""
LOCK_SECONDS = 600.0
"""How long to wait for another command that fetches the same file."""


class Cache:
    """A folder of fetched files."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, algorithm: str, digest: str) -> str:
        """Return where a whole file lies, or would."""
        return f"{self.folder}/{algorithm}/{digest}"

    def find(self, algorithm: str, digest: str) -> str:
        """Return the path of a whole file, or nothing; one that has rotted is removed."""
        path = self.path(algorithm, digest)
        with refused_io(path), contextlib.suppress(FileNotFoundError):
            if digest_of(path, algorithm) == digest:
                return path
            os.unlink(path)
        return ""

    def holds(self, download: Download) -> bool:
        """Tell whether the file of a pinned checksum seems to be here; it is not read."""
        pins = {"sha512": download.sha512, "sha256": download.sha256}
        return any(pin and os.path.isfile(self.path(name, pin)) for name, pin in pins.items())

    def prune(self, needed: Collection[str]) -> list[str]:
        """Remove what nobody has needed for long, and return what was removed.

        Args:
            needed: checksums of files that stay, however old they are.
        """
        limits = {"sha512": LONG, "sha256": LONG, "partial": SHORT}
        removed = []
        for kind, seconds in limits.items():
            for entry in _files(f"{self.folder}/{kind}"):
                kept = kind != "partial" and entry.name in needed
                if kept or time.time() - entry.stat().st_mtime < seconds:
                    continue
                os.unlink(entry.path)
                removed.append(entry.path)
        return removed

    def document(self, url: str) -> str:
        """Return a checksum document that was fetched before, or nothing."""
        with contextlib.suppress(FileNotFoundError), regular.opened(self._document(url)) as file:
            return file.read().decode(errors="replace")
        return ""

    def keep_document(self, url: str, content: bytes) -> None:
        """Keep a checksum document."""
        with refused_io(self.folder):
            write_atomically(self._document(url), content)

    def document_file(self, url: str) -> str:
        """Return the path of a checksum document that was fetched before, or nothing."""
        path = self._document(url)
        return path if os.path.isfile(path) else ""

    def forget_document(self, url: str) -> None:
        """Forget a checksum document that turned out not to fit."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._document(url))

    def take_over(self, other: Cache) -> None:
        """Copy all that another cache holds, which was checked; what is here already stays.

        Raises:
            RefusedError: the file system refuses.
        """
        for algorithm in ("sha512", "sha256"):
            for entry in _files(f"{other.folder}/{algorithm}"):
                if self.find(algorithm, entry.name):
                    continue
                with (
                    self.partial(algorithm, entry.name) as partial,
                    regular.opened(entry.path) as file,
                ):
                    partial.restart()
                    while data := file.read(CHUNK):
                        partial.write(data)
                    partial.commit()
        for entry in _files(f"{other.folder}/documents"):
            target = f"{self.folder}/documents/{entry.name}"
            with refused_io(target), regular.opened(entry.path) as file:
                content = file.read()
                if not os.path.isfile(target) or digest_of(target, "sha256") != _sha256(content):
                    write_atomically(target, content)

    def _document(self, url: str) -> str:
        return f"{self.folder}/documents/{hashlib.sha256(url.encode()).hexdigest()}"

    @contextlib.contextmanager
    def partial(self, algorithm: str, digest: str) -> Iterator[Partial]:
        """Open what has come of a file so far; one command at a time.

        Raises:
            RefusedError: another command is at it for too long, or the file system refuses.
        """
        path = f"{self.folder}/partial/{digest}"
        with refused_io(path):
            for folder in (os.path.dirname(path), f"{self.folder}/{algorithm}"):
                os.makedirs(folder, exist_ok=True)
            file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed below, with the lock
        with file:
            _lock(file)
            yield Partial(path, file, self.path(algorithm, digest), algorithm)


class Partial:
    """A file that is being fetched. ``write`` appends; ``commit`` makes it a whole one."""

    def __init__(self, path: str, file: BinaryIO, target: str, algorithm: str) -> None:
        self.path = path
        self._file = file
        self._target = target
        self._algorithm = algorithm

    @property
    def size(self) -> int:
        """Bytes that have come so far."""
        return os.fstat(self._file.fileno()).st_size

    def restart(self) -> None:
        """Begin anew."""
        with refused_io(self.path):
            self._file.truncate(0)

    def write(self, data: bytes) -> None:
        """Append; a full disk is told as such, and what came before stays."""
        view = memoryview(data)
        with refused_io(self.path):
            while view:
                view = view[self._file.write(view) :]

    def digest(self) -> str:
        """Return the checksum of what has come so far."""
        return digest_of(self.path, self._algorithm)

    def commit(self) -> str:
        """Make it a whole file, fsynced and renamed, and return its path."""
        with refused_io(self._target):
            os.fsync(self._file.fileno())
            os.chmod(self.path, 0o644)
            os.replace(self.path, self._target)
            sync_folder(os.path.dirname(self._target))
        return self._target


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _files(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def digest_of(path: str, algorithm: str) -> str:
    """Return a file's checksum in hex."""
    found = hashlib.new(algorithm)
    with regular.opened(path) as file:
        while data := file.read(CHUNK):
            found.update(data)
    return found.hexdigest()


def _lock(file: BinaryIO) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RefusedError(
                    Problem(
                        "another command has been fetching this file for too long",
                        place=file.name,
                        remedy="End it, and run the same command again.",
                    )
                ) from None
            time.sleep(0.1)
        else:
            return
