"""Many nodes: which of them run with the same configuration, and how the others differ.

Pure: a function of the nodes' documents.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import documents
from k0sruntime.compose.layers import dotted
from k0sruntime.seen.document import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from k0sruntime.seen.document import Key, NodeReport, Setting

UNKNOWN = "?"
"""Letter of the nodes whose configuration is not known."""
FACTS = ("mode", "k0s", "containerd", "k0sruntime")
"""What nodes of a fleet usually have in common."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Difference:
    """A key that a group has otherwise than the majority; ``None`` where it is not set."""

    key: str
    majority: str | None
    here: str | None
    setting: Setting | None = None
    """Who set it here, or, where it is not set here, in the majority."""


@dataclass(frozen=True)
class Group:
    """Nodes that run with the same configuration.

    Attributes:
        letter: its short name, ``A`` for the largest group.
        digest: of the configuration; empty where it is not known.
        nodes: their documents, by name.
        majority: it is the one that the others are compared with.
        differences: from the majority.
    """

    letter: str
    digest: str
    nodes: tuple[NodeReport, ...]
    majority: bool = False
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Attention:
    """A node that somebody should look at, and why."""

    node: NodeReport
    group: Group
    reasons: tuple[str, ...]

    def rank(self) -> tuple[int, bool, str]:
        """Return its place in a list, the worst first."""
        return SEVERITY.index(self.node.state), self.group.majority, self.node.name


@dataclass(frozen=True)
class Fleet:
    """All nodes, in groups, the largest first."""

    groups: tuple[Group, ...]
    usual: Mapping[str, str]
    """What most nodes have, by fact."""
    tied: bool = False
    """Another group is as large as the first: there is no majority to speak of."""

    @property
    def nodes(self) -> tuple[NodeReport, ...]:
        """All nodes by name."""
        found = (node for group in self.groups for node in group.nodes)
        return tuple(sorted(found, key=lambda node: node.name))

    def group_of(self, node: NodeReport) -> Group:
        """Return the group that a node is in."""
        return next(group for group in self.groups if group.digest == node.digest)

    def attention(self) -> tuple[Attention, ...]:
        """Return the nodes that somebody should look at, the worst first."""
        found = []
        for group in self.groups:
            for node in group.nodes:
                reasons = tuple(_reasons(node, group, self))
                if reasons:
                    found.append(Attention(node, group, reasons))
        return tuple(sorted(found, key=Attention.rank))


SEVERITY = ("failed", "refused", "held", "not proved", "empty", "proved")
"""States, the worst first."""


def compare(nodes: Sequence[NodeReport]) -> Fleet:
    """Group nodes by what they run with, and tell how each group differs from the largest."""
    by_digest: dict[str, list[NodeReport]] = {}
    for node in map(plain, nodes):
        by_digest.setdefault(node.digest, []).append(node)
    known = sorted((d for d in by_digest if d), key=lambda d: (-len(by_digest[d]), d))
    groups: list[Group] = []
    for number, digest in enumerate(known):
        members = tuple(sorted(by_digest[digest], key=lambda node: node.name))
        differs = tuple(_differences(groups[0].nodes[0], members[0])) if groups else ()
        groups.append(Group(letter(number), digest, members, number == 0, differs))
    if "" in by_digest:
        members = tuple(sorted(by_digest[""], key=lambda node: node.name))
        groups.append(Group(UNKNOWN, "", members))
    tied = len(known) > 1 and len(by_digest[known[0]]) == len(by_digest[known[1]])
    usual = {fact: _most(facts(node)[fact] for node in nodes) for fact in FACTS}
    return Fleet(tuple(groups), usual, tied)


def letter(number: int) -> str:
    """Return a group's short name: A to Z, then AA, AB and so on."""
    more, last = divmod(number, len(LETTERS))
    return (letter(more - 1) if more else "") + LETTERS[last]


def facts(node: NodeReport) -> dict[str, str]:
    """Return what nodes of a fleet usually have in common."""
    running = node.containerd.version if node.containerd else ""
    values = (
        node.mode,
        node.machine.k0s,
        running or node.machine.containerd,
        node.version,
    )
    return {fact: value or "none" for fact, value in zip(FACTS, values, strict=True)}


