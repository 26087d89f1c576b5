"""What files are judged against: a containerd, perhaps under a k0s, perhaps on a machine.

Source of the lines: k0s tags, ``embedded-bins/Makefile.variables``: all lines up to 1.35 bring
containerd 1.7 (1.35.1 starts with 1.7.30), 1.36.3 brings 2.3.3; none brings 2.0, 2.1 or 2.2.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime.compose.schema import FIRST_DROPIN_K0S, FIRST_NATIVE_K0S, schema_of
from k0sruntime.errors import Problem, UsageError
from k0sruntime.node import Version

if TYPE_CHECKING:
    from k0sruntime.node import Node, Schema

OLDER_LINES = Version(1, 7, 30)
"""The containerd of k0s 1.35."""
NATIVE_LINES = Version(2, 3, 3)
"""The containerd of k0s 1.36."""
NEWEST_KNOWN_K0S = (1, 36)
"""The newest k0s line whose containerd and pre-flight checks are known here."""


@dataclass(frozen=True)
class Machine:
    """What rules that look at the machine need to know besides its files."""

    arch: str
    """Machine as ``uname -m`` spells it."""
    search_path: tuple[str, ...]
    """Folders in which containerd looks for shims and runtimes."""


@dataclass(frozen=True)
class Target:
    """What files are judged against.

    Attributes:
        containerd: its version.
        k0s: the k0s that runs it, or ``None`` where containerd is on its own.
        machine: the machine, or ``None`` where only what the files say is judged.
    """

    containerd: Version
    k0s: Version | None = None
    machine: Machine | None = None

    @property
    def schema(self) -> Schema:
        """The schema to write for this containerd."""
        return schema_of(self.containerd)

    @property
    def newest_version(self) -> int:
        """The highest ``version`` that this containerd reads (RELEASES.md)."""
        if self.containerd < (2,):
            return 2
        return 3 if self.containerd < (2, 3) else 4

    @property
    def strict_k0s(self) -> bool:
        """A k0s whose pre-flight checks refuse a drop-in that is not plain schema 3."""
        return self.k0s is not None and self.k0s >= FIRST_NATIVE_K0S

    @property
    def newer_than_known(self) -> bool:
        """The k0s is of a line that nobody knew here: it is judged as the newest that is known."""
        return self.k0s is not None and (self.k0s.major, self.k0s.minor) > NEWEST_KNOWN_K0S

    def __str__(self) -> str:
        """Return ``k0s 1.36 with containerd 2.3.3``."""
        if self.k0s is None:
            return f"containerd {self.containerd}"
        return f"k0s {self.k0s.major}.{self.k0s.minor} with containerd {self.containerd}"


def for_k0s(text: str) -> Target:
    """Return the target for a k0s line such as ``1.36``, ``1.35`` or ``v1.36.3+k0s.0``.

    Raises:
        UsageError: no version, or a line without a drop-in folder.
    """
    version = Version.parse(text)
    if version is None or version < FIRST_DROPIN_K0S:
        raise UsageError(
            Problem(
                f"{text!r} is no k0s line with drop-ins",
                place="--k0s",
                remedy="Write 1.35 or 1.36; 1.27 is the first line with a drop-in folder.",
            )
        )
    return Target(NATIVE_LINES if version >= FIRST_NATIVE_K0S else OLDER_LINES, version)


def machine_of(node: Node[object]) -> Machine:
    """Return the machine that a node is; containerd looks beside its own binary last."""
    beside = (posixpath.dirname(node.containerd.path),) if node.containerd else ()
    return Machine(node.arch, tuple(dict.fromkeys((*node.search_path, *filter(None, beside)))))


def for_node(node: Node[object]) -> Target | None:
    """Return the target that a node is, machine included; ``None`` where it has no containerd.

    A managed node that k0s never started has no containerd yet: the k0s line tells which it brings.
    """
    machine = machine_of(node)
    k0s = node.k0s.version if node.k0s and node.mode == "managed" else None
    if k0s and k0s < FIRST_DROPIN_K0S:
        return None
    if node.containerd:
        return Target(node.containerd.version, k0s, machine)
    if k0s is None:
        return None
    return Target(for_k0s(str(k0s)).containerd, k0s, machine)
