"""Runs the ``k0s install --force`` that a node needs, after somebody has said yes.

The old service is uninstalled before the new one is there. So its file is kept for as long as that
takes, and put back where k0s fails. k0s is not restarted: that is for its operator to time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose import k0s_unit
from k0sruntime.compose.cri_flag import FLAG
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State, write_atomically
from k0sruntime.programs import ask
from k0sruntime.real_files import file_state
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from k0sruntime.compose.k0s import Told
    from k0sruntime.node import Node
    from k0sruntime.stages import Story

INSTALL_SECONDS = 60.0
TAIL = 300


def refuse(told: Told) -> None:
    """Stop where the command cannot be run, or would come to nothing.

    Raises:
        RefusedError: k0s is no service here, or a drop-in overrides what it installs.
    """
    service = told.service
    if service is None or not service.path:
        raise RefusedError(
            Problem(
                "k0s is not installed as a service here, so there are no flags to build on",
                place="--apply-k0s",
                remedy="Run the line that is printed, with the flags that your node needs.",
            )
        )
    if service.overridden_by:
        raise RefusedError(
            Problem(
                "a drop-in sets ExecStart, so that k0s install would come to nothing",
                place=service.overridden_by,
                culprit="a foreign file",
                remedy="Take that line out, or add the flags there by hand.",
            )
        )


def install(told: Told, node: Node[Any], story: Story) -> str:
    """Run the command and see that it did what it was for; return what restarts k0s.

    Raises:
        RefusedError: it failed, and the service's file is as it was.
    """
    refuse(told)
    if told.service is None or not told.words:
        return ""
    path = node.paths.on_disk(told.service.path)
    before = file_state(path)
    with story.stage("k0s install") as tell:
        answer = ask(told.words, INSTALL_SECONDS)
        wrong = _wrong(told, node, answer.status, answer.errors or answer.output)
        if wrong and before is not None:
            with refused_io(path):
                write_atomically(path, before.content, before.mode)
        if wrong:
            raise RefusedError(
                Problem(
                    f"k0s install failed, and its service's file is as it was: {wrong}",
                    place=told.service.path,
                    culprit="k0s",
                    remedy=f"Run it by hand: {told.lines[0]}",
                )
            )
        tell(told.service.path)
    if not socket_named(told):
        State(node.paths).forget_profile()
    return told.service.restart


def socket_named(told: Told) -> str:
    """Return the CRI socket that the command names; empty for k0s's own."""
    return next((w.partition("=")[2] for w in told.words if w.startswith(f"{FLAG}=")), "")


def _wrong(told: Told, node: Node[Any], status: int, said: str) -> str:
    """Return why the command did not do what it was for, or nothing."""
    if status:
        return " ".join(said.split())[-TAIL:] or f"exit status {status}"
    found = k0s_unit.find(node)
    wanted = socket_named(told)
    if found is None or found.flag(FLAG) != wanted:
        return f"it says that it is done, and the service does not have {FLAG}={wanted}"
    return ""
