"""What is left when a file of another hand goes or changes: it must not be worse than before.

A drop-in may lean on another: a default runtime on the file that defines it. Moving one away then
leaves a configuration whose CRI does not load, and containerd has it within seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import gate, pipeline
from k0sruntime.errors import K0sRuntimeError, Problem, RefusedError
from k0sruntime.stages import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.stages import Request


def refuse_worse(request: Request, instead: Mapping[str, bytes | None]) -> None:
    """Stop where the next ``up`` would refuse what is left, and would not refuse what is there.

    Args:
        request: which node, and how it is composed.
        instead: files of other hands as they will be, by path; ``None`` for one that goes.

    Raises:
        RefusedError: every problem that is new.
    """
    after = _problems(replace(request, instead=instead))
    if not after:
        return
    before = {problem.message for problem in _problems(request)}
    if worse := [problem for problem in after if problem.message not in before]:
        names = ", ".join(instead)
        hint = Problem(
            f"what is left without {names} as it is would be refused; nothing was changed",
            place=request.paths.dropins,
            remedy="Name the files below with it, or correct them first.",
        )
        raise RefusedError(hint, *worse)


def _problems(request: Request) -> tuple[Problem, ...]:
    """Return why ``up`` would refuse a node; nothing where it would not."""
    try:
        prepared = pipeline.prepare(request, Silent())
        gate.refuse(prepared.composition, prepared.node)
    except K0sRuntimeError as exc:
        return exc.problems
    return ()
