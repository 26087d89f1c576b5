"""``k0sruntime rehearse``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import (
    file_option,
    flag_option,
    folder_option,
    json_option,
    option,
    place_options,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k0sruntime.errors import Problem
    from k0sruntime.node import Program
    from k0sruntime.rehearsal import Rehearsal


@click.command(name="rehearse")
@option(
    "--k0s",
    metavar="VERSION",
    variable="REHEARSE_K0S",
    help="The k0s that the node would have, such as 1.36 or v1.36.3+k0s.0.",
)
@file_option(
    "--containerd",
    metavar="BIN",
    exists=True,
    variable="REHEARSE_CONTAINERD",
    help="The containerd that it would have; it reads the files itself, and is started on trial.",
)
@flag_option(
    "--no-start",
    variable="REHEARSE_NO_START",
    help="Make no trial start of the containerd that is named.",
)
@folder_option(
    "--dropins",
    exists=True,
    variable="REHEARSE_DROPINS",
    help="Judge a folder of drop-ins, and no node.",
)
@place_options
@json_option
def command(
    *,
    k0s: str | None,
    containerd: str | None,
    dropins: str | None,
    no_start: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Tell what would become of this node under another k0s or containerd.

    Nothing is written, and nothing is asked of the network. Exits with 3 where the node would not
    come back if k0s was replaced and nothing else done; what up and migrate would mend is shown.
    Exits with 9 where nobody can tell, for something could not be read: run it as root.

    Rules know much of what containerd dies of, never all. With --containerd, as root, where they
    find nothing, it is started for a moment: in memory, with namespaces of its own, so that
    nothing of this machine is touched.
    """
    from k0sruntime import rehearse
    from k0sruntime.errors import ExitCode, RefusedError, UnjudgedError
    from k0sruntime.upgrade import Upgrade

    if not k0s and not containerd:
        raise click.UsageError("Say what the node would have: --k0s VERSION, --containerd BIN.")
    program = _program(containerd) if containerd else None
    folder = os.path.abspath(dropins) if dropins else ""
    upgrade = Upgrade.to(k0s or "", program)
    try:
        found = rehearse.rehearse(request(**options), upgrade, folder, start=not no_start)
    except RefusedError as exc:  # not what 3 means here
        raise UnjudgedError(*exc.problems) from exc
    if as_json:
        click.echo(_document(found))
    elif found.unjudged:
        click.echo("Whether the node comes back could not be judged.")
        raise UnjudgedError(*found.unjudged)
    else:
        click.echo("\n".join(_lines(found)))
    if found.unjudged:
        return int(ExitCode.UNJUDGED)
    return int(ExitCode.DONE if found.comes_back else ExitCode.REFUSED)


def _program(path: str) -> Program:
    from k0sruntime.errors import Problem, UsageError
    from k0sruntime.node import Program, Version
    from k0sruntime.programs import ask

    path = os.path.abspath(path)
    answer = ask([path, "--version"], 5.0)
    named = answer.status == 0 and answer.output.startswith("containerd ")
    version = Version.parse(answer.output) if named else None
    if version is None:
        problem = Problem(
            f"{path} does not answer --version as containerd does",
            place="--containerd",
            remedy="Name a containerd that runs on this machine.",
        )
        raise UsageError(problem)
    return Program(path, version)


def _document(found: Rehearsal) -> str:
    from dataclasses import asdict

    from k0sruntime import documents
    from k0sruntime.lint import report as lint_report

    return documents.dumps(
        documents.Rehearsal(
            now=found.now,
            then=found.then,
            comes_back=found.comes_back,
            comes_back_after=found.comes_back_after,
            findings=[lint_report.record(finding) for finding in found.findings],
            refused=[documents.Problem(**asdict(problem)) for problem in found.refused],
            mends=[
                documents.Mend(
                    path=mend.path,
                    by=mend.by,
                    diff=mend.diff,
                    notes=[documents.MendNote(**asdict(note)) for note in mend.notes],
                )
                for mend in found.mends
            ],
            left=[documents.Problem(**asdict(problem)) for problem in found.left],
            handlers=[documents.HandlerFate(**asdict(fate)) for fate in found.handlers],
            defaults=[documents.ChangedDefault(**asdict(d)) for d in found.defaults],
            drivers=list(found.drivers),
            notes=list(found.notes),
            asked=found.asked,
            judged_by=found.judged_by,
            judged_after_by=found.judged_after_by,
            untried=found.untried,
            unjudged=[documents.Problem(**asdict(problem)) for problem in found.unjudged],
        )
    )


