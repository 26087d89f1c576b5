"""``k0sruntime-nvidia``: values for the GPU operator, and what of NVIDIA's is on this node."""

from __future__ import annotations

import json
import sys

import click

from k0sruntime import json_option, run_command, sandbox_option


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "K0SRUNTIME_NVIDIA",
    }
)
@click.version_option(package_name="k0sruntime-nvidia", prog_name="k0sruntime-nvidia")
def cli() -> None:
    """NVIDIA's GPUs on k0s nodes: the GPU operator's values, and this node's state."""


@cli.command(name="operator-values")
@click.option(
    "--k0s",
    metavar="LINE",
    required=True,
    show_envvar=True,
    help="k0s line of the nodes, such as 1.36 or 1.35.",
)
@click.option(
    "--handler",
    metavar="NAME",
    default="nvidia",
    show_default=True,
    show_envvar=True,
    help="Name of the handler and of the RuntimeClass.",
)
@click.option(
    "--default",
    is_flag=True,
    show_envvar=True,
    help="Make it the nodes' default handler: every pod then runs under it.",
)
@click.option(
    "--drop-in",
    metavar="FILE",
    default="/etc/k0s/containerd.d/nvidia.toml",
    show_default=True,
    show_envvar=True,
    help="Where the toolkit writes, in k0s's folder.",
)
@click.option(
    "--toolkit/--no-toolkit",
    default=True,
    show_default=True,
    show_envvar=True,
    help="Who configures containerd: the operator's toolkit, or k0sruntime with packages of it.",
)
def operator_values(*, k0s: str, handler: str, default: bool, drop_in: str, toolkit: bool) -> int:
    """Print Helm values with which the GPU operator does a k0s node no harm.

    They are composed from the sources of the operator and of its toolkit (1.18 and newer). With
    them the toolkit owns its drop-in, and the provider leaves the handlers to it.
    """
    from k0sruntime_nvidia import operator_values as made

    asked = made.wanted(k0s, handler, default=default, drop_in=drop_in, toolkit=toolkit)
    click.echo(made.values(asked), nl=False)
    return 0


@cli.command(name="status")
@sandbox_option
@json_option
def status(*, sandbox: str | None, as_json: bool) -> int:
    """Show GPUs, driver, toolkit, CDI specs, and what the toolkit has written. Changes nothing.

    Names come from NVIDIA's own library where nvidia-ml-py is installed; all else from the kernel.
    """
    from k0sruntime import this_node
    from k0sruntime_nvidia import nvml, provider
    from k0sruntime_nvidia import status as told

    node = this_node("nvidia", provider, sandbox=sandbox or "")
    seen = told.look(node, nvml.ask())
    click.echo(
        json.dumps(told.document(seen), indent=2) if as_json else "\n".join(told.lines(seen))
    )
    return 0


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return run_command(cli, arguments, "k0sruntime-nvidia")
