"""The kit's hands: everything that is asked of one provider, in a process of its own.

``python -m k0sruntime.testing.probe REQUEST RESULT`` imports the provider, asks it on made-up
nodes, composes, judges, applies into an empty folder and takes it away again, and writes down what
it saw. It judges nothing: ``checks.py`` does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime import compose as compose_
from k0sruntime.collect import collect, for_provider, provider_settings
from k0sruntime.compose import Existing
from k0sruntime.discovery import discover, installed
from k0sruntime.errors import CRIError, K0sRuntimeError
from k0sruntime.guard import bounded, cause
from k0sruntime.hooks import COLLECT_SECONDS
from k0sruntime.lint import check
from k0sruntime.lint.composed import subject_of, target_of
from k0sruntime.node_provider import NodeSettings
from k0sruntime.paths import Paths
from k0sruntime.settings import SettingsFile
from k0sruntime.testing import given
from k0sruntime.testing.composed import mode_of
from k0sruntime.testing.facts import FOLDERS, IMPORT, SETTINGS, Checked, Facts, OnNode, Request
from k0sruntime.testing.left import left_on
from k0sruntime.testing.made_up_cri import MadeUpCRI
from k0sruntime.testing.nodes import LINES, bare_node, make_node
from k0sruntime.testing.state import changed_since, process_state, put_limits_back
from k0sruntime.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.collect import Collected
    from k0sruntime.compose import Composition
    from k0sruntime.discovery import Discovered
    from k0sruntime.node import Node

CHECK_SECONDS = 10.0
"""A made-up CRI answers at once; who takes longer waits for something else."""
BARE = "a node with nothing on it"


def probe(request: Request) -> Facts:
    """Ask one provider everything and return what was seen."""
    watch = Watch([f"{request.scratch}/{name}" for name in FOLDERS])
    before = process_state()
    others = {record.name for record in installed()} - {request.provider}
    discovered = discover(others)
    record = next(r for r in discovered.records if r.name == request.provider)
    facts = Facts(
        record.state,
        record.reason,
        record.distribution,
        record.seconds,
        watch.take(),
        changed_since(before),
        hooks=list(record.hooks),
        said_until={IMPORT: _said_so_far()},
    )
    if record.state != "active":
        return facts
    facts, settings = _set(facts, discovered, request, watch)
    if facts.settings_problem:
        return facts
    nodes: list[tuple[OnNode, Node[Any]]] = []
    for label, node in _nodes(request):
        nodes.append((_on_node(label, node, discovered, settings, watch), node))
        if nodes[-1][0].hangs:
            break  # what follows would take for ever and tell no more
    going = [*discovered.hooks.uses(request.provider).sentences()]
    facts = replace(facts, nodes=[seen for seen, _ in nodes], going=going)
    if request.brief or facts.hangs:
        return facts
    active = {seen.label: n for seen, n in nodes if seen.state == "active" and not seen.failed}
    composed = {label: node for label, node in active.items() if label != BARE}
    together = discover()
    return replace(
        facts,
        conflicts=_conflicts(together, request, [node for _, node in nodes]),
        checked=[*_checked(discovered, settings, active, request.provider, watch)],
        left=[*left_on(composed, discovered, settings, request.provider)],
        sources=_sources(record.module),
    )


def _set(
    facts: Facts, discovered: Discovered, request: Request, watch: Watch
) -> tuple[Facts, dict[str, Any]]:
    """Make the provider's settings, which is its code as well, and note what that does."""
    watch.take()
    before, problem, settings = process_state(), "", {}
    try:
        settings = bounded(lambda: _settings(discovered, request), COLLECT_SECONDS)
    except K0sRuntimeError as exc:
        problem = str(exc)
    except BaseException as exc:  # noqa: BLE001 - it may end the process, or raise anything
        problem = cause(exc)
    found = replace(
        facts,
        settings_problem=problem,
        settings_notes=watch.take(),
        settings_changes=changed_since(before),
        said_until={**facts.said_until, SETTINGS: _said_so_far()},
    )
    return found, settings


def _said_so_far() -> tuple[int, int]:
    """Return how many bytes are on standard output and standard error, which are files here."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fstat(1).st_size, os.fstat(2).st_size


def _settings(discovered: Discovered, request: Request) -> dict[str, Any]:
    """Return the provider's settings: its table of the given file, else its defaults."""
    wanted = given.settings_table(request.settings, request.provider)
    found = provider_settings(discovered, SettingsFile(request.settings, wanted))
    return {**found, "node": NodeSettings()}


def _nodes(request: Request, **more: Any) -> Iterator[tuple[str, Node[Any]]]:
    """Yield the nodes on which the provider is asked, the barest first.

    Their files lie in a folder, so that a hook that writes does no harm to this machine.
    """
    more = {"paths": Paths(root=f"{request.scratch}/node"), **more}
    yield BARE, replace(bare_node("", None), **more)
    for line in LINES:
        for words, binaries in (("without programs", False), ("with programs", True)):
            made = make_node("", None, line=line, binaries=binaries, mode=mode_of(line), **more)
            yield f"{_words(line)} {words}", made
    special: dict[str, Any] = {"on aarch64": {"arch": "aarch64"}, "with a GPU": {"gpu": "nvidia"}}
    for words, facts in special.items():
        made = make_node("", None, binaries=True, mode="managed", **facts, **more)
        yield f"{_words('1.36')} {words}", made
    yield from given.nodes(request.nodes, **more)


def _words(line: str) -> str:
    k0s, containerd = LINES[line]
    return f"k0s {line} (containerd {containerd})" if k0s else f"containerd {containerd}"


