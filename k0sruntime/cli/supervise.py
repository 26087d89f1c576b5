"""``k0sruntime supervise``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import node_options, request
from k0sruntime.cli.story import Stderr


@click.command(name="supervise")
@node_options
@click.option(
    "--detached",
    is_flag=True,
    envvar="K0SRUNTIME_DETACHED",
    show_envvar=True,
    help="Make room for up --foreground; what up leaves behind is started so.",
)
def command(*, detached: bool, **options: Any) -> int:
    """Stay with the containerd that up has started: restart it, follow the drop-ins.

    SIGTERM stops containerd as well; SIGUSR1 ends the supervisor alone. Pods live on in any case.
    """
    from k0sruntime import pipeline, supervise, supervisor

    asked = request(**options)
    with supervisor.place(asked.paths, detached=detached):
        settings = pipeline.bare_settings(supervisor.last_request(asked))
        return supervise.stay(asked, Stderr(), settings.supervisor)
