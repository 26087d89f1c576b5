"""What commands print: tables for people, and JSON documents with a kind and a schema number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import masking, toml
from k0sruntime.compose import k0s
from k0sruntime.proof import to_records
from k0sruntime.tables import handler_table as handler_table  # noqa: PLC0414 - one place to import from
from k0sruntime.tables import other_proofs as other_proofs  # noqa: PLC0414 - one place to import from
from k0sruntime.tables import table as table  # noqa: PLC0414 - one place to import from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime import documents
    from k0sruntime.compose import Composition
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Change, Plan, Running
    from k0sruntime.records import Record
    from k0sruntime.stages import Outcome

MARKS = {
    "create": "+",
    "update": "~",
    "remove": "-",
    "restore": "<",
    "drift": "!",
    "foreign": "!",
    "unchanged": " ",
}


def plan_document(
    plan: Plan, composition: Composition, *, unfinished: bool = False
) -> documents.Plan:
    """Return a plan as data; contents that may be secret are left out."""
    from k0sruntime import documents

    return documents.Plan(
        generation=plan.generation,
        mode=composition.mode,
        containerd_schema=composition.schema,
        scheme=composition.scheme,
        pending=not plan.empty,
        bounce=documents.Bounce(verdict=plan.bounce.verdict, reason=plan.bounce.reason),
        files=[
            documents.File(
                path=change.path,
                action=change.action,
                owner=change.owner,
                kept=change.kept,
                before=change.before.digest if change.before else None,
                after=change.after.digest if change.after else None,
                diff=shown_diff(change),
            )
            for change in plan.changes
        ],
        binaries=[
            documents.Program(
                name=installation.binary.name,
                version=installation.binary.version,
                owner=installation.owner.provider,
                folder=installation.folder,
                action="fetch" if installation in plan.missing else "unchanged",
                urls=[masking.url(d.url) for d in installation.downloads],
            )
            for installation in composition.installations
        ],
        warnings=[
            documents.Warned(
                provider=part.owner.provider,
                name=part.value.name,
                verdict=part.value.verdict,
                detail=part.value.detail,
                remedy=part.value.remedy,
                cgroup_driver=part.value.cgroup_driver,
            )
            for part in composition.warnings
        ],
        effective=[
            documents.Key(
                key=list(key.path),
                before=masking.value(key.path, key.before),
                after=masking.value(key.path, key.after),
            )
            for key in plan.keys
        ],
        overlaps=[
            documents.Overlap(key=list(o.path), loser=o.loser.path, winner=o.winner.path)
            for o in composition.overlaps
        ],
        unfinished=unfinished,
    )


def shown_diff(change: Change) -> str:
    """Return a change as a unified difference that may be shown: secrets are masked."""
    states = [state.content if state else b"" for state in (change.before, change.after)]
    texts = masking.json_texts(*states, private=_private(change))
    if texts is not None:
        return change.diff(*texts)
    return masking.diff(change.diff(), whole=_secret(change))


def _private(change: Change) -> bool:
    """Tell whether a file is its owner's alone, before or after."""
    states = [state for state in (change.before, change.after) if state]
    return any(not state.mode & 0o077 for state in states)


def _secret(change: Change) -> bool:
    """Tell whether a file is its owner's alone, or holds credentials wherever it came from."""
    states = [state for state in (change.before, change.after) if state]
    return _private(change) or any(_holds_secret(state.content) for state in states)


def _holds_secret(content: bytes) -> bool:
    try:
        return masking.holds_secret(toml.load(content, ""))
    except toml.TOMLError:
        return False


