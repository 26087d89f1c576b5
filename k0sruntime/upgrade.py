"""Another k0s, or another containerd, than the node has now: what a rehearsal is for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime.lint.target import Target, for_k0s, machine_of
from k0sruntime.node import Program, Version

if TYPE_CHECKING:
    from k0sruntime.node import Node


@dataclass(frozen=True)
class Upgrade:
    """What the node is rehearsed with.

    Attributes:
        k0s: the k0s that it would have; ``None`` leaves it at what it has.
        containerd: the containerd that it would have.
        binary: path of that containerd; empty where only its version is known.
    """

    k0s: Version | None
    containerd: Version
    binary: str = ""

    @classmethod
    def to(cls, k0s: str, containerd: Program | None) -> Upgrade:
        """Return the upgrade to a k0s line, a containerd, or a k0s with another containerd.

        Raises:
            UsageError: no k0s line with drop-ins.
        """
        target = for_k0s(k0s) if k0s else None
        if containerd is not None:
            line = target.k0s if target else None
            return cls(line, containerd.version, containerd.path)
        assert target is not None  # noqa: S101 - the command line demands one of the two
        return cls(target.k0s, target.containerd)

    @property
    def target(self) -> Target:
        """What files are judged against."""
        return Target(self.containerd, self.k0s)

    def on(self, node: Node[Any]) -> Target:
        """What the files of a node are judged against: its machine counts where we are on it."""
        machine = None if node.paths.elsewhere else machine_of(self.of(node))
        return replace(self.target, machine=machine)

    def of(self, node: Node[Any]) -> Node[Any]:
        """Return the node as it would be; another k0s runs its containerd itself."""
        program = Program(self.binary, self.containerd)
        if self.k0s is None:
            return replace(node, containerd=program)
        k0s = Program(node.k0s.path if node.k0s else "", self.k0s)
        return replace(
            node,
            containerd=program,
            k0s=k0s,
            k0s_installed=self.k0s,
            mode="managed" if node.mode != "remote" else node.mode,
        )
