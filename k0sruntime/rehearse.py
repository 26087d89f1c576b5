"""What would become of a node under another k0s or containerd, before anyone upgrades it.

Nothing is written, and no root is needed as long as the files can be read. The files are judged
twice: as they lie there, which is what a k0s meets that was merely replaced; and as they would be
once ``k0sruntime up`` has written ours anew and ``migrate`` has rewritten what others wrote. Where
rules find nothing, and the containerd is at hand, it is started for a moment (see ``trial``).
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime import gate, lint, pipeline, trial
from k0sruntime import mends as mends_
from k0sruntime.as_it_lies import Judge, served, unreadable
from k0sruntime.changed_defaults import ChangedDefault, changed
from k0sruntime.collect import Collected
from k0sruntime.compose import Existing, compose
from k0sruntime.compose.main_file import is_managed
from k0sruntime.errors import K0sRuntimeError, Problem, RefusedError
from k0sruntime.file_names import name_fault
from k0sruntime.lint.composed import subject_of
from k0sruntime.lint.config_dump import with_containerd
from k0sruntime.lint.target import for_node
from k0sruntime.node import Node
from k0sruntime.observe import existing
from k0sruntime.own_settings import bare_node, node_settings
from k0sruntime.plan import Ledger
from k0sruntime.real_files import RealFiles
from k0sruntime.rehearsal import HandlerFate, Rehearsal
from k0sruntime.settings_source import settings_of
from k0sruntime.stages import Silent
from k0sruntime.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.mends import Mend
    from k0sruntime.node import Files, Mode
    from k0sruntime.paths import Paths
    from k0sruntime.rehearsal import JudgedBy
    from k0sruntime.stages import Prepared, Request
    from k0sruntime.upgrade import Upgrade


def rehearse(
    request: Request, upgrade: Upgrade, dropins: str = "", *, start: bool = True
) -> Rehearsal:
    """Tell what would become of a node, or of a folder of drop-ins.

    Args:
        request: which node, and how it is composed.
        upgrade: what it would have.
        dropins: a folder of drop-ins that stands for a node; absolute.
        start: make a trial start, where there is a containerd to start.

    Raises:
        RefusedError: a containerd that does not answer.
    """
    if hidden := unreadable(request.paths, dropins):
        return _unjudged(upgrade, hidden)
    if dropins:
        return _of_folder(dropins, upgrade)
    if broken := _broken_settings(request):
        return _unjudged(upgrade, broken)
    return _of_node(request, upgrade, start=start)


def _unjudged(upgrade: Upgrade, problems: tuple[Problem, ...]) -> Rehearsal:
    return Rehearsal("", str(upgrade.target), (), unjudged=problems)


def _broken_settings(request: Request) -> tuple[Problem, ...]:
    """Return what is wrong with the node's settings, without which nobody knows what it is."""
    try:
        node_settings(settings_of(request), request)
    except RefusedError as exc:
        return exc.problems
    return ()


def _of_node(request: Request, upgrade: Upgrade, *, start: bool) -> Rehearsal:
    now = _now(request)
    node = now.node if now else bare_node(request)[0]
    files = RealFiles(request.paths)
    try:
        found = existing(request.paths, Ledger())
    except RefusedError as exc:
        if _misnamed(files, request.paths):
            return _unjudged(upgrade, exc.problems)
        why = exc.problems  # what is no file under the name of one: containerd fails on it
        return Rehearsal(_words(now), str(upgrade.target), (), why, left=why, lasting=why)
    composed = _of(now)
    by = served(request, node, composed.mode if composed else None)
    mode = by.mode
    judge = _judge(upgrade, replace(node, mode=mode), found)
    try:
        subject = judge.subject(files)
    except RefusedError as exc:  # an import that cannot be read
        remedy = "Run it as root, or mend what lies there."
        return _unjudged(upgrade, tuple(replace(p, remedy=remedy) for p in exc.problems))
    findings = judge.findings(files)
    mends = mends_.migrated(subject, files, upgrade.target.schema)
    instead = {mend.path: text for mend, text in mends}
    lies, refused = _lying(_bare(request.paths, files, upgrade, mode), judge, found)
    asked = replace(request, instead=instead, upgrade=upgrade)
    after, left, told = _after(asked, judge, upgrade, now)
    written = mends_.written(after) if after else ()
    lasting = _lasting(left, written) if after else ()
    composition = None if judge.remote else after.composition if after else lies
    dead = bool(lint.errors(findings) or refused or lasting)
    then = upgrade.of(replace(node, mode=mode))
    tried = _tried(judge, None if dead else lies, then, {}, start=start)
    mended = {**instead, **(mends_.contents(after) if after else {})}
    tried_after = tried
    if after is not None and (mended or tried is None):
        whole = None if left else after.composition
        tried_after = _tried(judge, whole, after.node, mended, start=start)
    return Rehearsal(
        _words(now),
        str(upgrade.target),
        findings,
        (*refused, *_died(tried)),
        (*(mend for mend, _ in mends), *written),
        (*left, *_died(tried_after)),
        lasting,
        () if judge.remote or not after else _handlers(composed, lies, after.composition),
        _defaults(now, upgrade, composition),
        () if judge.remote else _drivers(now, after),
        (*told, *upgrade.notes(mode), *_notes(judge, request.paths), *by.notes),
        judge.binary,
        judged_by=_judged_by(judge, tried),
        judged_after_by=_judged_by(judge, tried_after),
        untried=next((t.untold for t in (tried, tried_after) if t and t.untold), ""),
    )


