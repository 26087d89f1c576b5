"""Errors for people and for scripts: what, where, who, what to do; all problems, one screen."""

from __future__ import annotations

import platform
from dataclasses import asdict

import click

from k0sruntime import masking
from k0sruntime.__about__ import __version__
from k0sruntime.errors import K0sRuntimeError, Problem, UsageError
from k0sruntime.guard import cause

MOST_PROBLEMS = 10
"""More than these do not fit on a screen; ``--json`` has them all."""
REPORT = "Please report it with the command line and this text."


def text(error: K0sRuntimeError) -> str:
    """Return an error as a person reads it."""
    lines = []
    for problem in error.problems[:MOST_PROBLEMS]:
        first, *rest = problem.lines()
        lines += [f"error: {first}", *rest]
    if len(error.problems) > MOST_PROBLEMS:
        more = len(error.problems) - MOST_PROBLEMS
        lines.append(f"… and {more} more; --json shows them all")
    lines.append(f"(exit {int(error.exit_code)}: {error.exit_code.name.lower().replace('_', ' ')})")
    return "\n".join(lines)


def document(error: K0sRuntimeError) -> str:
    """Return an error as a JSON document."""
    from k0sruntime import documents

    told = documents.Error(
        error=type(error).__name__,
        exit_code=int(error.exit_code),
        name=error.exit_code.name,
        problems=[documents.Problem(**asdict(problem)) for problem in error.problems],
    )
    return documents.dumps(told)


def usage(error: click.ClickException) -> UsageError:
    """Return what click says about the command line as an error of ours."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "k0sruntime"
    remedy = f"Run {command} --help."
    return UsageError(Problem(error.format_message(), "the command line", remedy=remedy))


def fault(error: BaseException, name: str) -> K0sRuntimeError:
    """Return a fault of ours as an error, for scripts."""
    return K0sRuntimeError(Problem(cause(error), culprit=_program(name), remedy=REPORT))


def _program(name: str) -> str:
    """Return a program with the version of its distribution."""
    if name == "k0sruntime":
        return f"{name} {__version__}"
    import importlib.metadata

    try:
        return f"{name} {importlib.metadata.version(name)}, k0sruntime {__version__}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name}, k0sruntime {__version__}"


def bug(error: BaseException, name: str, *, debug: bool) -> str:
    """Return what to say where the fault is that of the program ``name``."""
    where = f"{_program(name)}, Python {platform.python_version()}, {platform.machine()}"
    lines = [
        f"bug: {masking.text(cause(error))}",
        f"  This is a fault of ours, not yours ({where}).",
        f"  {REPORT}",
    ]
    if not debug and name == "k0sruntime":
        lines.append("  --debug before the command shows where it happened.")
    return "\n".join(lines)
