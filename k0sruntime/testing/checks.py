"""What conformance means: one function a promise, each a judgement of what the probe saw.

A check yields what is wrong, one sentence each; nothing means that the promise is kept. Its
docstring is what the report says when it is not. ``NotSeenError`` says that there was nothing to
judge.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, get_args

from k0sruntime.contributions import Verdict
from k0sruntime.hooks import COLLECT_SECONDS
from k0sruntime.testing.facts import HOOKS, IMPORT, SETTINGS
from k0sruntime.testing.seen import NotSeenError, on_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from k0sruntime.testing.facts import Checked, Facts, Left, OnNode
    from k0sruntime.testing.seen import Seen

IMPORT_SECONDS = 0.3
"""Longer than this and every command of the host is slower for it; the best of two counts."""
CRI_PLUGIN = re.compile(r"io\.containerd\.(grpc\.v1\.cri|cri\.v1\.(runtime|images))\b")
SILENT = "it contributed nothing and gave no reason"
LONGEST_REASON = 200
MANY = 5


def loads(seen: Seen) -> Iterator[str]:
    """Make the host's ``k0sruntime providers NAME`` say active or inactive, with no settings."""
    yield from seen.both(_loaded)
    yield from seen.without_settings(_loaded)


def _loaded(facts: Facts) -> Iterator[str]:
    if facts.state != "active":
        yield f"it is {facts.state}: {facts.reason}"
    if facts.settings_problem:
        yield f"its settings are refused: {facts.settings_problem}"


def imports_fast(seen: Seen) -> Iterator[str]:
    """Import what is heavy inside the function that needs it."""
    if seen.first.state != "active":
        raise NotSeenError(f"it is {seen.first.state}")
    seconds = min(seen.first.import_seconds, seen.second.import_seconds)
    if seconds > IMPORT_SECONDS:
        yield f"its import takes {seconds:.2f} s; {IMPORT_SECONDS:g} s are allowed"


def imports_without_side_effects(seen: Seen) -> Iterator[str]:
    """Do nothing at import but define; read, start and print in the hooks, or not at all."""
    yield from seen.both(_imported)


def _imported(facts: Facts) -> Iterator[str]:
    yield from (f"its import does {what}" for _, what in facts.import_notes[:MANY])
    yield from (f"its import changes {what}" for what in facts.import_changes)
    yield from _printed(facts, "its import", IMPORT)


def settings_without_side_effects(seen: Seen) -> Iterator[str]:
    """Look at the values and raise ValueError; ``__post_init__`` runs whenever a file is read."""
    if seen.first.state != "active":
        raise NotSeenError(f"it is {seen.first.state}")
    yield from seen.both(_set)
    yield from seen.without_settings(_set)


def _set(facts: Facts) -> Iterator[str]:
    yield from (f"making its settings does {what}" for _, what in facts.settings_notes[:MANY])
    yield from (f"making its settings changes {what}" for what in facts.settings_changes)
    yield from _printed(facts, "making its settings", SETTINGS)


def _printed(facts: Facts, what: str, who: str) -> Iterator[str]:
    if said := facts.printed.get(who):
        yield f"{what} prints: {said[:200]!r}"


def answers_in_time(seen: Seen) -> Iterator[str]:
    """Look only at what ``node`` has; a hook that waits keeps the whole node waiting."""
    yield from seen.on_nodes(_late)


def _late(node: OnNode) -> Iterator[str]:
    if node.hangs or node.seconds > COLLECT_SECONDS:
        yield node.failed or f"{node.seconds:.1f} s"


def says_the_same_twice(seen: Seen) -> Iterator[str]:
    """Use no clock, no random numbers and no set's order: the same node must give the same."""
    yield from seen.on_nodes(
        lambda node: [] if node.again else ["a second call said something else"]
    )
    there = {node.label: node for node in seen.second.nodes}
    for first in seen.first.nodes:
        second = there.pop(first.label, None)
        if second is None:
            yield f"{first.label}: another process was not even asked; there it failed before"
        elif first.again and _said(first) != _said(second):
            yield f"{first.label}: another process said something else (the order of a set?)"
    yield from (f"{label}: only a second process was asked" for label in there)


def _said(node: OnNode) -> tuple[object, ...]:
    return node.state, node.reason, node.failed, node.said, node.files


def writes_nothing_itself(seen: Seen) -> Iterator[str]:
    """Return files as contributions; the host writes, records and removes them."""
    yield from _did(seen, "write", "native")


def opens_no_socket(seen: Seen) -> Iterator[str]:
    """Ask the network in ``post_start_check`` alone; collect works for nodes that are elsewhere."""
    yield from _did(seen, "socket")


def starts_no_process(seen: Seen) -> Iterator[str]:
    """Let the host ask programs (``Binary(check=VersionCheck())``); a hook starts none."""
    yield from _did(seen, "process")


def leaves_the_process_alone(seen: Seen) -> Iterator[str]:
    """Change nothing that all code shares: it is the host's process, which writes after you."""
    yield from seen.on_nodes(lambda node: [f"a hook changes {what}" for what in node.changes])
    yield from seen.both(lambda facts: _printed(facts, "a hook or a check", HOOKS))


