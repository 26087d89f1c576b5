"""``k0sruntime up``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import change_options, json_option, node_options, request
from k0sruntime.cli.story import Stderr

if TYPE_CHECKING:
    from k0sruntime.stages import Outcome, Request, Story


@click.command(name="up")
@node_options
@change_options
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
@json_option
def command(
    *, dry_run: bool, foreground: bool, supervise: bool | None, as_json: bool, **options: Any
) -> int:
    """Compose, check, write, start and prove the node's container runtime.

    Converges and returns; a second run changes nothing and bounces nothing. Where the proof
    fails, the old state is put back. A supervisor stays behind, which starts containerd again
    when it ends and follows the drop-in folder.
    """
    from dataclasses import replace

    from k0sruntime import pipeline, report, sandbox

    asked = replace(request(**options), supervise=supervise)
    story = Stderr()
    if dry_run:
        prepared = pipeline.prepare(asked, story)
        document = report.plan_document(prepared.plan, prepared.composition)
        text = report.plan_text(prepared.plan, prepared.composition)
        click.echo(report.dumps("Plan", **document) if as_json else text)
        return 0
    sandbox.mark_sandbox(asked.paths)

    def show(outcome: Outcome) -> None:
        click.echo((report.up_document if as_json else report.up_text)(outcome, asked.paths))

    if foreground:
        return _stay(asked, story, show)
    show(pipeline.up(asked, story))
    return 0


def _stay(asked: Request, story: Story, show: Any) -> int:
    """Be the supervisor; where ``up`` is refused, on what was last proved."""
    from k0sruntime import pipeline, revive, supervise, supervisor
    from k0sruntime.cli import render_error
    from k0sruntime.errors import K0sRuntimeError
    from k0sruntime.sd_notify import notify

    with supervisor.place(asked.paths, detached=False):
        try:
            outcome = pipeline.up(asked, story)
        except K0sRuntimeError as exc:
            revive.or_last_good(asked, exc, story)
            supervise.hold(asked, exc)
            click.echo(render_error.text(exc), err=True)
        else:
            show(outcome)
            if outcome.running is None:  # another runtime serves the CRI: nothing to stay with
                notify("READY=1")
                return 0
        return supervise.stay(asked, story, pipeline.bare_settings(asked).supervisor)
