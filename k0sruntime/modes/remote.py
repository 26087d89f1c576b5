"""Remote mode: another runtime serves the CRI. It is told to read its file again, and no more."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from k0sruntime import owed, regular
from k0sruntime.apply import scratch_copy
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.json_keys import may_be_told
from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.compose import DesiredFile
    from k0sruntime.paths import Paths

CHECK_SECONDS = 20.0


def refuse(files: Iterable[DesiredFile]) -> None:
    """Let the programs whose files are edited judge copies of them.

    Raises:
        RefusedError: everything that they say.
    """
    judged = [file for file in files if file.checks]
    if not judged:
        return
    texts = {f"{number}.json": file.content.decode() for number, file in enumerate(judged)}
    with scratch_copy(texts) as folder:
        found = [
            _said(file, check, f"{folder}/{name}")
            for file, name in zip(judged, texts, strict=True)
            for check in file.checks
        ]
    if problems := [problem for problem in found if problem]:
        raise RefusedError(*problems)


def _said(file: DesiredFile, check: Sequence[str], copy: str) -> Problem | None:
    answer = ask([word.replace("{file}", copy) for word in check], CHECK_SECONDS)
    if not answer.status:
        return None
    said = " ".join((answer.errors or answer.output).split())[-300:]
    return Problem(
        f"{check[0]} would not take the file: {said.replace(copy, file.path)}",
        place=file.path,
        culprit=f"provider {file.owner}, or what lies there",
        remedy="Correct the settings, or the file.",
    )


def reload(specs: Iterable[str], paths: Paths) -> list[str]:
    """Send SIGHUP to those who read a file of theirs again; return what to tell.

    Args:
        specs: ``program:pid-file``; only a process of that very name is signalled, and never
            containerd, k0s or this one, whatever a record says.
        paths: the node's paths.
    """
    notes = []
    for spec in dict.fromkeys(filter(None, specs)):
        program, _, pid_file = spec.partition(":")
        if not may_be_told(program):
            notes.append(f"{program} is not told to read its file again: SIGHUP ends it")
            continue
        pid = _pid(program, paths.on_disk(pid_file))
        if pid is None or pid == os.getpid():
            notes.append(f"{program} does not run ({pid_file}); it reads its file when it starts")
            continue
        os.kill(pid, signal.SIGHUP)
    return notes


def reload_owed(paths: Paths) -> list[str]:
    """Let all read their files again whose files were changed; return what to tell."""
    notes = reload(owed.owed(paths), paths)
    owed.paid(paths)
    return notes


def _pid(program: str, pid_file: str) -> int | None:
    try:
        pid = int(regular.content(pid_file, 64))
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return pid if file.read().strip() == program[:15] else None
    except (OSError, ValueError):
        return None
