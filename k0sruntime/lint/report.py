"""What ``lint`` prints: text for people, a JSON document for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime import documents
    from k0sruntime.lint.finding import Finding
    from k0sruntime.lint.subject import Subject
    from k0sruntime.lint.target import Target

HAPPENS = {
    "stops the node": "containerd does not start, or starts no pod",
    "kills CRI": "containerd runs, but without CRI: the kubelet has no runtime",
    "breaks pods": "pods or pulls that need it fail",
    "silently ignored": "it has no effect, and nobody says so",
    "untidy": "it works, but not as it looks",
}


def text(findings: Sequence[Finding], subject: Subject, target: Target) -> str:
    """Return all findings as a person reads them, and a closing count."""
    lines = [line for finding in findings for line in _lines(finding)]
    lines.append(f"{counted(findings, subject)}, judged for {target}")
    return "\n".join(lines)


def _lines(finding: Finding) -> list[str]:
    rule = finding.rule
    what = f"{finding.severity} {rule.code} {rule.name}"
    found = [f"{_plain(finding.place)}: {what}: {_plain(finding.message)}"]
    if finding.key:
        found.append(f"    key:  {_plain(finding.key)}")
    if finding.culprit != "a foreign file":
        found.append(f"    who:  {finding.culprit}")
    found.append(f"    then: {HAPPENS[finding.consequence]} ({finding.consequence})")
    found.append(f"    do:   {_plain(finding.remedy)}")
    return found


def _plain(value: str) -> str:
    """Show what a terminal would obey, or could not print, as an escape."""
    printable = value if value.isprintable() else "".join(map(_escaped, value))
    return printable.encode(errors="backslashreplace").decode()


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def counted(findings: Sequence[Finding], subject: Subject) -> str:
    """Return ``1 error and 2 warnings in 3 files``."""
    errors = sum(finding.severity == "error" for finding in findings)
    counts = f"{_many(errors, 'error')} and {_many(len(findings) - errors, 'warning')}"
    return f"{counts} in {_many(len(subject.all_files()), 'file')}"


def _many(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def document(findings: Sequence[Finding], subject: Subject, target: Target) -> str:
    """Return all findings as a JSON document."""
    from k0sruntime import documents

    errors = sum(finding.severity == "error" for finding in findings)
    return documents.dumps(
        documents.Lint(
            target=documents.JudgedFor(
                containerd=str(target.containerd),
                k0s=f"{target.k0s.major}.{target.k0s.minor}" if target.k0s else None,
                config_schema=target.schema,
                machine=target.machine is not None,
            ),
            files=[file.path for file in subject.all_files()],
            errors=errors,
            warnings=len(findings) - errors,
            findings=[record(finding) for finding in findings],
        )
    )


def record(finding: Finding) -> documents.Finding:
    """Return one finding as data."""
    from k0sruntime import documents

    return documents.Finding(
        code=finding.rule.code,
        name=finding.rule.name,
        severity=finding.severity,
        consequence=finding.consequence,
        message=finding.message,
        path=finding.path,
        line=finding.line or None,
        column=finding.column or None,
        key=finding.key or None,
        remedy=finding.remedy,
        culprit=finding.culprit,
        help=finding.rule.page,
    )
