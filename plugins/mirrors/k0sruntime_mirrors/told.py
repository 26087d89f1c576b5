"""How problems are told, and exit codes, as ``k0sruntime`` itself has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime import Problem

BUG = 1
REFUSED = 3
INTERRUPTED = 130


def tell(problems: Sequence[Problem], kind: str) -> None:
    """Tell problems on standard error: what, where, who, what to do."""
    for problem in problems:
        first, *rest = problem.lines()
        click.echo("\n".join([f"{kind}: {first}", *rest]), err=True)


def document(code: int, problems: Sequence[Problem]) -> dict[str, Any]:
    """Return problems as plain data, in the shape of ``k0sruntime``'s own error document."""
    return {
        "kind": "Error",
        "schema": 1,
        "exit_code": code,
        "problems": [asdict(problem) for problem in problems],
    }
