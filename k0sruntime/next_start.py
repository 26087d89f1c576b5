"""What k0s's next start would refuse or ignore, though it runs now: told as notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import lint
from k0sruntime.compose import k0s as k0s_
from k0sruntime.compose.schema import FIRST_NATIVE_K0S
from k0sruntime.lint.composed import subject_of
from k0sruntime.lint.target import for_k0s

if TYPE_CHECKING:
    from k0sruntime.compose import Composition
    from k0sruntime.node import Node


def warnings(node: Node[Any], composition: Composition) -> tuple[str, ...]:
    """Return what an operator must know before k0s is started the next time.

    Another k0s may be installed than the one that runs: from 1.36 on its pre-flight checks refuse
    drop-ins that 1.35 needs. And a worker profile counts only when k0s is started with it.
    """
    if composition.mode == "remote" and composition.stays:
        return _kept(node)
    if composition.mode != "managed":
        return ()
    return (*_refused(node, composition), *_profile(node, composition))


def _kept(node: Node[Any]) -> tuple[str, ...]:
    """Tell that drop-ins which stay until k0s's restart are none that the other k0s takes."""
    runs, installed = node.k0s.version if node.k0s else None, node.k0s_installed
    if not runs or not installed or runs >= FIRST_NATIVE_K0S or installed < FIRST_NATIVE_K0S:
        return ()
    head = f"k0s {runs} runs, and {installed} is installed"
    why = "its next start refuses the drop-ins that stay until then"
    return (f"{head}: {why}; when k0s was told, stop it, run k0sruntime up, start it",)


def _refused(node: Node[Any], composition: Composition) -> tuple[str, ...]:
    installed = node.k0s_installed
    if installed is None or node.k0s is None or installed == node.k0s.version:
        return ()
    findings = lint.check(subject_of(composition, node.paths), for_k0s(str(installed)), node.files)
    refused = [finding for finding in findings if finding.severity == "error"]
    head = f"k0s {node.k0s.version} runs, and {installed} is installed"
    if not refused:
        return (f"{head}: its next start reads these files as well",)
    first = refused[0]
    return (
        f"{head}: its next start would refuse {first.path} ({first.message})"
        + (f" and {len(refused) - 1} more" if refused[1:] else "")
        + "; stop k0s, run k0sruntime up, start k0s",
    )


def _profile(node: Node[Any], composition: Composition) -> tuple[str, ...]:
    service = node.k0s_service
    if service is None or composition.profile is None:
        return ()
    wanted, found = composition.profile.name, service.flag("--profile") or "default"
    if found == wanted:
        return ()
    flags = " ".join(k0s_.worker_flags(None, composition.profile))
    return (f"k0s runs with the worker profile {found!r}, not {wanted!r}: start it with {flags}",)
