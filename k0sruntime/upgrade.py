"""Another k0s, or another containerd, than the node has now: what a rehearsal is for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime.lint.target import NEWEST_KNOWN_K0S, Target, for_k0s, machine_of
from k0sruntime.node import Program, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.node import Mode, Node


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

    def notes(self, mode: Mode | None) -> Iterator[str]:
        """Tell what was taken for granted.

        Args:
            mode: the mode that the node has now; ``None`` where there is none.
        """
        if self.k0s and self.target.newer_than_known:
            known = ".".join(map(str, NEWEST_KNOWN_K0S))
            line = f"{self.k0s.major}.{self.k0s.minor}"
            brings = "" if self.binary else f", which brings containerd {self.containerd}"
            yield (
                f"k0s {line} is newer than what this k0sruntime knows: it was judged as k0s"
                f" {known}{brings}; look for a newer k0sruntime"
            )
        if self.k0s and mode == "standalone":
            yield (
                "the node runs a containerd without k0s today (standalone): it was judged as a node"
                " whose containerd k0s runs; without --k0s, and with --containerd BIN, it stays"
                " standalone"
            )

    def on(self, node: Node[Any]) -> Target:
        """What the files of a node are judged against, its machine included.

        An image is a machine as far as its files tell; the containerd that is named lies outside.
        """
        then = node if node.paths.elsewhere else self.of(node)
        return replace(self.target, machine=machine_of(then))

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
