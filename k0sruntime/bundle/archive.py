"""Reading a bundle: every checksum before anything is written, and once more while it is laid out.

The archive is not compressed (what is in it is), so that its manifest is read without the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from typing import IO, TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.bundle.manifest import LARGEST_MANIFEST, MANIFEST, SECRET, damaged, decode, foreign
from k0sruntime.cache import CHUNK
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.bundle.manifest import Entry, Manifest

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7z": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of what people pack archives into on the way."""


class Archive:
    """An open bundle. ``opened`` makes one."""

    def __init__(self, path: str, tar: tarfile.TarFile) -> None:
        self.path = path
        self._tar = tar
        self.manifest = self._manifest()
        self._members: dict[str, tarfile.TarInfo] = {}

    def _manifest(self) -> Manifest:
        first = self._next()
        if first is None or first.name != MANIFEST or not _plain(first):
            raise foreign(self.path, f"it does not begin with a {MANIFEST}")
        if first.size > LARGEST_MANIFEST:
            raise foreign(self.path, f"its {MANIFEST} is too large")
        return decode(b"".join(self._content(first)), self.path)

    def check(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Read all of it and hold it against the manifest.

        Raises:
            RefusedError: an entry is missing, cut off, changed, or one too many.
        """
        wanted = {entry.path: entry for entry in self.manifest.entries}
        while (member := self._next()) is not None:
            entry = wanted.get(member.name)
            if entry is None or not _plain(member):
                raise foreign(self.path, f"{member.name!r} is not in its manifest")
            if member.name in self._members:
                raise foreign(self.path, f"{member.name!r} is in it twice")
            self._members[member.name] = member
            progress(f"{len(self._members)} of {len(wanted)}: {entry.name}")
            for _ in self._checked(entry):
                pass
        missing = [path for path in wanted if path not in self._members]
        if missing:
            raise damaged(self.path, f"{missing[0]} is missing; it was cut off, or left out")

    def _next(self) -> tarfile.TarInfo | None:
        with _reading(self.path):
            return self._tar.next()

    def lay(self, entry: Entry, path: str, mode: int) -> None:
        """Write an entry to a new file of our own, checked once more; ``check`` comes before.

        Raises:
            RefusedError: the archive has changed since, or the file system refuses.
        """
        with refused_io(path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, SECRET), "wb") as file:
                for data in self._checked(entry):
                    file.write(data)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())

    def text(self, entry: Entry) -> bytes:
        """Return the content of a small entry; ``check`` comes before."""
        return b"".join(self._checked(entry))

    def _checked(self, entry: Entry) -> Iterator[bytes]:
        """Yield the content of an entry, and raise at its end where it is not as packed."""
        found, size = hashlib.sha256(), 0
        for data in self._content(self._members[entry.path]):
            found.update(data)
            size += len(data)
            yield data
        if size != entry.size:
            raise damaged(self.path, f"{entry.path} has {size} bytes, and {entry.size} were packed")
        if (got := found.hexdigest()) != entry.sha256:
            expected = entry.sha256[:16]
            raise damaged(self.path, f"the sha256 of {entry.path} is {got[:16]}…, not {expected}…")

    def _content(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        file = self._tar.extractfile(member)
        assert file is not None  # noqa: S101 - it is plain
        with _reading(self.path), file:
            while data := file.read(CHUNK):
                yield data


@contextlib.contextmanager
def opened(path: str) -> Iterator[Archive]:
    """Open a bundle and read its manifest; ``check`` reads the rest.

    Raises:
        RefusedError: it cannot be read, or is no bundle.
    """
    path = os.path.abspath(path)
    try:
        file = regular.opened(path)
    except OSError as exc:
        problem = Problem(
            f"the bundle cannot be read: {exc.strerror}", path, remedy="Name it right."
        )
        raise RefusedError(problem) from exc
    with file:
        tar = _tar(path, file)
        with tar:
            yield Archive(path, tar)


def _tar(path: str, file: IO[bytes]) -> tarfile.TarFile:
    try:
        head = file.read(8)
        for magic, name in COMPRESSED.items():
            if head.startswith(magic):
                raise foreign(path, f"it is compressed with {name}: unpack it first")
        file.seek(0)
        return tarfile.open(fileobj=file, mode="r:")
    except (tarfile.TarError, EOFError) as exc:
        raise foreign(path, "it is no tar archive") from exc
    except OSError as exc:  # a folder, or a stick that is gone
        raise foreign(path, f"it cannot be read: {exc.strerror or exc}") from exc


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as exc:
        raise damaged(path, f"it is cut off, or overwritten: {exc}") from exc
    except OSError as exc:
        raise damaged(path, f"it cannot be read: {exc.strerror or exc}") from exc


def _plain(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
