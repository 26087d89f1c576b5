"""``k0sruntime install-service``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import node_options, request

if TYPE_CHECKING:
    from k0sruntime.stages import Request


@click.command(name="install-service")
@node_options
@click.option(
    "--init",
    type=click.Choice(["systemd", "openrc"]),
    envvar="K0SRUNTIME_INIT",
    show_envvar=True,
    help="The service manager  [default: the one found]",
)
@click.option(
    "--print",
    "only_print",
    is_flag=True,
    envvar="K0SRUNTIME_INSTALL_SERVICE_PRINT",
    show_envvar=True,
    help="Print the definition, write nothing.",
)
def command(*, init: Any, only_print: bool, **options: Any) -> int:
    """Install the service that runs up --foreground at boot.

    Stopping the service stops containerd and leaves pods alone.
    """
    from k0sruntime import service
    from k0sruntime.ledger import write_atomically
    from k0sruntime.real_files import RealFiles
    from k0sruntime.refused import refused_io

    asked = request(**options)
    chosen: service.Init = init or service.init_of(RealFiles(asked.paths))
    text = service.text(chosen, _command_line(options))
    if only_print:
        click.echo(text, nl=False)
        return 0
    if asked.paths.root == "/":
        _refuse_managed(asked)
    place = service.PLACES[chosen]
    service.refuse(RealFiles(asked.paths), place, sandbox=asked.paths.sandbox)
    with refused_io(place):
        mode = 0o644 if chosen == "systemd" else 0o755
        write_atomically(asked.paths.on_disk(place), text.encode(), mode)
    click.echo(f"wrote {place}")
    click.echo(f"next: {service.NEXT[chosen]}")
    return 0


def _refuse_managed(asked: Request) -> None:
    from k0sruntime import own_settings
    from k0sruntime.errors import Problem, RefusedError

    node, _ = own_settings.bare_node(asked)
    if node.mode != "standalone":
        raise RefusedError(
            Problem(
                f"the node is in {node.mode} mode: there is nothing to stay with",
                place="[node] mode",
                culprit="k0s, or another runtime, has a service of its own",
                remedy="Run k0sruntime up after every change; install no service.",
            )
        )


def _command_line(options: dict[str, Any]) -> list[str]:
    """Return the command line of the service: this program, with the options given here."""
    program = os.path.abspath(sys.argv[0])
    words = [program] if os.access(program, os.X_OK) else [sys.executable, "-m", "k0sruntime"]
    words += ["up", "--foreground"]
    for name in ("sandbox", "settings", "containerd"):
        if options[name]:
            words.append(f"--{name}={os.path.abspath(options[name])}")
    if options["no_providers"]:
        words.append("--no-providers")
    if options["mode"]:
        words.append(f"--mode={options['mode']}")
    return [*words, *(f"--without={name}" for name in options["without"])]
