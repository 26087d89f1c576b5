"""The providers' own checks as the proof runs them: contained, bounded, and counted.

What the operator has left to another provider (``[node] prefer``) is that one's to prove: a verdict
about it would take a change back for the wrong reason.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import Check
from k0sruntime.errors import ProviderError
from k0sruntime.precedence import counted
from k0sruntime.proof import Proven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from k0sruntime.collect import Left
    from k0sruntime.cri import CRI
    from k0sruntime.hooks import Hooks
    from k0sruntime.node import Node


class _Noted:
    """A CRI that notes under which handlers something was run."""

    def __init__(self, cri: Any) -> None:
        self._cri = cri
        self.asked_under: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cri, name)

    def run_in_sandbox(self, handler: str, image: str, command: Sequence[str]) -> str:
        self.asked_under.add(handler)
        said: str = self._cri.run_in_sandbox(handler, image, command)
        return said


def provider_checks(
    hooks: Hooks, nodes: Mapping[str, Node[Any]], left: Iterable[Left] = ()
) -> list[Callable[[CRI], list[Proven]]]:
    """Return the ``post_start_check`` of every given provider, contained and bounded.

    Args:
        hooks: the providers' hooks.
        nodes: by provider, the node as it sees it.
        left: what providers have left to others: verdicts about that do not count.
    """
    left = tuple(left)

    def bind(provider: str, node: Node[Any]) -> Callable[[CRI], list[Proven]]:
        others = [one for one in left if one.provider == provider]

        def run(cri: CRI) -> list[Proven]:
            started = time.monotonic()
            noted: Any = _Noted(cri)
            try:
                found = hooks.post_start_check(provider, node, noted)
            except ProviderError as exc:
                detail = exc.problems[0].message
                check = Check(name="its own check", verdict="unknown", detail=detail)
                return [Proven(provider, check, seconds=time.monotonic() - started)]
            seconds = time.monotonic() - started
            checks = (counted(item.value, others, noted.asked_under) for item in found)
            return [Proven(provider, check, seconds=seconds) for check in checks if check]

        return run

    return [bind(provider, node) for provider, node in nodes.items()]
