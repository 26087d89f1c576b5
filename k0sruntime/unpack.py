"""Unpacking an archive into an empty folder: plain files, folders and links that stay inside.

A hard link becomes a file of its own.

An archive with anything else in it is refused as a whole: an absolute path, ``..``, a link that
leads out or through another link, a device. Owners and set-user-ID bits are not taken over.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import tarfile
from typing import TYPE_CHECKING

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 4 << 30
MOST_MEMBERS = 10_000


def unpack(archive: str, folder: str, place: str) -> None:
    """Unpack a tar archive, compressed in whatever way, into a folder of our own.

    Args:
        archive: the file.
        folder: where its content goes.
        place: what messages call the archive: where it came from.

    Raises:
        RefusedError: it is no archive, or holds what may not be unpacked; or the disk is full.
    """
    found = _Found()
    with _refusing(place), tarfile.open(archive) as tar:
        for member in tar:  # one pass: going back in a compressed archive means reading it again
            if wrong := found.take(member):
                raise _problem(place, wrong)
            with refused_io(folder):
                _lay(tar, member, folder)


class _Found:
    """What an archive has brought so far."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._links: list[str] = []
        self._passed: dict[str, str] = {}
        """Folders that the target of a link passes through, and the link."""
        self._bytes = 0

    def take(self, member: tarfile.TarInfo) -> str:
        """Return what is wrong with the next member, or nothing."""
        name = posixpath.normpath(member.name)
        if wrong := _strange(member):
            return wrong
        if not member.isdir():
            if name in self._names:
                return f"{name} is in it twice"
            self._names.add(name)
        if any(name.startswith(f"{link}/") for link in self._links):
            return f"{name} lies below a link"
        if member.issym():
            self._links.append(name)
            self._passed |= dict.fromkeys(_passed(member), name)
        for link in self._links:
            # What is behind a link is not what its path says: .. counts from there.
            if link in self._passed:
                return f"the link {self._passed[link]} passes through the link {link}"
        self._bytes += member.size
        if len(self._names) > MOST_MEMBERS or self._bytes > MOST_BYTES:
            return "it is too large to be programs"
        return ""


@contextlib.contextmanager
def _refusing(place: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, KeyError, RecursionError) as exc:
        raise _problem(place, f"it is no tar archive: {exc}") from exc
    except OSError as exc:  # what bz2 and gzip raise for bytes that are not theirs
        raise _problem(place, f"it is no tar archive: {exc}") from exc


def _strange(member: tarfile.TarInfo) -> str:
    """Return what is wrong with a member, or nothing."""
    if _leaves(member.name):
        return f"{member.name!r} leaves the folder"
    if member.isreg() or member.isdir():
        return ""
    if member.islnk():
        return f"{member.name!r} links out" if _leaves(member.linkname) else ""
    if member.issym():
        target = posixpath.join(posixpath.dirname(member.name), member.linkname)
        out = member.linkname.startswith("/") or _leaves(target)
        return f"the link {member.name!r} leads out to {member.linkname!r}" if out else ""
    return f"{member.name!r} is neither a file, a folder nor a link"


def _passed(link: tarfile.TarInfo) -> list[str]:
    """Return the folders that the way to a link's target passes through, ``..`` taken as it is."""
    parts = posixpath.join(posixpath.dirname(link.name), link.linkname).split("/")
    return [posixpath.normpath("/".join(parts[:end])) for end in range(1, len(parts))]


def _leaves(name: str) -> bool:
    return name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".." or "\0" in name


def _lay(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> None:
    path = posixpath.normpath(f"{folder}/{member.name}")
    if path == folder:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if member.isdir():
        os.makedirs(path, exist_ok=True)
    elif member.issym():
        os.symlink(member.linkname, path)
    else:
        source = tar.extractfile(member)
        with open(path, "xb") as file:
            if source is not None:
                shutil.copyfileobj(source, file)
        os.chmod(path, 0o755 if member.mode & 0o111 else 0o644)


def _problem(place: str, message: str) -> RefusedError:
    return RefusedError(
        Problem(
            f"the archive cannot be unpacked: {message}",
            place=place,
            remedy="Name another source; nothing of it was installed.",
        )
    )