def plan_text(plan: Plan, composition: Composition) -> str:
    """Return a plan as a person reads it: files, differences, effective keys, verdict."""
    lines = [f"{MARKS[c.action]} {_action(c):<9} {c.path}  [{c.owner}]" for c in plan.changes]
    lines += _fetched(plan)
    lines += [f"  recorded  {path}: equal already, ours from now on" for path in plan.unrecorded]
    for change in plan.pending():
        lines += ["", shown_diff(change).rstrip("\n")]
    if plan.keys:
        lines += ["", "What containerd loads changes in:"]
        lines += [f"  {key}" for key in plan.keys]
    if composition.overlaps:
        lines += ["", "Keys that a foreign file sets as well:"]
        lines += [f"  {overlap}" for overlap in composition.overlaps]
    lines += warning_lines(composition)
    lines += remote_lines(composition)
    if composition.mode != "remote" and any(change.kept for change in plan.changes):
        lines += ["", f"{composition.stays}: what is kept stays until k0s was restarted"]
    verdict = {"start": "start containerd", "none": "no bounce", "stop": "stop containerd"}
    said = verdict.get(plan.bounce.verdict, "one bounce")
    if composition.mode == "managed" and any(change.is_dropin for change in plan.changes):
        said = "one bounce"
    lines += ["", f"{said}: {plan.bounce.reason}"]
    if plan.empty:
        lines.append("Nothing to do.")
    return "\n".join(lines).lstrip("\n")


def _action(change: Change) -> str:
    return "kept" if change.kept and change.action == "unchanged" else change.action


def taken_back(change: Change) -> str:
    """Return what ``down`` did to a file: removed, put back, or left to its owner without us."""
    if change.action != "restore":
        return f"- removed {change.path}"
    if change.edited:
        return f"< took ours out of {change.path}; all else in it stays"
    return f"< put back {change.path}, as it was before us"


def taken_back_words(plan: Plan) -> str:
    """Return what ``down`` does to all files in a few words, for the story."""
    changes = plan.pending()
    restored = sum(change.action == "restore" for change in changes)
    words = [f"{_files(len(changes) - restored)} removed"]
    return ", ".join([*words, *([f"{_files(restored)} put back"] if restored else [])])


def _files(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number} files"


def warning_lines(composition: Composition) -> list[str]:
    """Return what providers say that this node will not be happy with."""
    lines = []
    for part in composition.warnings:
        check, provider = part.value, part.owner.provider
        lines += ["", f"{check.verdict}: {check.name}: {check.detail}  [{provider}]"]
        lines += [f"  do: {check.remedy}"] if check.remedy else []
    return lines


def _fetched(plan: Plan) -> list[str]:
    """Return what will be fetched, and from where."""
    return [
        f"+ fetch     {installation.folder}  [{installation.owner.provider}]"
        f" from {', '.join(masking.url(d.url) for d in installation.downloads)}"
        for installation in plan.missing
    ]


def remote_lines(composition: Composition) -> list[str]:
    """Return what k0s must be told: its command line and the worker profile."""
    told = composition.k0s_told
    lines = []
    if told.lines:
        kept = "all other flags of the service are kept" if told.words else "keep your own flags"
        lines += ["", f"k0s must be told (install --force replaces all flags; {kept}):"]
        lines += [f"  {line}" for line in told.lines]
    elif told.done:
        lines += ["", f"k0s is started with this already ({_where(told)})."]
    lines += [f"note: {note}" for note in told.notes]
    if composition.stays and composition.socket:
        lines.append(
            f"note: {composition.stays}. containerd, its files and its supervisor stay as they are"
            " until it was restarted; the k0sruntime up after that removes them."
        )
    if composition.socket:
        lines.append("k0s then imports no image bundles and reads no drop-ins.")
    if composition.profile:
        lines += ["", "The cluster's configuration needs this worker profile:"]
        lines += [f"  {line}" for line in k0s.profile_fragment(composition.profile).splitlines()]
        lines += [f"note: {note}" for note in k0s.unknown_fields(composition.profile)]
        lines.append(
            "k0sruntime export k0s-config --into k0s.yaml writes it there; where dynamic"
            " configuration is on, --patch prints a patch."
        )
    return lines


def _where(told: k0s.Told) -> str:
    return (told.service.path if told.service else "") or "its command line"


def k0s_document(composition: Composition | None) -> documents.K0sTold | None:
    """Return what k0s must be told as data."""
    from k0sruntime import documents

    if composition is None or not (told := composition.k0s_told).lines:
        return None
    return documents.K0sTold(lines=list(told.lines), service=_where(told), notes=list(told.notes))


