"""What conformance means: one function a promise, each a judgement of what the probe saw.

A check yields what is wrong, one sentence each; nothing means that the promise is kept. Its
docstring is what the report says when it is not. ``NotSeen`` says that there was nothing to judge.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from k0sruntime.contributions import Verdict
from k0sruntime.hooks import COLLECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.testing.facts import Checked, Facts, OnNode

IMPORT_SECONDS = 0.3
"""Longer than this and every command of the host is slower for it; the best of two counts."""
CRI_PLUGIN = re.compile(r"io\.containerd\.(grpc\.v1\.cri|cri\.v1\.(runtime|images))\b")
SILENT = "it contributed nothing and gave no reason"
LONGEST_REASON = 200
MANY = 5


class NotSeenError(Exception):
    """There was nothing to judge; the message says what the vendor can do about that."""


@dataclass(frozen=True)
class Seen:
    """What two probes saw, in two processes with another order of sets."""

    provider: str
    first: Facts
    second: Facts

    def active(self) -> list[OnNode]:
        """Return the nodes on which the provider contributed something.

        Raises:
            NotSeenError: it rested on all of them.
        """
        found = [node for node in self.first.nodes if node.state == "active"]
        if not found:
            raise NotSeenError(
                "it was active on no made-up node; give it one (k0sruntime_nodes) or settings"
                " (k0sruntime_settings), see docs/vendors.md"
            )
        return found


def loads(seen: Seen) -> Iterator[str]:
    """Make the host's ``k0sruntime providers NAME`` say active or inactive, with no settings."""
    if seen.first.state != "active":
        yield f"it is {seen.first.state}: {seen.first.reason}"
    if seen.first.settings_problem:
        yield f"its settings are refused: {seen.first.settings_problem}"


def imports_fast(seen: Seen) -> Iterator[str]:
    """Import what is heavy inside the function that needs it."""
    seconds = min(seen.first.import_seconds, seen.second.import_seconds)
    if seconds > IMPORT_SECONDS:
        yield f"its import takes {seconds:.2f} s; {IMPORT_SECONDS:g} s are allowed"


def imports_without_side_effects(seen: Seen) -> Iterator[str]:
    """Do nothing at import but define; read, start and print in the hooks, or not at all."""
    yield from (f"its import does {what}" for _, what in seen.first.import_notes[:MANY])
    yield from (f"its import changes {what}" for what in seen.first.import_changes)
    if seen.first.printed:
        yield f"it prints: {seen.first.printed[:200]!r}"


def answers_in_time(seen: Seen) -> Iterator[str]:
    """Look only at what ``node`` has; a hook that waits keeps the whole node waiting."""
    for node in seen.first.nodes:
        if node.hangs or node.seconds > COLLECT_SECONDS:
            yield f"{node.label}: {node.failed or f'{node.seconds:.1f} s'}"


def says_the_same_twice(seen: Seen) -> Iterator[str]:
    """Use no clock, no random numbers and no set's order: the same node must give the same."""
    for first, second in zip(seen.first.nodes, seen.second.nodes, strict=False):
        if not first.again:
            yield f"{first.label}: a second call said something else"
        elif (first.said, first.files) != (second.said, second.files):
            yield f"{first.label}: another process said something else (the order of a set?)"


def writes_nothing_itself(seen: Seen) -> Iterator[str]:
    """Return files as contributions; the host writes, records and removes them."""
    yield from _did(seen, "write")


def opens_no_socket(seen: Seen) -> Iterator[str]:
    """Ask the network in ``post_start_check`` alone; collect works for nodes that are elsewhere."""
    yield from _did(seen, "socket")


def starts_no_process(seen: Seen) -> Iterator[str]:
    """Let the host ask programs (``Binary(check=VersionCheck())``); a hook starts none."""
    yield from _did(seen, "process")


def lints_clean(seen: Seen) -> Iterator[str]:
    """Look the rule up in docs/rules; a version of containerd may want another key."""
    for node in seen.active():
        yield from (f"{node.label}: {finding}" for finding in node.findings)


def names_no_plugin_id(seen: Seen) -> Iterator[str]:
    """Use ``DropIn(runtime=…, images=…)``: the IDs of CRI's tables change between schemas."""
    for path, source in seen.first.sources.items():
        for line, value in _strings(source):
            if found := CRI_PLUGIN.search(value):
                yield f"{path}:{line} names {found[0]}"


def has_names_of_its_own(seen: Seen) -> Iterator[str]:
    """Name handlers after the runtime; let the settings rename one that is taken."""
    yield from seen.first.conflicts
    for node in seen.first.nodes:
        if "two providers" in node.failed or "twice" in node.failed:
            yield f"{node.label}: {node.failed}"
        if "runc" in node.handlers:
            yield f"{node.label}: the handler runc is containerd's own"


def explains_why_it_rests(seen: Seen) -> Iterator[str]:
    """Raise ``Inactive("no acme on the node's PATH")``: a clause that says what is missing."""
    for node in seen.first.nodes:
        if node.state != "inactive":
            continue
        if not node.reason or node.reason == SILENT:
            yield f"{node.label}: {SILENT}"
        elif len(node.reason) > LONGEST_REASON:
            yield f"{node.label}: its reason has {len(node.reason)} characters"


def survives_every_node(seen: Seen) -> Iterator[str]:
    """Rest where nothing can be done; with no settings a refusal would stop every other runtime."""
    for node in seen.first.nodes:
        if node.failed:
            yield f"{node.label}: {node.state}: {node.failed}"


def checks_are_bounded(seen: Seen) -> Iterator[str]:
    """Catch ``CRIError`` and give the verdict; wait for nothing without a limit."""
    for checked in _checked(seen):
        if "CRIError" not in checked.failed and checked.failed:
            yield f"where the CRI {checked.cri}: {checked.failed}"
        for verdict in checked.verdicts:
            if verdict not in get_args(Verdict):
                yield f"where the CRI {checked.cri}: {verdict!r} is no verdict"


def checks_change_nothing(seen: Seen) -> Iterator[str]:
    """Look, and run commands through ``cri.run_in_sandbox``, which cleans up behind itself."""
    for checked in _checked(seen):
        for kind, what in checked.notes:
            if kind == "write":
                yield f"where the CRI {checked.cri}: {what}"


def down_leaves_nothing(seen: Seen) -> Iterator[str]:
    """Let the host write: what it has not written it cannot take away."""
    yield from (f"after down there is still {path}" for path in seen.first.left[:MANY])


def _did(seen: Seen, kind: str) -> Iterator[str]:
    for node in seen.first.nodes:
        for note in node.notes[:MANY]:
            if note[0] == kind:
                yield f"{node.label}: {note[1]}"


def _checked(seen: Seen) -> list[Checked]:
    if not seen.first.checked:
        seen.active()
    return seen.first.checked


def _strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield a module's strings with their lines; docstrings may explain what they like."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


CHECKS: tuple[Callable[[Seen], Iterator[str]], ...] = (
    loads,
    imports_fast,
    imports_without_side_effects,
    survives_every_node,
    answers_in_time,
    says_the_same_twice,
    writes_nothing_itself,
    opens_no_socket,
    starts_no_process,
    lints_clean,
    names_no_plugin_id,
    has_names_of_its_own,
    explains_why_it_rests,
    checks_are_bounded,
    checks_change_nothing,
    down_leaves_nothing,
)
"""All promises, in the order in which a vendor would mend them."""
