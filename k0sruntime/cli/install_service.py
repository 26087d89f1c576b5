"""``k0sruntime install-service``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import node_options, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.paths import Paths
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
@click.option(
    "--enable/--no-enable",
    default=None,
    envvar="K0SRUNTIME_ENABLE",
    show_envvar=True,
    help="Enable it for the next boot  [default: in an image, yes]",
)
@click.option(
    "--bundle",
    metavar="FILE",
    envvar="K0SRUNTIME_BUNDLE",
    show_envvar=True,
    help="Bring the node to what this bundle says at every boot; the path as the node sees it.",
)
def command(*, init: Any, only_print: bool, enable: bool | None, **options: Any) -> int:
    """Install the service that runs up --foreground at boot.

    Stopping the service stops containerd and leaves pods alone. In an image (--root) the service
    is enabled, and runs the k0sruntime that is in the image.
    """
    from k0sruntime import service
    from k0sruntime.durable import write_atomically
    from k0sruntime.real_files import RealFiles
    from k0sruntime.refused import refused_io

    asked = request(**{k: v for k, v in options.items() if k != "bundle"})
    chosen: service.Init = init or service.init_of(RealFiles(asked.paths))
    text = service.text(chosen, _command_line(options, _program(asked.paths)))
    if only_print:
        click.echo(text, nl=False)
        return 0
    if not asked.paths.elsewhere:
        _refuse_managed(asked)
    place = service.PLACES[chosen]
    service.refuse(RealFiles(asked.paths), place, sandbox=asked.paths.sandbox)
    with refused_io(place):
        mode = 0o644 if chosen == "systemd" else 0o755
        write_atomically(asked.paths.on_disk(place), text.encode(), mode)
    click.echo(f"wrote {place}")
    if enable if enable is not None else asked.paths.elsewhere:
        with refused_io(service.ENABLED[chosen]):
            _link(place, asked.paths.on_disk(service.ENABLED[chosen]))
        click.echo(f"enabled: {service.ENABLED[chosen]}")
    if not asked.paths.elsewhere:
        click.echo(f"next: {service.NEXT[chosen]}")
    for path in _not_there(text, options, asked.paths):
        click.echo(f"note: there is no {path} in the image yet", err=True)
    return 0


def _link(target: str, link: str) -> None:
    """Make a link, in the place of whatever link is there."""
    from k0sruntime.durable import remove

    os.makedirs(os.path.dirname(link), exist_ok=True)
    if os.path.islink(link):
        remove(link)
    os.symlink(target, link)


def _not_there(text: str, options: dict[str, Any], paths: Paths) -> list[str]:
    """Return what the service names and an image lacks."""
    from k0sruntime.real_files import RealFiles

    named = [options["bundle"], options["settings"], *_program(paths)[:1]]
    files = RealFiles(paths)
    return [p for p in named if p and paths.elsewhere and p in text and not files.exists(p)]


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


def _program(paths: Paths) -> list[str]:
    """Return how the node runs k0sruntime: as it runs here, or as it lies in the image."""
    from k0sruntime import service
    from k0sruntime.real_files import RealFiles

    program = os.path.abspath(sys.argv[0])
    if paths.root != "/":
        if program.startswith(f"{paths.root}/"):
            return [program.removeprefix(paths.root)]
        there = [path for path in service.PROGRAMS if RealFiles(paths).is_executable(path)]
        if there:
            return there[:1]
    return [program] if os.access(program, os.X_OK) else [sys.executable, "-m", "k0sruntime"]


def _command_line(options: dict[str, Any], program: Sequence[str] = ("k0sruntime",)) -> list[str]:
    """Return the command line of the service: the program, with the options given here."""
    words = [*program, "up", "--foreground"]
    if options.get("bundle"):
        words += [f"--bundle={os.path.abspath(options['bundle'])}", "--offline"]
    for name in ("sandbox", "settings", "containerd"):
        if options[name]:
            words.append(f"--{name}={os.path.abspath(options[name])}")
    if options["no_providers"]:
        words.append("--no-providers")
    if options["mode"]:
        words.append(f"--mode={options['mode']}")
    return [*words, *(f"--without={name}" for name in options["without"])]
