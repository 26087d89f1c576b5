"""Lint: judging containerd's and k0s's files better than they do themselves.

``check`` is a function of data: what is judged (a ``Subject``), what against (a ``Target``), and a
read-only look at the node's files, which only the rules about the machine take. The only impure
module here is ``config_dump``, which asks a real containerd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import masking
from k0sruntime.compose.layers import dotted
from k0sruntime.lint.case import Case
from k0sruntime.lint.finding import Finding, Hit, Rule
from k0sruntime.lint.rules import RULES
from k0sruntime.lint.subject import File, Subject
from k0sruntime.lint.target import Target

if TYPE_CHECKING:
    from k0sruntime.node import Files

__all__ = ["RULES", "Finding", "Rule", "Subject", "Target", "check", "errors", "stamped"]


def check(subject: Subject, target: Target, files: Files) -> tuple[Finding, ...]:
    """Return all findings: file by file in containerd's order, then by line.

    Rules that look at the machine run where the target has one.
    """
    case = Case.of(subject, target, files)
    found = [
        stamped(rule, hit)
        for rule in RULES
        if target.machine or not rule.machine
        for hit in rule.check(case)
    ]
    return ordered(subject, found)


def ordered(subject: Subject, findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings without repetitions, file by file in the subject's order, then by line."""
    order = {file.path: number for number, file in enumerate(subject.all_files())}
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda f: (order.get(f.path, len(order)), f.path, f.line, f.rule.code, f.key),
        )
    )


def stamped(rule: Rule, hit: Hit) -> Finding:
    """Return the finding that a hit of a rule is."""
    file = hit.file
    if isinstance(file, File):
        path, owner = file.path, str(file.owner or "a foreign file")
        line = hit.line or (file.line(hit.key) if hit.key else 0)
    else:
        path, owner, line = file, "a foreign file", hit.line
    return Finding(
        rule,
        masking.text(hit.message),
        path,
        line,
        hit.column,
        dotted(tuple(map(_shown, hit.key))),
        masking.text(hit.remedy),
        owner,
        hit.consequence or rule.consequence,
    )


def _shown(part: str) -> str:
    """Return a part of a key as it may be shown; a hosts file has URLs there."""
    return masking.url(part) if "@" in part or "://" in part else part


def errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that leave the node without a runtime, and so block ``up``."""
    return tuple(finding for finding in findings if finding.severity == "error")
