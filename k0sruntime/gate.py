"""The gate before anything is written: what lint calls an error stops ``up``.

``containerd config dump`` says yes to a configuration whose CRI plugin will not load, or whose
handler fails at every pod; lint knows better. On the node itself programs are judged as well; in an
image they may come later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import coherence, lint
from k0sruntime.compose import cgroups
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.schema import FIRST_NATIVE_K0S
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lint.composed import subject_of, target_of
from k0sruntime.lint.subject import Subject, parse
from k0sruntime.lint.target import for_k0s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.lint import Finding
    from k0sruntime.node import Files, Node

PRE_FLIGHT = ("K0R001", "K0R201", "K0R202", "K0R203")
"""Rules about what k0s's pre-flight checks refuse: broken TOML, another version, the old table."""
OURS = "k0sruntime-"
SYSTEMD_RUNS = "/run/systemd/system"
"""A folder that is there where systemd runs (sd_booted(3))."""
SCHEMA_2_X = 3
"""The schema of a containerd that answers ``RuntimeConfig``."""


@dataclass(frozen=True)
class AsComposed:
    """The node's files as they will be once the composition is applied; ``None`` takes one away."""

    before: Files
    composed: Mapping[str, bytes | None]

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` will be there."""
        if path in self.composed:
            return self.composed[path] is not None
        return self.before.exists(path) or self._is_made(path)

    def _is_made(self, path: str) -> bool:
        """A folder comes with the first file that is composed below it."""
        folder = path.rstrip("/") + "/"
        below = (text for file, text in self.composed.items() if file.startswith(folder))
        return any(text is not None for text in below)

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is a Unix socket."""
        return path not in self.composed and self.before.is_socket(path)

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is a program; nothing that is composed is one."""
        return path not in self.composed and self.before.is_executable(path)

    def read(self, path: str) -> bytes | None:
        """Return what ``path`` will hold."""
        return self.composed[path] if path in self.composed else self.before.read(path)

    def other_kind(self, path: str) -> str:
        """Return what will lie at ``path`` that is no file; empty otherwise."""
        if path in self.composed:
            return ""
        return "a folder" if self._is_made(path) else self.before.other_kind(path)

    def names(self, path: str) -> tuple[str, ...]:
        """Return the names that will be in a folder."""
        folder = path.rstrip("/") + "/"
        new = {f[len(folder) :].split("/")[0] for f in self._left() if f.startswith(folder)}
        stay = {
            name
            for name in self.before.names(path)
            if self.composed.get(folder + name, b"") is not None
        }
        return tuple(sorted(new | stay))

    def mode(self, path: str) -> int | None:
        """Return the permission bits that ``path`` has; those of composed files are ours."""
        if path in self.composed:
            return None if self.composed[path] is None else 0o644
        return self.before.mode(path)

    def _left(self) -> list[str]:
        return [path for path, content in self.composed.items() if content is not None]


OTHER_HANDS = ("K0R505", "K0R605")
"""Rules about programs that undo what others have set: it works now, and ``up`` tells it."""


def refuse_incoherent(composition: Composition, node: Node[Any]) -> None:
    """Stop where the composed handlers would make cgroups with another driver than the kubelet.

    What the running CRI says is not asked here: containerd 2 will say what its configuration says.

    Raises:
        RefusedError: handlers of ours disagree with the kubelet, or with each other.
    """
    drivers = drivers_of(composition, node)
    if drivers is None:
        return
    problems = [
        Problem(
            check.detail,
            place="SystemdCgroup of the handlers, cgroupDriver of the kubelet",
            culprit=", ".join(h.owner for h in composition.handlers if h.table) or "k0s",
            remedy=check.remedy,
        )
        for check in coherence.table(drivers)
        if check.verdict == "fail"
    ]
    if problems:
        raise RefusedError(*problems)


def drivers_of(composition: Composition, node: Node[Any]) -> coherence.Drivers | None:
    """Return what is known of cgroup drivers under a composition; ``None`` where that is nothing.

    That is so under another CRI, without a k0s, and where a worker profile of other hands decides.
    """
    if composition.mode == "remote" or node.k0s is None:
        return None
    told = [(h.name, h.table, not h.owner.startswith("/")) for h in composition.handlers]
    said = _will_say(composition, node)
    profile = composition.profile.values if composition.profile else {}
    kubelet = coherence.kubelet_says(node.files, node.paths)
    others = node.k0s_service is not None and bool(node.k0s_service.flag("--profile"))
    if others and not profile and not kubelet and not said:
        return None
    return coherence.Drivers(
        node.k0s.version,
        said,
        profile=str(profile.get("cgroupDriver", "")),
        kubelet=kubelet,
        makers=coherence.makers_of(told),
    )


def _will_say(composition: Composition, node: Node[Any]) -> str:
    """Return the cgroup driver that containerd will tell the kubelet; empty where it tells none."""
    if composition.schema != SCHEMA_2_X:
        return ""
    runtime, _ = schema_.cri_tables(composition.effective, composition.schema)
    default = runtime.get("containerd", {}).get("default_runtime_name", cgroups.RUNC)
    tables = {handler.name: handler.table for handler in composition.handlers}
    systemd = cgroups.answered(tables, str(default))
    if systemd is None:  # it looks whether systemd runs
        systemd = node.files.exists(SYSTEMD_RUNS)
    return "systemd" if systemd else coherence.DEFAULT


def refuse_leftovers(composition: Composition, node: Node[Any]) -> None:
    """Stop where drop-ins that nobody reads any more would still stop k0s.

    From 1.36 on its pre-flight checks read them whatever the CRI is, and a worker that they
    refuse does not start. Those of ours go with the change.

    Raises:
        RefusedError: every such file.
    """
    installed = node.k0s_installed or (node.k0s.version if node.k0s else None)
    if composition.mode != "remote" or installed is None or installed < FIRST_NATIVE_K0S:
        return
    folder = node.paths.dropins
    names = [n for n in node.files.names(folder) if n.endswith(".toml")]
    files = tuple(
        parse(f"{folder}/{name}", node.files.read(f"{folder}/{name}") or b"", "drop-in")
        for name in names
        if not name.startswith(OURS)
    )
    findings = lint.check(Subject(files, folders=(folder,)), for_k0s(str(installed)), node.files)
    found = of_pre_flight(findings)
    if found:
        raise RefusedError(*(problem(finding) for finding in found))


def of_pre_flight(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return those findings for which k0s's pre-flight checks refuse a drop-in."""
    return tuple(f for f in findings if f.rule.code in PRE_FLIGHT or f.key == "version")


def refuse(composition: Composition, node: Node[Any]) -> tuple[str, ...]:
    """Stop where the composition would stop the node, kill its CRI or break a handler.

    Returns what an operator must know of although it stops nothing: what other hands have done,
    and what containerd ignores in silence.

    Raises:
        RefusedError: everything found, each with rule, file and line.
    """
    refuse_incoherent(composition, node)
    refuse_leftovers(composition, node)
    findings = judged(composition, node)
    found = [finding for finding in findings if _blocks(finding)]
    if found:
        raise RefusedError(*(problem(finding) for finding in found))
    return tuple(
        f"{finding.place}: {finding.message.removesuffix('?')}"
        f"{'?' if finding.message.endswith('?') else '.'} {finding.remedy}"
        for finding in findings
        if finding.rule.code in OTHER_HANDS or finding.consequence == "silently ignored"
    )


def judged_by(composition: Composition, node: Node[Any], *, read: bool) -> str:
    """Return what has judged a composition, in a few words.

    Args:
        composition: what was judged.
        node: the node.
        read: the node's own containerd has read the files.
    """
    target = target_of(composition, node)
    if composition.mode == "remote" or target is None:
        return "no file of containerd's to check"
    by = "and by containerd itself" if read else "no containerd has read them"
    return f"checked by the rules for {target}, {by}"


def not_judged(composition: Composition, node: Node[Any]) -> tuple[str, ...]:
    """Return what nobody could judge here, and an operator must know of."""
    if composition.mode == "remote":
        return ()
    notes = []
    if node.containerd is None:
        target = target_of(composition, node)
        notes.append(
            f"no containerd is here yet that could read the files: they were judged as {target}"
        )
    if node.paths.root != "/":
        notes.append("whether programs of handlers are there was not judged: they may come later")
    return tuple(notes)


def judged(composition: Composition, node: Node[Any]) -> tuple[Finding, ...]:
    """Return what lint says of a composition on its node; nothing where another CRI serves."""
    target = target_of(composition, node, machine=not node.paths.elsewhere)
    if target is None or composition.mode == "remote":
        return ()
    files = AsComposed(node.files, {file.path: file.content for file in composition.files})
    return lint.check(subject_of(composition, node.paths), target, files)


def _blocks(finding: Finding) -> bool:
    """A foreign handler that breaks its own pods is told by the proof, and blocks nothing."""
    ours = finding.culprit != "a foreign file"
    return finding.severity == "error" or (finding.consequence == "breaks pods" and ours)


def problem(finding: Finding) -> Problem:
    """Return a finding as what stops a command."""
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return Problem(
        f"{finding.rule.code} {finding.rule.name}: {finding.message}",
        place=f"{place}: {finding.key}" if finding.key else place,
        culprit=finding.culprit,
        remedy=finding.remedy,
    )