def _on_node(
    label: str,
    node: Node[Any],
    discovered: Discovered,
    settings: Mapping[str, Any],
    watch: Watch,
) -> OnNode:
    """Ask the provider twice on one node, and compose and judge what it says."""
    name = _only(discovered)
    watch.take()
    before, began = process_state(), time.monotonic()
    try:
        collected = collect(discovered, node, settings)
        seconds, said = time.monotonic() - began, _said(collected, name)
        again = said == _said(collect(discovered, node, settings), name)
    except K0sRuntimeError as exc:
        seconds = time.monotonic() - began
        failed = "; ".join(problem.message for problem in exc.problems)
        kind = "refused" if exc.exit_code == 3 else "failed"
        seen = OnNode(label, kind, failed=failed, seconds=seconds, notes=watch.take())
        # A hook that hangs leaves its thread behind, and that is told already.
        return seen if seen.hangs else replace(seen, changes=changed_since(before))
    notes, other = watch.take(), changed_since(before)
    record = next(r for r in collected.records if r.name == name)
    seen = OnNode(label, record.state, record.reason, "", seconds, notes, other, again, said)
    if record.state != "active" or label == BARE:  # no schema could be chosen for a bare node
        return seen
    try:
        composition = compose_.compose(node, collected, Existing())
    except K0sRuntimeError as exc:
        return replace(seen, failed="; ".join(p.message for p in exc.problems))
    files = {f.path: f.content.decode() for f in composition.files if f.owner == name}
    handlers = [handler.name for handler in composition.handlers if handler.owner == name]
    findings = _findings(composition, node, name)
    return replace(seen, files=files, handlers=handlers, findings=findings)


def _only(discovered: Discovered) -> str:
    return next(r.name for r in discovered.records if r.state != "blocked" and r.name != "node")


def _said(collected: Collected, name: str) -> list[str]:
    """Return what a provider contributed, as text that two calls can be compared by."""
    kinds = (collected.parts, collected.hosts, collected.sockets, collected.profiles)
    return [repr(item.value) for kind in kinds for item in kind if item.owner.provider == name]


def _findings(composition: Composition, node: Node[Any], name: str) -> list[str]:
    target = target_of(composition, node)
    if target is None or composition.mode == "remote":
        return []
    found = check(subject_of(composition, node.paths), target, node.files)
    ours = [f for f in found if f.culprit.startswith(f"{name} (")]
    return [f"{f.rule.code} {f.rule.name}: {f.message} ({f.path}:{f.line})" for f in ours]


def _conflicts(together: Discovered, request: Request, nodes: list[Node[Any]]) -> list[str]:
    """Return what the provider has against the others that are installed, on any node."""
    found = []
    record = next(r for r in together.records if r.name == request.provider)
    if record.state == "duplicate":
        found.append(record.reason)
    for node in nodes:
        try:
            settings = _settings(together, request)
            compose_.compose(node, collect(together, node, settings), Existing())
        except K0sRuntimeError as exc:
            if exc.exit_code == 5:
                found += [p.message for p in exc.problems if f"{request.provider} (" in p.culprit]
    return list(dict.fromkeys(found))


def _checked(
    discovered: Discovered,
    settings: Mapping[str, Any],
    nodes: Mapping[str, Node[Any]],
    name: str,
    watch: Watch,
) -> Iterator[Checked]:
    """Run the provider's own check on nodes, with a CRI that answers, and one that does not."""
    if not any(r.name == name and "post_start_check" in r.hooks for r in discovered.records):
        return
    deaf = CRIError("UNAVAILABLE", "connection refused")
    for label, node in nodes.items():
        own = for_provider(replace(node, probe_image="probe:1"), name, settings)
        for words, cri in (("answers", MadeUpCRI()), ("does not answer", MadeUpCRI(fails=deaf))):
            watch.take()
            before, began, failed = process_state(), time.monotonic(), ""
            verdicts: list[str] = []
            try:
                found = discovered.hooks.post_start_check(name, own, cri, CHECK_SECONDS)
                verdicts += [item.value.verdict for item in found]
            except K0sRuntimeError as exc:
                failed = exc.problems[0].message
            seconds = time.monotonic() - began
            seen = Checked(label, words, verdicts, failed, seconds, watch.take())
            if seconds > CHECK_SECONDS:  # its thread is left behind; the others would hang as well
                yield seen
                return
            yield replace(seen, changes=changed_since(before))


def _sources(module: str) -> dict[str, str]:
    """Return the provider's own modules: path to source."""
    package = module.partition(".")[0]
    found = {}
    for name, loaded in list(sys.modules.items()):
        path = getattr(loaded, "__file__", None)
        if name.partition(".")[0] == package and path and path.endswith(".py"):
            with open(path, encoding="utf-8") as file:
                found[path] = file.read()
    return found


def main(request: str, result: str) -> None:
    """Read a request, probe, and write the result down; what went wrong here as well."""
    warnings.simplefilter("ignore", FutureWarning)  # the facts tell it, and what is printed counts
    limits = process_state()["the limits of resources"]
    try:
        facts = probe(msgspec.json.decode(request, type=Request))
    except given.GivenError as exc:
        facts = Facts("broken", str(exc))
    except BaseException as exc:  # noqa: BLE001 - told by the check that reads it
        facts = Facts("broken", f"the kit could not go on: {cause(exc)}")
    put_limits_back(limits)
    descriptor = os.open(result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, msgspec.json.encode(facts))
    os.close(descriptor)
    if any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        sys.stdout.flush()
        os._exit(0)  # Python would wait for a thread that a hook has left behind


if __name__ == "__main__":
    main(*sys.argv[1:])