def _lines(found: Rehearsal) -> Iterator[str]:
    yield f"{found.now or 'this'} -> {found.then}"
    yield from _section("As the files lie there:", _lying(found))
    for mend in found.mends:
        yield from ("", *_mend(mend))
    yield from _section("Handlers:", _handlers(found))
    yield from _section(
        "What nobody sets, and containerd then takes otherwise:",
        (f"{d.key}: {d.before} -> {d.after}. {d.means}" for d in found.defaults),
    )
    yield from _section("The kubelet's cgroup driver:", found.drivers)
    yield from _section("What is left for your hands:", _problems(found.left))
    yield from (f"note: {note}" for note in found.notes)
    yield from ("", *_verdict(found))


def _section(head: str, lines: Iterable[str]) -> Iterator[str]:
    body = list(lines)
    if body:
        yield from ("", head, *(f"  {line}" for line in body))


def _lying(found: Rehearsal) -> Iterator[str]:
    from k0sruntime.lint.report import HAPPENS

    mended = {mend.path: mend.by for mend in found.mends}
    remedies = {
        "up": "k0sruntime up writes it anew, see below.",
        "migrate": "k0sruntime migrate rewrites it, see below.",
    }
    for finding in found.findings:
        stops = finding.severity == "error"
        yield f"{finding.severity}: {finding.place}: {finding.message}  [{finding.rule.code}]"
        yield f"  then: {HAPPENS[finding.consequence]}"
        by = mended.get(finding.path) if stops else None
        yield f"  do:   {remedies[by] if by else finding.remedy}"
    if not found.stops:
        yield from _problems(found.refused)


def _problems(problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        yield from problem.lines()


def _mend(mend: Any) -> Iterator[str]:
    what = {
        "up": "k0sruntime up writes anew",
        "migrate": f"k0sruntime migrate --write {mend.path} rewrites",
    }
    yield f"{what[mend.by]}:" if mend.by == "migrate" else f"{what[mend.by]} {mend.path}:"
    yield mend.diff.rstrip("\n")
    yield from (f"  mind: {note}" for note in mend.notes)


def _handlers(found: Rehearsal) -> list[str]:
    from k0sruntime.report import table

    if not found.handlers:
        return []
    said = {True: "there", False: "lost"}
    rows = [(h.name, h.owner, said[h.lies], said[h.after]) for h in found.handlers]
    return table([("HANDLER", "FROM", "AS IT LIES", "MENDED"), *rows])


def _verdict(found: Rehearsal) -> Iterator[str]:
    if not found.comes_back:
        count = len(found.stops) or len(found.refused) or len(found.lasting)
        things = "1 thing stops" if count == 1 else f"{count} things stop"
        by = found.judged_by
        yield f"The node would NOT come back, by {by}: {things} it as the files lie there."
    elif found.judged_by == "a trial start":
        yield "The node comes back, by a trial start: containerd came up with these files."
    else:
        yield f"The node comes back as far as {found.judged_by} can tell."
    if found.untried:
        yield f"No trial start was made: {found.untried}."
    if not found.comes_back and found.comes_back_after:
        yield "It does in this order: stop k0s, replace it, migrate --write, up, start k0s."
    elif found.comes_back and not found.comes_back_after:
        yield "k0sruntime up is refused there: see above."
    elif not found.comes_back_after:
        yield "up and migrate alone do not mend it: see above."
