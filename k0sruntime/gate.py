"""The gate before anything is written: what lint calls an error stops ``up``.

``containerd config dump`` says yes to a configuration whose CRI plugin will not load, or whose
handler fails at every pod; lint knows better. On the node itself programs are judged as well; in an
image they may come later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import lint
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lint.composed import subject_of, target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.lint import Finding
    from k0sruntime.node import Files, Node


@dataclass(frozen=True)
class AsComposed:
    """The node's files as they will be once the composition is applied."""

    before: Files
    composed: Mapping[str, bytes]

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` will be there."""
        return path in self.composed or self.before.exists(path)

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is a Unix socket."""
        return path not in self.composed and self.before.is_socket(path)

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is a program; nothing that is composed is one."""
        return path not in self.composed and self.before.is_executable(path)

    def read(self, path: str) -> bytes | None:
        """Return what ``path`` will hold."""
        return self.composed[path] if path in self.composed else self.before.read(path)

    def names(self, path: str) -> tuple[str, ...]:
        """Return the names that will be in a folder."""
        folder = path.rstrip("/") + "/"
        inside = (file[len(folder) :] for file in self.composed if file.startswith(folder))
        return tuple(sorted({*self.before.names(path), *(name.split("/")[0] for name in inside)}))

    def mode(self, path: str) -> int | None:
        """Return the permission bits that ``path`` has; those of composed files are ours."""
        return 0o644 if path in self.composed else self.before.mode(path)


OTHER_HANDS = ("K0R505", "K0R605")
"""Rules about programs that undo what others have set: it works now, and ``up`` tells it."""


def refuse(composition: Composition, node: Node[Any]) -> tuple[str, ...]:
    """Stop where the composition would stop the node, kill its CRI or break a handler.

    Returns what other hands have done that an operator must know of.

    Raises:
        RefusedError: everything found, each with rule, file and line.
    """
    target = target_of(composition, node, machine=node.paths.root == "/")
    if target is None or composition.mode == "remote":
        return ()
    files = AsComposed(node.files, {file.path: file.content for file in composition.files})
    findings = lint.check(subject_of(composition, node.paths), target, files)
    found = [finding for finding in findings if _blocks(finding)]
    if found:
        raise RefusedError(*(_problem(finding) for finding in found))
    return tuple(
        f"{finding.place}: {finding.message}. {finding.remedy}"
        for finding in findings
        if finding.rule.code in OTHER_HANDS
    )


def _blocks(finding: Finding) -> bool:
    """A foreign handler that breaks its own pods is told by the proof, and blocks nothing."""
    ours = finding.culprit != "a foreign file"
    return finding.severity == "error" or (finding.consequence == "breaks pods" and ours)


def _problem(finding: Finding) -> Problem:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return Problem(
        f"{finding.rule.code} {finding.rule.name}: {finding.message}",
        place=f"{place}: {finding.key}" if finding.key else place,
        culprit=finding.culprit,
        remedy=finding.remedy,
    )
