"""What the probes of one provider saw, as the promises look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from k0sruntime.testing.facts import Facts, OnNode


class NotSeenError(Exception):
    """There was nothing to judge; the message says what the vendor can do about that."""


@dataclass(frozen=True)
class Seen:
    """What two probes saw, in two processes with another order of sets.

    Attributes:
        provider: its name.
        first: what the first saw.
        second: what the second saw, where it is asked for less.
        plain: what a third saw without settings; none where the two have none either.
    """

    provider: str
    first: Facts
    second: Facts
    plain: Facts | None = None

    def both(self, judge: Callable[[Facts], Iterable[str]]) -> Iterator[str]:
        """Yield what is wrong in the first process, and what is wrong in the second alone."""
        found = list(judge(self.first))
        yield from found
        yield from (f"in a second process: {one}" for one in judge(self.second) if one not in found)

    def without_settings(self, judge: Callable[[Facts], Iterable[str]]) -> Iterator[str]:
        """Yield what is wrong where the provider has no table, if it was not asked so anyway."""
        if self.plain is not None:
            yield from (f"without settings: {one}" for one in judge(self.plain))

    def on_nodes(self, judge: Callable[[OnNode], Iterable[str]]) -> Iterator[str]:
        """Yield what is wrong on any node, in both processes.

        Raises:
            NotSeenError: it was asked on none.
        """
        self._asked()

        yield from self.both(lambda facts: on_nodes(facts, judge))

    def _asked(self) -> None:
        if not self.first.nodes:
            why = self.first.reason or self.first.settings_problem
            raise NotSeenError(f"it was asked nothing: {why}")

    def asked_all(self) -> None:
        """See that the first process came to its end.

        Raises:
            NotSeenError: it was asked nothing, or a hook did not come back.
        """
        self._asked()
        if self.first.hangs:
            raise NotSeenError("a hook did not come back, so that nothing more was asked")

    def active(self) -> list[OnNode]:
        """Return the nodes on which the provider contributed something.

        Raises:
            NotSeenError: it was asked on none, or rested on all of them.
        """
        self._asked()
        found = [node for node in self.first.nodes if node.state == "active"]
        if not found and all(node.failed for node in self.first.nodes):
            raise NotSeenError("it failed on every node, as another promise tells")
        if not found:
            raise NotSeenError(
                "it was active on no made-up node; give it one (k0sruntime_nodes) or settings"
                " (k0sruntime_settings), see docs/vendors.md"
            )
        return found


def on_nodes(facts: Facts, judge: Callable[[OnNode], Iterable[str]]) -> Iterator[str]:
    """Yield each sentence once, for the first node that it is true of."""
    found: dict[str, list[str]] = {}
    for node in facts.nodes:
        for what in judge(node):
            found.setdefault(what, []).append(node.label)
    for what, labels in found.items():
        others = f" (and on {len(labels) - 1} more nodes)" if len(labels) > 1 else ""
        yield f"{labels[0]}: {what}{others}"
