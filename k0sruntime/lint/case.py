"""What a rule's function is given: the subject, the target, the files, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.effective import Effective, in_order, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File, Subject
    from k0sruntime.lint.target import Target
    from k0sruntime.node import Files

RUNC_TYPES = ("io.containerd.runc.v1", "io.containerd.runc.v2")


@dataclass(frozen=True)
class Handler:
    """A runtime handler as all files together define it.

    Attributes:
        name: the key under ``containerd.runtimes``.
        table: its keys.
        path: where the table stands.
        file: the file that set a key of it last.
    """

    name: str
    table: Mapping[str, Any]
    path: Path
    file: File

    @property
    def runtime_type(self) -> str:
        """Its ``runtime_type``; containerd's own ``runc`` has one by default."""
        default = RUNC_TYPES[1] if self.name == "runc" else ""
        value = self.table.get("runtime_type", default)
        return value if isinstance(value, str) else ""

    @property
    def options(self) -> Mapping[str, Any]:
        """Its ``options``."""
        options = self.table.get("options")
        return options if isinstance(options, dict) else {}


@dataclass(frozen=True)
class Case:
    """What a rule's function is given.

    Attributes:
        subject: everything that was given, parsed or not.
        target: what it is judged against.
        machine_files: the machine's files, for rules that look at it.
        files: the files that the target can read, in the order in which it does.
        effective: what they come to.
    """

    subject: Subject
    target: Target
    machine_files: Files
    files: tuple[File, ...]
    effective: Effective

    @classmethod
    def of(cls, subject: Subject, target: Target, files: Files) -> Case:
        """Merge what can be read, so that no rule has to do it again."""
        readable = [file for file in subject.files if is_readable(file, target)]
        ordered = in_order(readable, target)
        return cls(subject, target, files, ordered, merged(ordered, target))

    def cri(self, kind: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """Yield (path, table) of the CRI tables that the files set, by ``runtime`` or ``images``.

        A file of version 2 keeps the old plugin ID, which a lone containerd 2 migrates.
        """
        names = (
            (CRI,) if self.target.schema == 2 else (RUNTIME if kind == "runtime" else IMAGES, CRI)
        )
        for name in names:
            if table := self.effective.table("plugins", name):
                yield ("plugins", name), table

    def handlers(self) -> Iterator[Handler]:
        """Yield the handlers that the files define."""
        for path, _ in self.cri("runtime"):
            where = (*path, "containerd", "runtimes")
            for name, table in self.effective.table(*where).items():
                if isinstance(table, dict):
                    here = (*where, name)
                    yield Handler(name, table, here, self.effective.setters[here])

    def setter(self, path: Path) -> File:
        """Return the file that set a key last."""
        return self.effective.setters[path]

    def hosts(self) -> Iterator[File]:
        """Yield the hosts files that can be parsed."""
        for folder in self.subject.hosts:
            if folder.file and is_readable(folder.file, self.target):
                yield folder.file


def is_readable(file: File, target: Target) -> bool:
    """Tell whether the target can parse a file; containerd 1.7 reads over a byte-order mark."""
    return file.fault is None and not (file.bom and target.schema > 2)
