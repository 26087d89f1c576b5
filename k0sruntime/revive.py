"""Starting containerd again after it ended, or at boot where ``up`` is refused.

What was last proved is started, whatever any hand has laid into the folder since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import last_good, processes, transaction
from k0sruntime.errors import K0sRuntimeError, Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.lock import locked

if TYPE_CHECKING:
    from k0sruntime.stages import Request, Story


def revive(request: Request, story: Story) -> bool:
    """Start and prove what was last proved; tell whether containerd had to be started.

    Raises:
        LockedError: another command is at work on this node.
        RefusedError: nothing was ever proved here, or it does not pass any more.
    """
    from k0sruntime.modes import standalone
    from k0sruntime.own_settings import bare_node
    from k0sruntime.prove import NotProvedError
    from k0sruntime.roll_back import start_last_good

    with locked(request.paths, request.lock_timeout, lambda _: None):
        if processes.running(request.paths) is not None:
            return False
        if standalone.find_again(request.paths) is not None:
            return False
        transaction.undo(request.paths)
        node, settings = bare_node(request)
        if node.mode != "standalone":
            raise RefusedError(
                Problem(
                    f"the node is in {node.mode} mode: its containerd is not ours to start",
                    place="[node] mode",
                    remedy="Run k0sruntime up.",
                )
            )
        if last_good.load(request.paths) is None and not State(request.paths).ledger().proved:
            raise RefusedError(
                Problem(
                    "nothing was ever proved on this node: there is nothing to start",
                    place=State(request.paths).folder,
                    remedy="Run k0sruntime up.",
                )
            )
        try:
            start_last_good(node, settings, State(request.paths).ledger(), story)
        except NotProvedError as exc:
            raise RefusedError(*exc.problems) from exc
    return True


def or_last_good(request: Request, error: K0sRuntimeError, story: Story) -> None:
    """Run the last good configuration where ``up`` is refused and nothing runs.

    Raises:
        K0sRuntimeError: ``error`` itself, where there is nothing to fall back to.
    """
    if processes.running(request.paths) is None and last_good.load(request.paths) is None:
        raise error
    try:
        revive(request, story)
    except K0sRuntimeError as exc:
        raise type(error)(*error.problems, *exc.problems) from error
