"""``k0sruntime up``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import (
    bundle_option,
    change_options,
    fetch_options,
    json_option,
    node_options,
    request,
)
from k0sruntime.cli.story import Stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from k0sruntime.stages import Outcome, Request, Story


@click.command(name="up")
@node_options
@change_options
@fetch_options
@bundle_option
@click.option(
    "--settings-from",
    metavar="FILE",
    type=click.Path(dir_okay=False, exists=True),
    envvar="K0SRUNTIME_SETTINGS_FROM",
    show_envvar=True,
    help="What the settings file is to say: it comes when all has passed, else the old one stays.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    envvar="K0SRUNTIME_DRY_RUN",
    show_envvar=True,
    help="Stop after the plan, and show it.",
)
@click.option(
    "--foreground",
    is_flag=True,
    envvar="K0SRUNTIME_FOREGROUND",
    show_envvar=True,
    help="Stay as the supervisor, and stop containerd at the end.",
)
@click.option(
    "--supervisor/--no-supervisor",
    "supervise",
    default=None,
    envvar="K0SRUNTIME_SUPERVISOR",
    show_envvar=True,
    help="Leave a supervisor behind  [default: as [node.supervisor] says, which is yes]",
)
@click.option(
    "--last-good",
    is_flag=True,
    envvar="K0SRUNTIME_LAST_GOOD",
    show_envvar=True,
    help="Only start what was last proved, whatever the files say now; nothing is written.",
)
@click.option(
    "--supervised",
    is_flag=True,
    hidden=True,
    envvar="K0SRUNTIME_SUPERVISED",
    show_envvar=True,
    help="The supervisor asks, and not a person: it is not remembered.",
)
@click.option(
    "--apply-k0s",
    is_flag=True,
    envvar="K0SRUNTIME_APPLY_K0S",
    show_envvar=True,
    help="Run the k0s install --force that is printed, after a yes.",
)
@click.option(
    "--yes",
    "-y",
    is_flag=True,
    envvar="K0SRUNTIME_YES",
    show_envvar=True,
    help="Say yes to --apply-k0s beforehand.",
)
@json_option
def command(
    *,
    dry_run: bool,
    foreground: bool,
    supervise: bool | None,
    last_good: bool,
    supervised: bool,
    apply_k0s: bool,
    yes: bool,
    as_json: bool,
    bundle: str | None,
    **options: Any,
) -> int:
    """Compose, check, write, start and prove the node's container runtime.

    Converges and returns; a second run changes nothing and bounces nothing. Where the proof
    fails, the old state is put back. A supervisor stays behind, which starts containerd again
    when it ends and follows the drop-in folder.
    """
    from dataclasses import replace

    from k0sruntime import documents, provide, report, sandbox
    from k0sruntime.bundle import deliver

    _check_exclusive(
        options["root"], bundle, foreground=foreground, last_good=last_good, dry_run=dry_run
    )
    _check_settings(options["settings_from"], options["settings"], foreground or last_good)
    _check_apply(apply_k0s, yes, as_json, elsewhere=bool(options["root"] or foreground or dry_run))
    asked = replace(
        request(**options), supervise=supervise, remember=not supervised, apply_k0s=apply_k0s
    )
    story = Stderr()
    if dry_run:
        prepared = provide.asked(deliver.way_to_plan(bundle)(asked, story))
        plan, composition = prepared.plan, prepared.composition
        unfinished = prepared.observed.unfinished
        document = report.plan_document(plan, composition, unfinished=unfinished)
        click.echo(documents.dumps(document) if as_json else report.plan_text(plan, composition))
        return 0
    if last_good:
        return _last_good(asked, story, as_json=as_json)
    sandbox.mark_sandbox(asked.paths)
    up = deliver.way_up(bundle)

    def show(outcome: Outcome) -> None:
        click.echo((report.up_document if as_json else report.up_text)(outcome, asked.paths))

    if foreground:
        return _stay(asked, story, show, up)
    outcome = up(asked, story)
    if not apply_k0s:
        show(outcome)
        return 0
    if not as_json:
        show(outcome)
    restart = _apply_k0s(outcome, asked, story, yes=yes)
    if as_json:
        show(
            replace(outcome, notes=(*outcome.notes, *([f"restart k0s: {restart}"] * bool(restart))))
        )
    elif restart:
        click.echo(f"next: {restart}")
    return 0


def _check_exclusive(
    root: str | None, bundle: str | None, *, foreground: bool, last_good: bool, dry_run: bool
) -> None:
    """Refuse what contradicts itself."""
    if bundle and last_good:
        raise click.UsageError("--bundle excludes --last-good.")
    if foreground and (root or last_good or dry_run):
        raise click.UsageError("--foreground excludes --root, --last-good and --dry-run.")


def _check_settings(brought: str | None, place: str | None, only_what_is_there: bool) -> None:
    """Refuse settings that could not be brought."""
    from k0sruntime import regular

    if brought and only_what_is_there:
        raise click.UsageError("--settings-from excludes --foreground and --last-good.")
    if brought and regular.handed_over(place or ""):
        raise click.UsageError("--settings-from writes to the file of --settings; a pipe is none.")


def _check_apply(apply_k0s: bool, yes: bool, as_json: bool, *, elsewhere: bool) -> None:
    """Refuse what cannot be asked or answered, before anything is done."""
    if not apply_k0s:
        return
    if elsewhere:
        raise click.UsageError("--apply-k0s excludes --root, --foreground and --dry-run.")
    if not yes and (as_json or not sys.stdin.isatty()):
        raise click.UsageError("--apply-k0s asks before it goes on; without a terminal say --yes.")


def _apply_k0s(outcome: Outcome, asked: Request, story: Story, *, yes: bool) -> str:
    """Run what k0s must be told, after a yes; return what restarts k0s."""
    from k0sruntime import k0s_install

    told = outcome.composition.k0s_told if outcome.composition else None
    if told is None or not told.lines:
        story.say("k0s need not be told anything")
        return ""
    if not yes and not click.confirm("Run it?", err=True):
        story.say("k0s was not told")
        return ""
    return k0s_install.install(told, asked, story)


def _last_good(asked: Request, story: Story, *, as_json: bool) -> int:
    from k0sruntime import documents, processes, report, revive

    started = revive.revive(asked, story)
    running = report.running_document(processes.running(asked.paths))
    if as_json:
        click.echo(documents.dumps(documents.LastGood(started=started, running=running)))
    elif running:
        click.echo(f"containerd {running.version} {'started' if started else 'runs already'}")
    return 0


def _stay(
    asked: Request,
    story: Story,
    show: Callable[[Outcome], None],
    up: Callable[[Request, Story], Outcome],
) -> int:
    """Be the supervisor; where ``up`` is refused, on what was last proved."""
    from k0sruntime import (
        last_good,
        own_settings,
        processes,
        revive,
        supervise,
        supervisor,
    )
    from k0sruntime.cli import render_error
    from k0sruntime.clock import now
    from k0sruntime.errors import K0sRuntimeError
    from k0sruntime.sd_notify import notify

    orders = supervise.listen()
    with supervisor.place(asked.paths):
        try:
            outcome = up(asked, story)
        except K0sRuntimeError as exc:
            revive.or_last_good(asked, exc, story)
            last_good.hold(asked.paths, exc.problems, now())
            click.echo(render_error.text(exc), err=True)
        else:
            show(outcome)
            if (
                processes.running(asked.paths) is None
            ):  # another runtime serves the CRI: nothing to stay with
                supervisor.record(asked.paths, None)
                notify("READY=1")
                return 0
        settings = own_settings.bare_settings(asked).supervisor
        return supervise.stay(asked.paths, story, settings, orders)
