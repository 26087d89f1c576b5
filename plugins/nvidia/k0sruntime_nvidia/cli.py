"""``k0sruntime-nvidia``: values for the GPU operator, and what of NVIDIA's is on this node."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

REFUSED = 3
BUG = 1
INTERRUPTED = 130
REPORT = "This is a fault of ours, not yours. Please report it with the command line and this text."


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
@click.option(
    "--sandbox",
    metavar="DIR",
    type=click.Path(file_okay=False),
    envvar="K0SRUNTIME_SANDBOX",
    show_envvar=True,
    help="The node that lives inside DIR.",
)
@click.option("--json", "as_json", is_flag=True, envvar="K0SRUNTIME_JSON", show_envvar=True)
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
    """Run one command and return its exit code. Nobody else exits or prints errors."""
    try:
        result = cli.main(arguments, prog_name="k0sruntime-nvidia", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as exc:  # noqa: BLE001 - the one boundary
        return _failed(exc, as_json="--json" in arguments)
    return result if isinstance(result, int) else 0


def _failed(exc: Exception, *, as_json: bool) -> int:
    from k0sruntime import K0sRuntimeError, Refused

    if isinstance(exc, click.ClickException):
        exc.show()
        return exc.exit_code
    if not isinstance(exc, (K0sRuntimeError, Refused)):
        click.echo(f"bug: {type(exc).__name__}: {exc}\n  {REPORT}", err=True)
        return BUG
    for problem in exc.problems:
        first, *rest = problem.lines()
        click.echo("\n".join([f"error: {first}", *rest]), err=True)
    code = int(exc.exit_code) if isinstance(exc, K0sRuntimeError) else REFUSED
    if as_json:
        problems = [asdict(problem) for problem in exc.problems]
        told = {"kind": "Error", "schema": 1, "exit_code": code, "problems": problems}
        click.echo(json.dumps(told, indent=2))
    return code