def _tried(
    judge: Judge,
    composition: Composition | None,
    node: Node[Any],
    instead: Mapping[str, bytes | None],
    *,
    start: bool,
) -> Trial | None:
    """Start the target's containerd with what rules find nothing in; ``None`` for no such thing."""
    if not judge.binary or composition is None:
        return None
    if not start:
        return Trial(untold="it was not wanted (--no-start)")
    return trial.start(composition, node, instead)


def _died(tried: Trial | None) -> tuple[Problem, ...]:
    return (tried.problem,) if tried and tried.problem else ()


def _judged_by(judge: Judge, tried: Trial | None) -> JudgedBy:
    if tried and not tried.untold:
        return "a trial start"
    return "config dump and rules" if judge.binary else "rules"


def _misnamed(files: Files, paths: Paths) -> bool:
    """Tell whether a drop-in has a name that we cannot read; containerd does not mind."""
    return any(name_fault(f"{paths.dropins}/{name}") for name in files.names(paths.dropins))


def _judge(upgrade: Upgrade, node: Node[Any], found: Existing) -> Judge:
    if node.mode == "remote":
        return Judge((node.paths.dropins,), upgrade.target, remote=True)
    looked = [node.paths.dropins]
    if not _rewritten_by_k0s(found, upgrade):
        looked.insert(0, node.paths.main_file)
    return Judge(tuple(looked), upgrade.on(node), upgrade.binary)


def _notes(judge: Judge, paths: Paths) -> Iterator[str]:
    """Tell what an operator must know of how it was judged."""
    if paths.elsewhere and not judge.remote:
        yield (
            "the image was judged as the machine, by its files and programs as they lie there: what"
            " comes at its first start is not among them, and its kernel and devices are not known"
        )
    if judge.remote:
        yield (
            "another CRI serves this node: only what k0s itself refuses of its drop-ins was judged"
        )


def _of_folder(folder: str, upgrade: Upgrade) -> Rehearsal:
    """Rehearse a folder of drop-ins: there is no node around it, and no provider."""
    from k0sruntime.paths import Paths

    files = RealFiles(Paths())
    names = [name for name in files.names(folder) if name.endswith(".toml")]
    found = Existing(dropins={name: files.read(f"{folder}/{name}") or b"" for name in names})
    judge = Judge((folder,), upgrade.target, upgrade.binary, follow=False)
    findings = judge.findings(files)
    mends = mends_.migrated(judge.subject(files), files, upgrade.target.schema, ours=True)
    paths = Paths(image=True)
    bare = _bare(paths, files, upgrade, None)
    lies, refused = _composed(bare, found)
    texts = {f"{paths.dropins}/{posixpath.basename(mend.path)}": text for mend, text in mends}
    after, left = _composed(bare, found.instead(paths, texts))
    if after is not None:
        left = _refused_by_gate(after, bare, upgrade)
    return Rehearsal(
        "",
        str(upgrade.target),
        findings,
        refused,
        tuple(mend for mend, _ in mends),
        left,
        left,
        _handlers(None, lies, after),
        notes=(
            "a folder alone is judged: no main file, no providers, no machine",
            *upgrade.notes(None),
        ),
        asked=judge.binary,
        judged_by=_judged_by(judge, None),
        judged_after_by=_judged_by(judge, None),
        untried="a folder alone has no machine to start on" if judge.binary else "",
    )


def _now(request: Request) -> Prepared | None:
    """Return the node as it is; ``None`` where that cannot be composed, or not read."""
    try:
        return pipeline.prepare(request, Silent())
    except K0sRuntimeError:
        return None


def _of(now: Prepared | None) -> Composition | None:
    return now.composition if now else None


