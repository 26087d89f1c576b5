"""``k0sruntime-mirrors``: settings out of what is there, and what containerd does for an image."""

from __future__ import annotations

import sys

import click

from k0sruntime import run_command
from k0sruntime_mirrors import cli_import, cli_resolve


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "K0SRUNTIME_MIRRORS",
    }
)
@click.version_option(package_name="k0sruntime-mirrors", prog_name="k0sruntime-mirrors")
def cli() -> None:
    """Registry mirrors of a k0s node: take them over, and see what containerd makes of them."""


cli.add_command(cli_import.command)
cli.add_command(cli_resolve.command)


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return run_command(cli, arguments, "k0sruntime-mirrors")
