"""``k0sruntime supervise``."""

from __future__ import annotations

import click

from k0sruntime.cli.options import paths, sandbox_option
from k0sruntime.cli.story import Stderr


@click.command(name="supervise")
@sandbox_option
def command(*, sandbox: str | None) -> int:
    """Stay with the containerd that up has started: start it again, follow the drop-ins.

    This is what up leaves behind. SIGTERM stops containerd as well; SIGUSR1 ends the supervisor
    alone. Pods live on in any case.
    """
    from k0sruntime import own_settings, supervise, supervisor

    where = paths(sandbox, None)
    orders = supervise.listen()
    with supervisor.place(where):
        return supervise.stay(where, Stderr(), own_settings.last_settings(where).supervisor, orders)
