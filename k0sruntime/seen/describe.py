"""Makes the document of a node out of what was seen of it. Credentials are masked here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from k0sruntime import explain, masking, provider_report, report
from k0sruntime.__about__ import __version__
from k0sruntime.compose import schema as schema_
from k0sruntime.key_changes import difference
from k0sruntime.lint import report as lint_report
from k0sruntime.seen import document as doc
from k0sruntime.seen import in_force
from k0sruntime.seen.look import started

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime.errors import Problem
    from k0sruntime.explain import Explained
    from k0sruntime.lint import Finding
    from k0sruntime.node import Node
    from k0sruntime.seen.look import Seen
    from k0sruntime.stages import Prepared


def describe(seen: Seen, name: str, at: str, findings: Iterable[Finding] = ()) -> doc.NodeReport:
    """Return a node's document.

    Args:
        seen: what was seen of it.
        name: what it is called.
        at: when it was looked at, in ISO 8601.
        findings: what lint says of its composition.
    """
    prepared, held = seen.prepared, seen.held
    composition = prepared.composition if prepared else None
    effective = in_force.effective(seen)
    hosts = list(in_force.hosts(seen.node, seen.ledger))
    sandbox = seen.node.paths.sandbox
    return doc.NodeReport(
        name=name,
        at=at,
        version=__version__,
        state=_state(seen),
        sandbox=sandbox,
        mode=composition.mode if composition else seen.ledger.cri.mode or "",
        scheme=composition.scheme if composition else "",
        config_schema=composition.schema if composition else 0,
        digest="" if effective is None else in_force.digest(effective, hosts, sandbox),
        machine=_machine(seen.node),
        containerd=_containerd(seen),
        supervisor=_supervisor(seen),
        generation=seen.ledger.generation,
        proved_at=seen.proved_at,
        handlers=list(_handlers(prepared)) if prepared else [],
        proofs=list(_proofs(seen)),
        providers=list(_providers(prepared)) if prepared else [],
        keys=[_key(entry) for entry in explain.explain_all(composition)] if composition else [],
        hosts=hosts,
        pending=_pending(prepared, effective or {}) if prepared else None,
        drift=seen.changes("drift"),
        foreign=seen.foreign(),
        quarantined=list(seen.quarantined),
        unfinished=seen.unfinished,
        held=doc.Held(at=held.at, problems=_problems(held.problems)) if held else None,
        problems=_problems(seen.refused.problems) if seen.refused else [],
        findings=[_finding(finding) for finding in findings],
        generations=list(_generations(seen)),
        counts=doc.Counts(**asdict(seen.counts)),
    )


def _state(seen: Seen) -> doc.State:
    verdicts = {proof.check.verdict for proof in seen.proofs}
    if seen.held is not None and seen.running is not None:
        return "held"
    if seen.refused is not None:
        return "refused"
    if "fail" in verdicts:
        return "failed"
    if verdicts:
        return "proved"
    return "not proved" if seen.ledger.files or seen.pid else "empty"


def _machine(node: Node[Any]) -> doc.Machine:
    return doc.Machine(
        arch=node.arch,
        system=node.os_release.get("PRETTY_NAME", ""),
        kernel=str(node.kernel or ""),
        cgroups=node.cgroups,
        k0s=str(node.k0s.version) if node.k0s else "",
        k0s_installed=str(node.k0s_installed or ""),
        containerd=str(node.containerd.version) if node.containerd else "",
        containerd_path=node.containerd.path if node.containerd else "",
        gpus=[doc.GPU(**gpu._asdict()) for gpu in node.gpus],
    )


def _containerd(seen: Seen) -> doc.Process | None:
    if not seen.pid:
        return None
    version = seen.running.version if seen.running else ""
    if not version and seen.node.containerd:
        version = str(seen.node.containerd.version)
    return doc.Process(pid=seen.pid, alive=True, version=version, started=started(seen.pid))


def _supervisor(seen: Seen) -> doc.Process | None:
    found = seen.supervisor
    if found is None:
        return None
    detail = masking.text(found.gave_up) or ("" if found.detached else "in the foreground")
    return doc.Process(
        pid=found.pid, alive=found.alive, started=started(found.pid) * found.alive, detail=detail
    )


def _handlers(prepared: Prepared) -> Iterator[doc.Handler]:
    composition = prepared.composition
    runtime, _ = schema_.cri_tables(composition.effective, composition.schema)
    default = runtime.get("containerd", {}).get("default_runtime_name", "runc")
    for handler in composition.handlers:
        yield doc.Handler(
            name=handler.name,
            owner=handler.owner,
            runtime_type=str(handler.table.get("runtime_type", "")),
            runtime_class=handler.runtime_class,
            default=handler.name == default,
        )


def _proofs(seen: Seen) -> Iterator[doc.Verdict]:
    for proof in seen.proofs:
        yield doc.Verdict(
            name=proof.check.name,
            verdict=proof.check.verdict,
            provider=proof.provider,
            handler=proof.handler,
            detail=proof.check.detail,
            remedy=proof.check.remedy,
            seconds=round(proof.seconds, 3),
        )


def _providers(prepared: Prepared) -> Iterator[doc.Provider]:
    collected = prepared.collected
    parts: list[Any] = [*collected.parts, *collected.hosts]
    parts += [*collected.sockets, *collected.profiles]
    for record in collected.records:
        contributions = [
            doc.Contribution(hook=p.owner.hook, what=masking.text(provider_report.words(p.value)))
            for p in parts
            if p.owner.provider == record.name
        ]
        yield doc.Provider(
            name=record.name,
            state=record.state,
            origin=record.origin,
            summary=record.summary,
            reason=record.reason,
            contributions=contributions,
        )


def _key(entry: Explained) -> doc.Key:
    return doc.Key(
        key=list(entry.key),
        value=entry.value,
        set_by=doc.Setting(**vars(entry.setting)),
        overrode=[doc.Setting(**vars(setting)) for setting in entry.overrode],
    )


def _pending(prepared: Prepared, effective: Mapping[str, Any]) -> doc.Pending | None:
    """Return what the next ``up`` would do; ``None`` where that is nothing."""
    plan, composition = prepared.plan, prepared.composition
    if plan.empty:
        return None
    told = report.plan_document(plan, composition)
    changed = [file for file in told.files if file.action != "unchanged"]
    return doc.Pending(
        verdict=plan.bounce.verdict,
        reason=plan.bounce.reason,
        files=[doc.File(path=f.path, action=f.action, owner=f.owner, diff=f.diff) for f in changed],
        keys=[
            doc.Change(
                key=list(change.path),
                before=masking.value(change.path, change.before),
                after=masking.value(change.path, change.after),
            )
            for change in difference(effective, composition.effective)
        ],
        programs=[installation.folder for installation in plan.missing],
    )


def _problems(problems: Iterable[Problem]) -> list[doc.Problem]:
    return [doc.Problem(**asdict(problem)) for problem in problems]


def _finding(finding: Finding) -> doc.Finding:
    """Return what ``lint`` says of it, but for the column, which a page has no use for."""
    known = asdict(lint_report.record(finding))
    return doc.Finding(**{name: known[name] for name in doc.Finding.__struct_fields__})


def _generations(seen: Seen) -> Iterator[doc.Generation]:
    for found, programs in reversed(seen.generations):
        back = found.rolled_back
        yield doc.Generation(
            generation=found.generation,
            at=found.at,
            proved=found.proved,
            present=found.generation == seen.ledger.generation,
            files=len(found.files),
            programs=programs,
            rolled_back=doc.RolledBack(at=back.at, to=back.to, reasons=list(back.reasons))
            if back
            else None,
        )
