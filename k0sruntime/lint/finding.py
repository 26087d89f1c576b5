"""Rules and findings: what can be wrong, and what was found to be wrong.

A rule's function yields hits; the core stamps each hit with its rule and its line and so makes a
finding of it. How bad a finding is follows from what happens on the node, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File

Consequence = Literal["stops the node", "kills CRI", "breaks pods", "silently ignored", "untidy"]
"""What happens on the node.

``stops the node``: containerd, or k0s before it, does not start, or no pod can. ``kills CRI``:
containerd runs, but its CRI plugin does not load, so that the kubelet has no runtime. ``breaks
pods``: some pods or pulls fail. ``silently ignored``: the line has no effect and nobody says so.
``untidy``: it works.
"""

Severity = Literal["error", "warning"]

ERRORS: tuple[Consequence, ...] = ("stops the node", "kills CRI")
"""What leaves a node without a runtime is an error and blocks ``up``; all else is a warning."""

DOCS = "https://github.com/k0sruntime/k0sruntime/blob/main/docs/rules"

Path = tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """What a rule's function yields.

    Attributes:
        file: the file that is to blame; a plain path where there is none to read.
        message: what is wrong, as a clause without a full stop.
        remedy: what to do, as an imperative sentence.
        key: the key to blame, which also gives the line.
        line: the line where ``key`` does not give it.
        column: the column, where it is known.
        consequence: what happens, where it differs from the rule's usual consequence.
    """

    file: File | str
    message: str
    remedy: str
    key: Path = ()
    line: int = 0
    column: int = 0
    consequence: Consequence | None = None


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    Attributes:
        code: stable, such as ``K0R101``; a code is never used again for something else.
        name: stable, such as ``unknown-plugin-id``.
        summary: what the rule finds, as one clause.
        consequence: what usually happens; a target may make it better or worse.
        check: yields the rule's hits.
        machine: the rule looks at the machine, not only at what the files say.
    """

    code: str
    name: str
    summary: str
    consequence: Consequence
    check: Callable[[Case], Iterable[Hit]]
    machine: bool = False

    @property
    def severity(self) -> Severity:
        """The usual severity."""
        return severity_of(self.consequence)

    @property
    def page(self) -> str:
        """Address of the rule's page."""
        return f"{DOCS}/{self.code}.md"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where.

    Attributes:
        rule: what kind of thing it is.
        message: what is wrong, as a clause without a full stop.
        path: the file.
        line: the line, from 1; 0 where the finding is about the file as a whole.
        column: the column, from 1; 0 where it is not known.
        key: the dotted key; empty where it is about no key.
        remedy: what to do, as an imperative sentence.
        culprit: whose the file is.
        consequence: what happens on this target.
    """

    rule: Rule
    message: str
    path: str
    line: int
    column: int
    key: str
    remedy: str
    culprit: str
    consequence: Consequence

    @property
    def severity(self) -> Severity:
        """``error`` for what leaves the node without a runtime, else ``warning``."""
        return severity_of(self.consequence)

    @property
    def place(self) -> str:
        """``file:line``, with the column where it is known."""
        parts = [self.path, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


def severity_of(consequence: Consequence) -> Severity:
    """Return how bad a consequence is."""
    return "error" if consequence in ERRORS else "warning"