def _words(now: Prepared | None) -> str:
    if now is None:
        return ""
    node = now.node
    containerd = f"containerd {node.containerd.version}" if node.containerd else ""
    k0s = f"k0s {node.k0s.version}" if node.k0s else ""
    return " with ".join(filter(None, (k0s, containerd)))


def _rewritten_by_k0s(found: Existing, upgrade: Upgrade) -> bool:
    """Tell whether k0s writes its main file anew: it does unless it is the operator's."""
    return upgrade.k0s is not None and (found.main is None or is_managed(found.main))


def _bare(paths: Paths, files: Files, upgrade: Upgrade, mode: Mode | None) -> Node[Any]:
    return upgrade.of(Node(None, files, paths=paths, mode=mode))


def _lying(
    node: Node[Any], judge: Judge, found: Existing
) -> tuple[Composition | None, tuple[Problem, ...]]:
    """Return what the files come to as they lie; nothing where another CRI serves the node."""
    return (None, ()) if judge.remote else _composed(node, found)


def _composed(node: Node[Any], found: Existing) -> tuple[Composition | None, tuple[Problem, ...]]:
    """Return what all files together come to, ours as they lie there included."""
    try:
        return compose(node, Collected(), found), ()
    except K0sRuntimeError as exc:
        return None, exc.problems


def _after(
    request: Request, judge: Judge, upgrade: Upgrade, now: Prepared | None
) -> tuple[Prepared | None, tuple[Problem, ...], tuple[str, ...]]:
    """Return what ``up`` would compose there, what it would refuse, and what cannot be judged."""
    try:
        after = pipeline.prepare(request, Silent())
    except K0sRuntimeError as exc:
        if now is None:  # not a matter of the upgrade
            return None, exc.problems, (f"ours cannot be composed here: {exc.problems[0].message}",)
        return None, exc.problems, ()
    files = gate.AsComposed(RealFiles(request.paths), request.instead)
    node = replace(after.node, files=files)
    binary = judge.binary if after.composition.mode != "remote" else ""
    leaves = judge.remote and after.composition.mode != "remote"
    # Then k0s stays on the other CRI until it is told, and what up thinks of the way is another
    # matter than whether the node comes back.
    asked = replace(upgrade, binary=binary)
    refused = () if leaves else _refused_by_gate(after.composition, node, asked)
    lie = judge.stops(gate.AsComposed(files, mends_.contents(after)))
    known = {(problem.message, problem.place) for problem in refused}
    more = tuple(problem for problem in lie if (problem.message, problem.place) not in known)
    return after, (*refused, *more), ()


def _lasting(left: tuple[Problem, ...], written: tuple[Mend, ...]) -> tuple[Problem, ...]:
    """Return what is not about a file that ``up`` would write."""
    new = {mend.path for mend in written}
    return tuple(problem for problem in left if problem.place.split(":")[0] not in new)


def _refused_by_gate(
    composition: Composition, node: Node[Any], upgrade: Upgrade
) -> tuple[Problem, ...]:
    try:
        gate.refuse(composition, node)
        if upgrade.binary:
            subject = subject_of(composition, node.paths)
            found = with_containerd((), subject, upgrade.target, upgrade.binary)
            return tuple(gate.problem(finding) for finding in lint.errors(found))
    except K0sRuntimeError as exc:
        return exc.problems
    return ()


def _handlers(
    now: Composition | None, lies: Composition | None, after: Composition | None
) -> tuple[HandlerFate, ...]:
    owners = {
        handler.name: handler.owner
        for composition in (after, lies, now)
        if composition
        for handler in composition.handlers
    }
    there = [{h.name for h in c.handlers} if c else set() for c in (lies, after)]
    return tuple(
        HandlerFate(name, owners[name], name in there[0], name in there[1])
        for name in sorted(owners)
    )


def _drivers(now: Prepared | None, after: Prepared | None) -> tuple[str, ...]:
    """Return whose cgroup driver the kubelet takes, before and afterwards."""
    said = []
    for when, prepared in (("now", now), ("then", after)):
        if prepared and (found := gate.drivers_of(prepared.composition, prepared.node)):
            said.append(f"{when}: {found.taken}, for {found.why}")
    return tuple(said)


def _defaults(
    now: Prepared | None, upgrade: Upgrade, composition: Composition | None
) -> tuple[ChangedDefault, ...]:
    if now is None or composition is None:
        return ()
    target = for_node(replace(now.node, foreign=()))
    if target is None:
        return ()
    before = target.containerd
    return changed(before, upgrade.containerd, composition.effective, composition.schema)
