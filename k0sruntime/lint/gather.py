"""From paths to a subject: which file is what, and what belongs to it.

Only a read-only look at files is needed, so that it works as well on a made-up node.
"""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from k0sruntime.compose.main_file import MERGED_CRI
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.file_names import by_bytes, name_fault
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.imports import GLOB, K0S_FOLDER, imports_of, resolved
from k0sruntime.lint.subject import HOSTS_FILE, Fault, File, HostsFolder, Subject, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.lint.subject import Role
    from k0sruntime.node import Files

MAIN_NAMES = ("containerd.toml", "config.toml")
DROPIN_FOLDERS = ("containerd.d", "conf.d")
CERTS = "certs.d"


def gather(paths: Iterable[str], files: Files, *, follow: bool = False) -> Subject:
    """Read what lies at absolute paths: main files, drop-ins, folders of either, hosts files.

    Args:
        paths: files or folders; none of them has to be there.
        files: the files that they are read from.
        follow: imports by absolute path are this machine's, and so are hosts files' folders.

    Raises:
        RefusedError: files that are there and cannot be read.
    """
    found = _Found(files, follow)
    for path in paths:
        found.add(path)
    found.add_imports()
    if found.unreadable:
        raise RefusedError(*found.unreadable)
    return found.subject()


@dataclass
class _Found:
    """Collects what the paths come to; each path once."""

    machine: Files
    follow: bool
    files: dict[str, File] = field(default_factory=dict)
    hosts: dict[str, HostsFolder] = field(default_factory=dict)
    strays: dict[str, None] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)
    unreadable: list[Problem] = field(default_factory=list)

    def subject(self) -> Subject:
        # Main files first; what follows is in the order of imports and names.
        files = sorted(self.files.values(), key=lambda file: file.role != "main")
        return Subject(
            tuple(files), tuple(self.hosts.values()), tuple(self.strays), tuple(self.folders)
        )

    def add(self, path: str) -> None:
        if not _is_folder(self.machine, path):
            self._add_file(path)
        elif _holds_registries(self.machine, path):
            self._add_registries(path)
        elif HOSTS_FILE in self.machine.names(path):
            self._add_registry(path)
        elif _is_k0s_folder(self.machine, path):
            self.add(posixpath.join(path, MAIN_NAMES[0]))
            self.add(posixpath.join(path, DROPIN_FOLDERS[0]))
        else:
            self._add_folder(path)

    def _add_folder(self, folder: str) -> None:
        self.folders[folder] = None
        if posixpath.basename(folder) == posixpath.basename(K0S_FOLDER):
            self.folders[K0S_FOLDER] = None
        for name in sorted(self.machine.names(folder), key=by_bytes):
            path = posixpath.join(folder, name)
            if name.endswith(".toml"):
                self._read(path, "drop-in")
            elif not _is_folder(self.machine, path):
                self.strays[path] = None
            elif name == CERTS:
                self._add_registries(path)

    def _add_file(self, path: str) -> None:
        if posixpath.basename(path) == HOSTS_FILE:
            self._add_registry(posixpath.dirname(path))
            return
        inside = posixpath.basename(posixpath.dirname(path)) in DROPIN_FOLDERS
        file = self._read(path, "drop-in")
        if file is None or inside or any(other.role == "main" for other in self.files.values()):
            return
        if file.name in MAIN_NAMES or "imports" in file.document:
            self.files[path] = replace(file, role="main")

    def _add_registries(self, folder: str) -> None:
        for name in self.machine.names(folder):
            path = posixpath.join(folder, name)
            if _is_folder(self.machine, path):
                self._add_registry(path)

    def _add_registry(self, folder: str) -> None:
        names = self.machine.names(folder)
        file = None
        if HOSTS_FILE in names:
            path = posixpath.join(folder, HOSTS_FILE)
            file = self._parsed(path, "hosts")
        self.hosts.setdefault(folder, HostsFolder(folder, names, file))

    def _read(self, path: str, role: Role) -> File | None:
        if path not in self.files and (file := self._parsed(path, role)):
            self.files[path] = file
        return self.files.get(path)

    def _parsed(self, path: str, role: Role) -> File | None:
        if wrong := name_fault(path):
            self.unreadable.append(wrong)
            return None
        data = self.machine.read(path)
        if data is not None:
            return parse(path, data, role)
        if kind := self.machine.other_kind(path):
            return File(path, role, "", fault=Fault(f"{kind} under the name of a file", 0))
        if self.machine.exists(path):
            remedy = "Run it as root, or remove what lies there."
            self.unreadable.append(Problem("cannot be read", place=path, remedy=remedy))
        return None

    def add_imports(self) -> None:
        """Add what the main file imports, breadth first, and the registries that the files name.

        Drop-ins import as well; where their main file is not given, they are all imported by it.
        """
        queue = [file for file in self.files.values() if file.role == "main"]
        if self.follow and not queue:
            queue = list(self.files.values())
        imported: dict[str, File] = {}
        while queue:
            importer = queue.pop(0)
            for entry in imports_of(importer):
                for path in self._matches(importer, resolved(importer, entry)):
                    inside = posixpath.basename(posixpath.dirname(path)) in DROPIN_FOLDERS
                    file = self._read(path, "drop-in" if inside else "import")
                    if file and file.role != "main" and path not in imported:
                        imported[path] = file
                        queue.append(file)
        self.files = {**imported, **self.files}
        if self.follow:
            for file in tuple(self.files.values()):
                for folder in _config_paths(file):
                    self._add_registries(folder)

    def _matches(self, importer: File, pattern: str) -> list[str]:
        folder, _, glob = pattern.rpartition("/")
        known = folder == importer.folder or folder.startswith(f"{importer.folder}/")
        # What is generated from the drop-ins is judged where it comes from.
        if not (self.follow or known) or glob == MERGED_CRI:
            return []
        if not any(sign in pattern for sign in GLOB):
            return [pattern] if self.machine.exists(pattern) else []
        names = (n for n in self.machine.names(folder) if fnmatch.fnmatchcase(n, glob))
        return [posixpath.join(folder, name) for name in sorted(names, key=by_bytes)]


def _config_paths(file: File) -> list[str]:
    plugins = table_at(file.document, "plugins")
    values = [table_at(plugins, plugin, "registry").get("config_path") for plugin in plugins]
    return [value for value in values if isinstance(value, str) and value.startswith("/")]


def _is_folder(files: Files, path: str) -> bool:
    return files.other_kind(path) == "a folder"


def _is_k0s_folder(files: Files, path: str) -> bool:
    names = files.names(path)
    return DROPIN_FOLDERS[0] in names or MAIN_NAMES[0] in names


def _holds_registries(files: Files, path: str) -> bool:
    if posixpath.basename(path) == CERTS:
        return True
    names = files.names(path)
    return not any(name.endswith(".toml") for name in names) and any(
        HOSTS_FILE in files.names(posixpath.join(path, name)) for name in names if name != CERTS
    )
