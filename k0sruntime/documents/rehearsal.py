"""What ``rehearse --json`` prints."""

from __future__ import annotations

from dataclasses import dataclass

from k0sruntime.documents.parts import Document, Problem
from k0sruntime.documents.told import Finding  # noqa: TC001 - the docs read the types


@dataclass(frozen=True, kw_only=True)
class MendNote:
    """What a person must know of a key that is rewritten."""

    key: str
    line: int
    why: str
    instead: str
    lost: bool
    """It is not in the result, except as a comment."""


@dataclass(frozen=True, kw_only=True)
class Mend:
    """A file that a command puts right."""

    path: str
    by: str
    """``up`` or ``migrate``."""
    diff: str
    notes: list[MendNote]


@dataclass(frozen=True, kw_only=True)
class HandlerFate:
    """What becomes of a handler."""

    name: str
    owner: str
    lies: bool
    """It is there with the files as they lie."""
    after: bool
    """It is there once they are put right."""


@dataclass(frozen=True, kw_only=True)
class ChangedDefault:
    """What containerd takes otherwise where nobody says anything."""

    key: str
    before: str
    after: str
    means: str


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Document):
    """``rehearse --json``."""

    now: str
    """Empty where that is not known."""
    then: str
    comes_back: bool | None
    """The node has a runtime where k0s was replaced and nothing else done; null where that could
    not be judged."""
    comes_back_after: bool | None
    """It has one once ``up`` and ``migrate`` have put right what they can; null as above."""
    findings: list[Finding]
    refused: list[Problem]
    """Why the files cannot be composed as they lie there, or what a trial start came to."""
    mends: list[Mend]
    left: list[Problem]
    """What keeps the node down even then."""
    handlers: list[HandlerFate]
    defaults: list[ChangedDefault]
    drivers: list[str]
    """Which cgroup driver the kubelet takes, now and then, a sentence each."""
    notes: list[str]
    """What could not be judged."""
    asked: str
    """The containerd that read the files itself; empty for none."""
    judged_by: str
    """What ``comes_back`` rests on: ``rules``, ``config dump and rules`` or ``a trial start``."""
    judged_after_by: str
    """What ``comes_back_after`` rests on."""
    untried: str
    """Why no trial start was made; empty where one was, or where there was nothing to start."""
    unjudged: list[Problem]
    """What could not be read, so that nobody can tell what would become of the node."""
