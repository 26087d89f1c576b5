"""Writing a bundle: the same content gives the same bytes.

What lies there stays until the new one is whole. No owner, no time and no order of a file system
gets into the archive.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

from k0sruntime import regular
from k0sruntime.bundle.archive import opened
from k0sruntime.bundle.manifest import MANIFEST, SECRET, SETTINGS, Entry, encode, mode_of
from k0sruntime.cache import CHUNK
from k0sruntime.durable import sync_folder
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k0sruntime.bundle.manifest import Manifest

TIME = 315532800
"""1980-01-01: the oldest time that no program finds odd (as in ZIP archives)."""


@dataclass(frozen=True)
class Content:
    """One entry to be: its path in the archive, and the file or the bytes that it is."""

    path: str
    source: str | bytes


def pack(
    manifest: Manifest,
    contents: Sequence[Content],
    out: str,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Manifest, str]:
    """Write a bundle, and return its whole manifest and its sha256.

    Args:
        manifest: what it shall say of itself, without entries.
        contents: what goes into it.
        out: the archive; another bundle that lies there is replaced.
        progress: told of every entry.

    Raises:
        RefusedError: something else lies there, a file cannot be read, or the file system refuses.
    """
    _refuse_other(out)
    ordered = sorted(contents, key=lambda content: content.path)
    entries = [_entry(content) for content in ordered]
    manifest = msgspec.structs.replace(manifest, entries=entries)
    temporary = f"{out}.new"
    secret = any(content.path == SETTINGS for content in ordered)
    try:
        with refused_io(out):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, SECRET), "w+b") as file:
                os.fchmod(file.fileno(), SECRET if secret else 0o644)
                with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as tar:
                    document = encode(manifest)
                    tar.addfile(_member(MANIFEST, len(document)), io.BytesIO(document))
                    for content, entry in zip(ordered, entries, strict=True):
                        progress(entry.path)
                        _add(tar, content, entry)
                file.flush()
                os.fsync(file.fileno())
                digest = _digest(file)
            os.replace(temporary, out)
            sync_folder(os.path.dirname(os.path.abspath(out)))
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    return manifest, digest


def _refuse_other(out: str) -> None:
    """Refuse to write over what is no bundle."""
    if not os.path.lexists(out):
        return
    try:
        with opened(out):
            return
    except RefusedError as exc:
        message = "something else than a bundle lies there"
        raise RefusedError(Problem(message, out, remedy="Name another file.")) from exc


class _Hashing(io.RawIOBase):
    """Reads a file and adds up its checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.found = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._file.read(size)
        self.found.update(data)
        return data


def _open(content: Content) -> IO[bytes]:
    if isinstance(content.source, bytes):
        return io.BytesIO(content.source)
    try:
        return regular.opened(content.source)
    except OSError as exc:
        what = f"{content.path} cannot be packed: {exc.strerror}"
        raise RefusedError(Problem(what, content.source)) from exc


def _entry(content: Content) -> Entry:
    with _open(content) as file:
        size = file.seek(0, io.SEEK_END)
        return Entry(content.path, size, _digest(file))


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while data := file.read(CHUNK):
        found.update(data)
    return found.hexdigest()


def _add(tar: tarfile.TarFile, content: Content, entry: Entry) -> None:
    with _open(content) as file:
        hashing = _Hashing(file)
        try:
            tar.addfile(_member(entry.path, entry.size), hashing)
        except OSError as exc:
            if exc.errno is not None:
                raise
            raise _changed(content) from exc  # tarfile: it ended early
        if hashing.found.hexdigest() != entry.sha256:
            raise _changed(content)


def _changed(content: Content) -> RefusedError:
    remedy = "Wait until it is whole, and run the same command again."
    place = content.source if isinstance(content.source, str) else content.path
    return RefusedError(Problem("it changed while it was packed", place, remedy=remedy))


def _member(path: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mtime, member.mode = size, TIME, mode_of(path)
    return member