def unusual(node: NodeReport, usual: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield every fact in which a node differs: what, here, in the fleet."""
    for fact, value in facts(node).items():
        if value != usual[fact]:
            yield fact, value, usual[fact]


def _most(values: Iterable[str]) -> str:
    counted = Counter(values)
    return max(sorted(counted), key=lambda value: counted[value], default="")


def _reasons(node: NodeReport, group: Group, fleet: Fleet) -> Iterator[str]:
    if node.state != "proved":
        yield f"{SAID[node.state]}{_because(node)}"
    if not group.digest:
        yield "its configuration is not known"
    elif not group.majority:
        many = len(group.differences)
        differ = f"{many} key{' differs' if many == 1 else 's differ'}"
        yield f"runs with configuration {group.letter}: {differ}"
    if node.pending is not None:
        yield "changes are pending"
    if node.drift:
        yield f"{len(node.drift)} of our files edited by hand"
    if node.unfinished:
        yield "an apply was killed half-way"
    latest = node.generations[0] if node.generations else None
    if latest is not None and latest.rolled_back is not None:
        yield f"generation {latest.generation} was rolled back on {latest.rolled_back.at[:10]}"
    for fact, here, usual in unusual(node, fleet.usual):
        yield f"{fact} {here}, not {usual}"


def _because(node: NodeReport) -> str:
    """Return the first reason for a state, behind a colon."""
    failed = [proof for proof in node.proofs if proof.verdict == "fail"]
    said = {
        "held": [problem.message for problem in node.held.problems] if node.held else [],
        "refused": [problem.message for problem in node.problems],
        "failed": [f"{proof.handler or proof.name}: {proof.detail}" for proof in failed],
    }.get(node.state, [])
    return f": {said[0]}" if said else ""


SAID: Mapping[str, str] = {
    "proved": "proved",
    "not proved": "not proved since it was started",
    "failed": "the proof failed",
    "held": "held on its last good configuration",
    "refused": "the next up would be refused",
    "empty": "nothing of ours is on it",
}
"""Each state in a clause."""


def in_force(node: NodeReport) -> dict[tuple[str, ...], tuple[Any, Setting | None]]:
    """Return what a node runs with, by key: as composed, less what is pending."""
    found: dict[tuple[str, ...], tuple[Any, Setting | None]]
    found = {("containerd", *key.key): _word(key) for key in node.keys}
    for change in node.pending.keys if node.pending else ():
        path = ("containerd", *change.key)
        found.pop(path, None)
        if change.before is not None:
            found[path] = (change.before, None)
    found |= {("certs.d", *key.key): _word(key) for key in node.hosts}
    return found


def _word(key: Key) -> tuple[Any, Setting | None]:
    return key.value, key.set_by


def _differences(majority: NodeReport, other: NodeReport) -> Iterator[Difference]:
    left, right = in_force(majority), in_force(other)
    for path in sorted(left.keys() | right.keys()):
        if path[:2] in (("containerd", "imports"), ("containerd", "version")):
            continue
        there, here = left.get(path), right.get(path)
        if there is not None and here is not None and there[0] == here[0]:
            continue
        setting = here[1] if here else there[1] if there else None
        shown = dotted(path[1:]) if path[0] == "containerd" else dotted(path)
        yield Difference(shown, text(there), text(here), setting)


def text(word: tuple[Any, Any] | None) -> str | None:
    """Return a value as it is shown; ``None`` where there is none."""
    return json.dumps(word[0], ensure_ascii=False) if word is not None else None


def document(fleet: Fleet) -> documents.FleetReport:
    """Return the comparison as a document."""
    return documents.FleetReport(
        nodes=len(fleet.nodes),
        tied=fleet.tied,
        usual=dict(fleet.usual),
        groups=[
            documents.FleetGroup(
                letter=group.letter,
                digest=group.digest or None,
                majority=group.majority,
                nodes=[node.name for node in group.nodes],
                differences=[
                    documents.FleetDifference(key=d.key, majority=d.majority, here=d.here)
                    for d in group.differences
                ],
            )
            for group in fleet.groups
        ],
        attention=[
            documents.FleetAttention(node=a.node.name, state=a.node.state, reasons=list(a.reasons))
            for a in fleet.attention()
        ],
    )
