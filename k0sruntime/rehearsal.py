"""What a rehearsal comes to: the verdicts, what they rest on, and what can be mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from k0sruntime import lint

if TYPE_CHECKING:
    from k0sruntime.changed_defaults import ChangedDefault
    from k0sruntime.errors import Problem
    from k0sruntime.lint.finding import Finding
    from k0sruntime.mends import Mend

JudgedBy = Literal["rules", "config dump and rules", "a trial start"]
"""What a verdict rests on; only a trial start shows that containerd comes up."""


@dataclass(frozen=True)
class HandlerFate:
    """What becomes of a handler: as the files lie, and after they were put right."""

    name: str
    owner: str
    lies: bool
    after: bool


@dataclass(frozen=True)
class Rehearsal:
    """What would become of the node.

    Attributes:
        now: what it has, such as ``k0s 1.35.1 with containerd 1.7.30``; empty where that is
            not known.
        then: what it would have.
        findings: what lint says of the files as they lie there.
        refused: why they cannot be composed as they lie there, or what a trial start with them
            came to.
        mends: what ``up`` and ``migrate`` put right.
        left: what keeps the node down even then.
        lasting: what of it is there already, so that the node does not come back at all; the rest
            is about what ``up`` would write.
        handlers: what becomes of each.
        defaults: what nobody sets, and what would change.
        drivers: which cgroup driver the kubelet takes, now and then, a sentence each; none where
            that is not known.
        notes: what could not be judged.
        asked: the containerd that read the files itself; empty for none.
        judged_by: what the files were judged by as they lie there.
        judged_after_by: what they were judged by as they would be put right.
        untried: why no trial start was made; empty where one was, or needed none.
        unjudged: what could not be read, so that nobody can say what would become of the node.
    """

    now: str
    then: str
    findings: tuple[Finding, ...]
    refused: tuple[Problem, ...] = ()
    mends: tuple[Mend, ...] = ()
    left: tuple[Problem, ...] = ()
    lasting: tuple[Problem, ...] = ()
    handlers: tuple[HandlerFate, ...] = ()
    defaults: tuple[ChangedDefault, ...] = ()
    drivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    asked: str = ""
    unjudged: tuple[Problem, ...] = ()
    judged_by: JudgedBy = "rules"
    judged_after_by: JudgedBy = "rules"
    untried: str = ""

    @property
    def stops(self) -> tuple[Finding, ...]:
        """What leaves the node without a runtime as the files lie there."""
        return lint.errors(self.findings)

    @property
    def comes_back(self) -> bool | None:
        """The node has a runtime when k0s is replaced and nothing else is done.

        ``None`` where that could not be judged.
        """
        if self.unjudged:
            return None
        return not self.stops and not self.refused and not self.lasting

    @property
    def comes_back_after(self) -> bool | None:
        """It has one when ``up`` and ``migrate`` have put right what they can."""
        return None if self.unjudged else not self.left