def lints_clean(seen: Seen) -> Iterator[str]:
    """Look the rule up in docs/rules; a version of containerd may want another key."""
    nodes = [node for node in seen.active() if node.files]
    if not nodes:
        raise NotSeenError("it contributed no file on any node: there is nothing to lint")
    for node in nodes:
        yield from (f"{node.label}: {finding}" for finding in node.findings)


def names_no_plugin_id(seen: Seen) -> Iterator[str]:
    """Use ``DropIn(runtime=…, images=…)``: the IDs of CRI's tables change between schemas."""
    seen.asked_all()
    for path, source in seen.first.sources.items():
        for line, value in _strings(source):
            if found := CRI_PLUGIN.search(value):
                yield f"{path}:{line} names {found[0]}"


def has_names_of_its_own(seen: Seen) -> Iterator[str]:
    """Name handlers after the runtime; let the settings rename one that is taken."""
    yield from seen.first.conflicts
    yield from seen.on_nodes(_taken)


def _taken(node: OnNode) -> Iterator[str]:
    if "two providers" in node.failed or "twice" in node.failed:
        yield node.failed
    if "runc" in node.handlers:
        yield "the handler runc is containerd's own"


def explains_why_it_rests(seen: Seen) -> Iterator[str]:
    """Raise ``Inactive("no acme on the node's PATH")``: a clause that says what is missing."""
    yield from seen.on_nodes(_unexplained)


def _unexplained(node: OnNode) -> Iterator[str]:
    if node.state != "inactive":
        return
    if not node.reason or node.reason == SILENT:
        yield SILENT
    elif len(node.reason) > LONGEST_REASON:
        yield f"its reason has {len(node.reason)} characters"


def survives_every_node(seen: Seen) -> Iterator[str]:
    """Mend what raises, and rest where nothing can be done: a refusal stops every other runtime."""
    yield from seen.on_nodes(_failed)
    yield from seen.without_settings(lambda facts: on_nodes(facts, _failed))


def _failed(node: OnNode) -> Iterator[str]:
    if node.failed:
        yield f"{node.state}: {node.failed}"


def checks_are_bounded(seen: Seen) -> Iterator[str]:
    """Catch ``CRIError`` and give the verdict; wait for nothing without a limit."""
    yield from _of_checks(seen, _unbounded)


def _unbounded(checked: Checked) -> Iterator[str]:
    # The host gives that verdict itself: the CRI's own answer is no fault of the check.
    if checked.failed and "failed in post_start_check: CRIError: " not in checked.failed:
        yield checked.failed
    for verdict in checked.verdicts:
        if verdict not in get_args(Verdict):
            yield f"{verdict!r} is no verdict"


def checks_change_nothing(seen: Seen) -> Iterator[str]:
    """Look, and run commands through ``cri.run_in_sandbox``, which cleans up behind itself."""
    yield from _of_checks(seen, _changed)


def _changed(checked: Checked) -> Iterator[str]:
    yield from (what for kind, what in checked.notes if kind == "write")
    yield from (f"it changes {what}" for what in checked.changes)


def down_leaves_nothing(seen: Seen) -> Iterator[str]:
    """Let the host write: what it has not written it cannot take away."""
    seen.asked_all()
    seen.active()
    wrong = False
    for left in seen.first.left:
        for what in _still(left):
            wrong = True
            yield f"{left.label}: {what}"
    if not wrong and not any(left.written for left in seen.first.left):
        raise NotSeenError("it contributed no file on any node: there is nothing to leave behind")


def _still(left: Left) -> Iterator[str]:
    if left.failed:
        yield f"it could not be tried: {left.failed}"
    yield from (f"after down there is still {path}" for path in left.paths[:MANY])


def _did(seen: Seen, *kinds: str) -> Iterator[str]:
    def done(node: OnNode) -> list[str]:
        return [what for kind, what in node.notes if kind in kinds][:MANY]

    yield from seen.on_nodes(done)


def _of_checks(seen: Seen, judge: Callable[[Checked], Iterable[str]]) -> Iterator[str]:
    """Yield what is wrong with its own check, each sentence for the first node that has it.

    Raises:
        NotSeenError: it has none, or was nowhere active.
    """
    seen.asked_all()
    if not seen.first.checked:
        seen.active()
        if "post_start_check" not in seen.first.hooks:
            raise NotSeenError("it has no post_start_check")
        raise NotSeenError("its check was not run: it could be composed on no node")
    told: set[tuple[str, str]] = set()
    for checked in seen.first.checked:
        for what in judge(checked):
            if (checked.cri, what) not in told:
                told.add((checked.cri, what))
                yield f"{checked.label}, where the CRI {checked.cri}: {what}"


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
    settings_without_side_effects,
    survives_every_node,
    answers_in_time,
    says_the_same_twice,
    writes_nothing_itself,
    opens_no_socket,
    starts_no_process,
    leaves_the_process_alone,
    lints_clean,
    names_no_plugin_id,
    has_names_of_its_own,
    explains_why_it_rests,
    checks_are_bounded,
    checks_change_nothing,
    down_leaves_nothing,
)
"""All promises, in the order in which a vendor would mend them."""
