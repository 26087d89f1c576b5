"""What is judged: the files that containerd loads, in its order, and hosts files beside them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime import toml
from k0sruntime.compose import main_file
from k0sruntime.lines import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.contributions import Owner

Role = Literal["main", "import", "drop-in", "hosts"]
HOSTS_FILE = "hosts.toml"


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be parsed, and where."""

    message: str
    line: int
    column: int = 0


@dataclass(frozen=True)
class File:
    """One file, parsed as far as it can be.

    Attributes:
        path: as it was given, or as the node sees it.
        role: what containerd does with it.
        text: its content; bytes that are not UTF-8 are replaced.
        document: what it says; empty where it cannot be parsed.
        fault: why it cannot be parsed.
        bom: it starts with a byte-order mark, which only containerd 1.7 reads over.
        owner: who contributed it; ``None`` for a foreign file.
    """

    path: str
    role: Role
    text: str
    document: Mapping[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    bom: bool = False
    owner: Owner | None = None

    @property
    def name(self) -> str:
        """The base name."""
        return posixpath.basename(self.path)

    @property
    def folder(self) -> str:
        """The folder that it lies in."""
        return posixpath.dirname(self.path)

    @property
    def version(self) -> int | None:
        """The ``version`` that it states, where that is a number."""
        version = self.document.get("version")
        return version if isinstance(version, int) and not isinstance(version, bool) else None

    @property
    def managed(self) -> bool:
        """It carries k0s's marker on its first line."""
        return main_file.is_managed(self.text.encode())

    def line(self, key: tuple[str, ...]) -> int:
        """Return the line on which a key is set."""
        return line_of(self.text, key)


@dataclass(frozen=True)
class HostsFolder:
    """A folder below ``certs.d``: its name is what containerd looks up.

    Attributes:
        path: the folder.
        names: what lies in it.
        file: its hosts file, where it has one.
    """

    path: str
    names: tuple[str, ...] = ()
    file: File | None = None

    @property
    def name(self) -> str:
        """The folder's name, such as ``docker.io`` or ``_default``."""
        return posixpath.basename(self.path)

    @property
    def root(self) -> str:
        """The folder of all registries."""
        return posixpath.dirname(self.path)


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Attributes:
        files: in containerd's order, the main file first where it is given.
        hosts: the folders of the registries.
        strays: paths in the drop-in folder that no glob matches.
        folders: the folders that were given whole, by the path that main files know them by.
    """

    files: tuple[File, ...] = ()
    hosts: tuple[HostsFolder, ...] = ()
    strays: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @cached_property
    def main(self) -> File | None:
        """The main file, where it is given."""
        return next((file for file in self.files if file.role == "main"), None)

    def all_files(self) -> tuple[File, ...]:
        """Return every file, hosts files included."""
        return (*self.files, *(folder.file for folder in self.hosts if folder.file))


def parse(path: str, data: bytes, role: Role, owner: Owner | None = None) -> File:
    """Read a file as far as it can be read; whatever the bytes are, this does not raise."""
    bom = data.startswith(toml.BOM)
    data = data.removeprefix(toml.BOM)
    text = data.decode(errors="replace")
    try:
        document = toml.load(data, path)
    except toml.TOMLError as exc:
        return File(path, role, text, {}, _fault(exc, path), bom, owner)
    except RecursionError:
        fault = Fault("tables and lists are nested too deeply", 1)
        return File(path, role, text, {}, fault, bom, owner)
    return File(path, role, text, document, None, bom, owner)


def _fault(error: toml.TOMLError, path: str) -> Fault:
    place = error.problem.place.removeprefix(path)
    numbers = [int(number) for number in re.findall(r"\d+", place)[:2]]
    line, column = (*numbers, 0, 0)[:2]
    return Fault(error.problem.message, line or 1, column)
