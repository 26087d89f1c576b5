"""Asking a real containerd: ``containerd --config … config dump`` on a copy of the files.

This is the one impure module of this room: it lays copies into a folder for temporary files, which
is gone afterwards, and starts the given binary with a time limit. Nothing else is written, and no
daemon runs. containerd stops at the first file that it cannot decode, so that file is left out and
it is asked again. Files that the rules refuse already are not shown to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import toml
from k0sruntime.apply import scratch_copy
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lint import ordered, said, stamped
from k0sruntime.lint.case import is_readable
from k0sruntime.lint.subject import File
from k0sruntime.lint.words import Copies, refusal, warnings
from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.lint.finding import Finding, Hit, Rule
    from k0sruntime.lint.subject import Subject
    from k0sruntime.lint.target import Target
    from k0sruntime.programs import Answer

SECONDS = 15.0
MOST_ROUNDS = 10
"""So many files that only containerd refuses are told apart; then it is enough."""
MAIN = "main.toml"


def with_containerd(
    findings: Iterable[Finding], subject: Subject, target: Target, binary: str
) -> tuple[Finding, ...]:
    """Return the findings, and what a real containerd says beyond them.

    Raises:
        RefusedError: the binary does not answer.
    """
    known = tuple(findings)
    refused = {finding.path for finding in known if finding.severity == "error"}
    files = [f for f in subject.files if is_readable(f, target) and f.path not in refused]
    heard = [stamped(rule, hit) for rule, hit in _heard(files, target, binary)]
    places = {(finding.path, finding.line) for finding in known}
    fresh = [finding for finding in heard if (finding.path, finding.line) not in places]
    return ordered(subject, [*known, *fresh])


def _heard(files: list[File], target: Target, binary: str) -> list[tuple[Rule, Hit]]:
    found: list[tuple[Rule, Hit]] = []
    for _ in range(MOST_ROUNDS):
        copies = _copies(files, target)
        answer = _dump(copies, binary)
        found += [(said.WARNED, hit) for hit in warnings(answer.errors, copies)]
        if answer.status == 0:
            break
        hit = refusal(answer.errors, copies)
        found.append((said.REFUSED, hit))
        if hit.file not in files or copies.is_main(hit.file):
            break
        files = [file for file in files if file is not hit.file]
    return found


def _dump(copies: Copies, binary: str) -> Answer:
    with scratch_copy(copies.texts) as folder:
        answer = ask([binary, f"--config={folder}/{MAIN}", "config", "dump"], SECONDS)
    if answer.status < 0:
        raise RefusedError(
            Problem(
                f"containerd does not answer: {answer.errors}",
                place=binary,
                remedy="Name one that runs on this machine, or pass --k0s instead.",
            )
        )
    return replace(answer, errors=answer.errors.replace(f"{folder}/", ""))


def _copies(files: Sequence[File], target: Target) -> Copies:
    """Return numbered copies below a main file that imports exactly these."""
    names = {f"{number:06d}.toml": file for number, file in enumerate(files)}
    main = next((file for file in files if file.role == "main"), None)
    others = {name: file for name, file in names.items() if file is not main}
    quoted = ", ".join(f'"{name}"' for name in others)
    # One line before the main file's own, so that its rows are one too high.
    head = f"imports = [{quoted}]\n"
    body = _without_imports(main) if main else f"version = {target.schema}\n"
    texts = {name: _without_imports(file) for name, file in others.items()}
    given = main or File(MAIN, "main", body)
    return Copies({MAIN: head + body, **texts}, {MAIN: given, **others})


def _without_imports(file: File) -> str:
    """Return a file's text with its imports blanked out and every other line in its place."""
    if "imports" not in file.document:
        return file.text
    rest = {key: value for key, value in file.document.items() if key != "imports"}
    lines = file.text.split("\n")
    first = file.line(("imports",)) - 1
    for last in range(first + 1, len(lines) + 1):
        text = "\n".join([*lines[:first], *[""] * (last - first), *lines[last:]])
        try:
            if toml.load(text.encode(), file.path) == rest:
                return text
        except toml.TOMLError:
            continue
    return toml.dump(rest)
