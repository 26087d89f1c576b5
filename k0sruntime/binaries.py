"""Programs that a handler needs: found on the node, or fetched and installed by the host.

A provider declares them; ``fetch.py`` gets them and ``install.py`` lays them into a folder of
their own version, so that a new version never touches a running one. Which version counts is said
by the composed files alone: an upgrade is a change like any other, proved and put back like any
other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.values import (
    check_items,
    check_kind,
    check_name,
    check_plain,
    check_printable,
    check_strings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.contributions import Contribution, Owner
    from k0sruntime.node import Node

FILE_NAME = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.:\[\]]{0,127}")
OPEN_WAY = re.compile(r"http://(?!([^/@]*@)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?/)")
"""The beginning of an URL whose answer anybody on the way can change; loopback has no way."""
VERSION = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.+]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file to fetch: where it is, and the checksum that it must have.

    Attributes:
        url: ``https://…``, ``http://…``, or an absolute path (a folder that was carried there).
        sha512: the checksum, in lower-case hex; a pinned one beats one that is fetched.
        sha256: the same, where the vendor tells no other.
        sha512_url: where the vendor publishes it, in the format of ``sha512sum``. Over plain http
            it is worth nothing, and refused: who can change the file can change both.
        name: file name on the node; empty: the last part of ``url``.
        unpack: the file is a tar archive, whose content is what counts.
    """

    url: str
    sha512: str = ""
    sha256: str = ""
    sha512_url: str = ""
    name: str = ""
    unpack: bool = False

    def __post_init__(self) -> None:
        """Refuse a download without a place or a checksum."""
        check_plain(self)
        for url in (self.url, *([self.sha512_url] if self.sha512_url else [])):
            if not re.fullmatch(r"https?://[^\s/]+/\S+|/\S+", url):
                raise ValueError(f"the download {url!r} must be an URL or an absolute path")
        for name, length in (("sha512", 128), ("sha256", 64)):
            value = getattr(self, name)
            if value and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
                raise ValueError(f"{name} of the download {self.url!r} must be lower-case hex")
        if not (self.sha512 or self.sha256 or self.sha512_url):
            raise ValueError(f"the download {self.url!r} needs a sha512 or sha256 or sha512_url")
        check_name("file name of a download", self.file_name, FILE_NAME)

    @property
    def pinned(self) -> bool:
        """The checksum is known before anything is asked."""
        return bool(self.sha512 or self.sha256)

    @property
    def protected(self) -> bool:
        """Nobody on the way can change the checksum: pinned, over https, or from this machine."""
        return self.pinned or not OPEN_WAY.match(self.sha512_url)

    @property
    def file_name(self) -> str:
        """What the file is called on the node, or the archive in messages."""
        return self.name or self.url_name

    @property
    def url_name(self) -> str:
        """The last part of the URL's path, as the vendor's document calls the file."""
        return self.url.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class VersionCheck:
    r"""How a program tells its version, and the oldest that is known to do on this node.

    The host asks before anything is written. A program that does not answer is refused; one that
    is older is told to the operator (by ``plan`` as well), and the proof decides. Of one that is
    to be fetched, ``Binary.version`` is compared.

    Attributes:
        arguments: what makes the program print its version and end.
        pattern: regular expression whose first group is the version, such as ``(\d+\.\d+)``.
        least: the oldest version that will do; empty: any.
        why: clause that completes ``older than 2.0: …``.
    """

    arguments: Sequence[str] = ("--version",)
    pattern: str = r"(\d+(?:\.\d+)+)"
    least: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        """Check the arguments and that the pattern has a group."""
        check_plain(self)
        check_strings("arguments of a version check", self.arguments)
        if re.compile(self.pattern).groups < 1:
            raise ValueError(f"the pattern {self.pattern!r} needs a group around the version")

    def version_in(self, output: str) -> str:
        """Return the version that a program printed, or an empty string."""
        found = re.search(self.pattern, output)
        return found[1] if found else ""

    def too_old(self, version: str) -> bool:
        """Tell whether a version is older than ``least``."""
        return bool(self.least) and _numbers(version) < _numbers(self.least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A program, or several that belong together, that a handler needs.

    Where one is fetched, ``node.binary_file(binary, program)`` tells where a program of it will
    lie, for use in ``runtime_path`` or ``programs`` of a handler.

    Attributes:
        name: what it is called; the file name of the program where it is one.
        installed: absolute path where it already is; empty where it must be fetched.
        downloads: by architecture (``x86_64``, ``aarch64``): one file, or several for one folder.
        version: which version is fetched; the folder is named after it, and after what it is made
            of, so that another checksum or layout never takes the place of programs that run.
        programs: files, below the folder, that must be there and run; empty: ``name``.
        check: how the first program tells its version; ``None``: it is not asked.
    """

    name: str
    installed: str = ""
    downloads: Mapping[str, Download | Sequence[Download]] = field(default_factory=dict)
    version: str = ""
    programs: Sequence[str] = ()
    check: VersionCheck | None = None

    def __post_init__(self) -> None:
        """Check the names, and that the binary can come from somewhere."""
        check_plain(self)
        check_name("binary", self.name, FILE_NAME)
        check_kind(f"downloads of binary {self.name}", self.downloads, Mapping)
        for arch, files in self.downloads.items():
            check_kind(f"an architecture of binary {self.name}", arch, str)
            if not isinstance(files, Download):
                check_items(f"downloads of binary {self.name} for {arch}", files, Download)
        if self.check is not None:
            check_kind(f"check of binary {self.name}", self.check, VersionCheck)
        if not self.installed and not self.downloads:
            raise ValueError(f"binary {self.name!r} is neither installed nor downloadable")
        if self.installed and not self.installed.startswith("/"):
            raise ValueError(f"binary {self.name} must be an absolute path, not {self.installed!r}")
        check_printable(f"path of binary {self.name}", self.installed)
        if not self.installed:
            check_name(f"version of binary {self.name}", self.version, VERSION)
        check_strings(f"programs of binary {self.name}", self.programs)
        for program in self.programs:
            if program.startswith("/") or ".." in program.split("/"):
                raise ValueError(f"program {program!r} of binary {self.name} leaves its folder")

    def files_for(self, arch: str) -> tuple[Download, ...]:
        """Return what is to be fetched for an architecture; empty where it is not offered."""
        found = self.downloads.get(arch, ())
        return (found,) if isinstance(found, Download) else tuple(found)

    def folder_name(self, arch: str) -> str:
        """Return the name of the folder that is installed: ``acme-1.2-`` and eight hex digits."""
        parts = [(d.file_name, d.sha512, d.sha256, d.unpack) for d in self.files_for(arch)]
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
        return f"{self.name}-{self.version}-{key}"


@dataclass(frozen=True)
class Installation:
    """A folder of programs that the node shall have, and what it is made of."""

    owner: Owner
    binary: Binary
    downloads: tuple[Download, ...]
    folder: str
    """On the node."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Files below the folder that must be there and run."""
        return tuple(self.binary.programs) or (self.binary.name,)

    def __str__(self) -> str:
        """Return ``gvisor 20260817.0``."""
        return f"{self.binary.name} {self.binary.version}"


def installations(parts: Sequence[Contribution[Any]], node: Node[Any]) -> tuple[Installation, ...]:
    """Return the folders of programs that the providers' binaries come to on this node.

    Raises:
        RefusedError: a binary is neither on the node nor offered for its architecture, or its
            checksum would come over plain http.
        ConflictError: two of them want one folder.
    """
    found: dict[tuple[str, str, str], Installation] = {}
    problems = []
    for part in parts:
        binary = part.value
        if not isinstance(binary, Binary) or binary.installed:
            continue
        downloads = binary.files_for(node.arch)
        key = (part.owner.provider, binary.name, binary.version)
        problems += [_unprotected(d, part.owner) for d in downloads if not d.protected]
        if not downloads:
            problems.append(_not_offered(binary, node.arch, part.owner))
        elif key in found:
            message = f"two binaries called {binary.name} {binary.version}"
            raise ConflictError(
                Problem(message, f"hook {part.owner.hook}", str(part.owner), "Name them apart.")
            )
        folder = f"{node.paths.binaries}/{part.owner.provider}/{binary.folder_name(node.arch)}"
        found[key] = Installation(part.owner, binary, downloads, folder)
    if problems:
        raise RefusedError(*problems)
    return tuple(found.values())


def _unprotected(download: Download, owner: Owner) -> Problem:
    return Problem(
        f"{download.file_name} and its checksum would come over plain http: anybody on the way"
        " could change both, and what is fetched runs as root",
        place=masking.url(download.sha512_url),
        culprit=str(owner),
        remedy="Name an https source or a folder, or pin the sha512 in the settings.",
    )


def _not_offered(binary: Binary, arch: str, owner: Owner) -> Problem:
    return Problem(
        f"{binary.name} is not on this node, and is not offered for {arch}",
        place=f"provider {owner.provider}",
        culprit=str(owner),
        remedy=f"Install it by hand; it is offered for {', '.join(sorted(binary.downloads))}.",
    )