def up_document(outcome: Outcome, paths: Paths) -> str:
    """Return what ``up`` came to as a JSON document."""
    from k0sruntime import documents

    composition = outcome.composition
    socket, profile = (composition.socket, composition.profile) if composition else (None, None)
    records = outcome.running.proofs if outcome.running else to_records(outcome.proofs)
    return documents.dumps(
        documents.Up(
            generation=outcome.generation,
            before=outcome.before,
            applied=outcome.applied,
            ran=outcome.ran,
            running=running_document(outcome.running),
            socket=socket.url if socket else f"unix://{paths.socket}",
            handlers=[
                documents.Handler(
                    name=handler.name, owner=handler.owner, runtime_class=handler.runtime_class
                )
                for handler in (composition.handlers if composition else ())
            ],
            proofs=proof_documents(records),
            supervisor=outcome.supervisor or None,
            k0s_flags=k0s.worker_flags(socket, profile) if composition else [],
            k0s=k0s_document(composition),
            profile=dict(profile.values) if profile else None,
            notes=[*k0s.unknown_fields(profile), *outcome.notes],
            plan=plan_document(outcome.plan, composition) if composition else None,
        )
    )


def proof_documents(records: Iterable[Mapping[str, Any]]) -> list[documents.Proof]:
    """Return recorded verdicts as data; what an older record lacks is empty."""
    from k0sruntime import documents

    empty = dict.fromkeys(("provider", "handler", "at", "name", "verdict", "detail", "remedy"), "")
    known = {**empty, "seconds": 0.0}
    return [documents.Proof(**{key: one.get(key, known[key]) for key in known}) for one in records]


def running_document(running: Running | None) -> documents.Containerd | None:
    """Return the containerd that we started as data."""
    from k0sruntime import documents

    if running is None:
        return None
    return documents.Containerd(
        pid=running.pid, version=running.version, binary=running.binary.split(" ")[0]
    )


def up_text(outcome: Outcome, paths: Paths) -> str:
    """Return what ``up`` came to: containerd, every handler with its proof, and where to look."""
    composition = outcome.composition
    lines = []
    if outcome.running:
        running, generation = outcome.running, f"generation {outcome.generation}"
        lines += [
            f"containerd {running.version} {outcome.ran} (PID {running.pid}), {generation}",
            "",
            *handler_table(composition, outcome.proofs),
        ]
        if outcome.ran == "adopted" and running.proofs:
            lines += [
                "",
                f"proved {running.proofs[0].get('at')}; k0sruntime verify proves it again",
            ]
    elif any(proof.handler for proof in outcome.proofs):
        lines += handler_table(composition, outcome.proofs)
    lines += other_proofs(outcome.proofs)
    if composition:
        lines += warning_lines(composition)
        lines += remote_lines(composition)
    lines += [f"note: {note}" for note in outcome.notes]
    if outcome.running:
        lines += [
            "",
            f"socket         {paths.socket}",
            f"configuration  {paths.main_file}",
            f"drop-ins       {paths.dropins}",
            f"log            {outcome.log or f'{paths.run}/containerd.log'}",
            f"supervisor     {_supervisor(outcome.supervisor)}",
        ]
    return "\n".join(lines).lstrip("\n")


def _supervisor(pid: int) -> str:
    if pid:
        return f"PID {pid}: starts containerd again, follows the drop-ins"
    return "none: containerd is not started again when it ends"


def providers_text(records: Iterable[Record]) -> str:
    """Return the table of providers."""
    rows = [(r.name, r.state, r.origin, r.reason or r.summary) for r in records]
    return "\n".join(table([("PROVIDER", "STATE", "FROM", "WHY"), *rows]))


def providers_document(records: Iterable[Record]) -> str:
    """Return the providers as a JSON document."""
    from k0sruntime import documents

    return documents.dumps(
        documents.Providers(
            providers=[
                documents.Listed(
                    name=record.name,
                    state=record.state,
                    reason=record.reason,
                    distribution=record.distribution,
                    version=record.version,
                    hooks=list(record.hooks),
                    summary=record.summary,
                )
                for record in records
            ]
        )
    )
