"""The proof as the run stage uses it: its target, and a failure that can be taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import last_proof
from k0sruntime.collect import for_provider
from k0sruntime.errors import Problem
from k0sruntime.proof import Proven, Target, failures
from k0sruntime.sockets import ready_fault, socket_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k0sruntime.compose import Composition
    from k0sruntime.cri import CRI
    from k0sruntime.node import Node
    from k0sruntime.stages import Prepared

    Checks = Sequence[Callable[[CRI], list[Proven]]]


class NotProvedError(Exception):
    """What was started does not pass; ``problems`` say why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def target_of(composition: Composition) -> Target:
    """Return what is to be proved of a composition."""
    profile = composition.profile.values if composition.profile else {}
    return Target(
        composition.handlers,
        composition.effective,
        composition.schema,
        str(profile.get("cgroupDriver", "")),
    )


def checks_of(prepared: Prepared) -> Checks:
    """Return the providers' own checks, of those whose contributions count."""
    from k0sruntime.own_checks import provider_checks

    counting = _counting(prepared)
    nodes = {
        record.name: for_provider(prepared.node, record.name, prepared.settings)
        for record in prepared.collected.records
        if record.name in counting and "post_start_check" in record.hooks
    }
    return provider_checks(prepared.discovered.hooks, nodes, prepared.collected.left)


def _counting(prepared: Prepared) -> set[str]:
    """Return the providers whose contributions count: another runtime reads no drop-ins."""
    active = {record.name for record in prepared.collected.records if record.state == "active"}
    if prepared.composition.mode != "remote":
        return active
    collected = prepared.collected
    owners = [item.owner for item in collected.sockets]
    owners += [item.owner for item in collected.profiles]
    return active & {owner.provider for owner in owners}


def prove(
    node: Node[Any], target: Target, checks: Checks = (), socket: str = "", owner: str = ""
) -> list[Proven]:
    """Run all layers of the proof on a socket, the node's own by default.

    Args:
        node: the node.
        target: what is to be proved.
        checks: the providers' own.
        socket: path of another runtime's socket.
        owner: who named that one.

    Raises:
        NotProvedError: a layer failed.
    """
    from k0sruntime.cri import CRI
    from k0sruntime.verify import verify

    with CRI(socket or node.paths.socket) as cri:
        if socket and (wrong := unfit(node.paths.on_disk(socket), cri, owner)):
            raise NotProvedError([wrong])
        proofs = verify(target, node, cri, checks)
    last_proof.save(node.paths, socket or node.paths.socket, proofs)
    failed = failures(proofs)
    if failed:
        where = socket or node.paths.socket
        raise NotProvedError([failed_problem(proof, where) for proof in failed])
    return proofs


def unfit(path: str, cri: CRI, owner: str) -> Problem | None:
    """Return why the socket of another runtime does not do, or ``None``; ``owner`` named it."""
    wrong = socket_fault(path, cri.runtime) or ready_fault(path, cri.conditions)
    if wrong is None:
        return None
    return replace(wrong, message=f"the CRI socket does not do: {wrong.message}", culprit=owner)


def summary(proofs: Sequence[Proven]) -> str:
    """Return the verdicts counted, in words."""
    counts = dict.fromkeys(("pass", "warn", "unknown", "fail"), 0)
    for proof in proofs:
        counts[proof.check.verdict] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def failed_problem(proof: Proven, socket: str) -> Problem:
    """Return a failed verdict as a problem for the screen; ``socket`` is what was asked."""
    remedy = "Correct its settings, or leave it out with --without."
    if proof.provider == "node":  # which cannot be left out
        remedy = "See the runtime's log and mend what it names; k0sruntime verify tries again."
    what = f"{proof.check.name} of handler {proof.handler!r}" if proof.handler else proof.check.name
    return Problem(
        f"the proof failed: {what}: {proof.check.detail}",
        place=f"handler {proof.handler}" if proof.handler else f"the running CRI, {socket}",
        culprit=f"provider {proof.provider}"
        if not proof.provider.startswith("/")
        else proof.provider,
        remedy=proof.check.remedy or remedy,
    )
