"""``k0sruntime-dockerd``: what k0s does for its own containerd, done for Docker on request."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime import Problem

REPORT = "This is a fault of ours, not yours. Please report it with the command line and this text."
BUG, REFUSED, INTERRUPTED = 1, 3, 130
"""Exit codes, those of k0sruntime."""


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "K0SRUNTIME_DOCKERD",
    }
)
@click.version_option(package_name="k0sruntime-dockerd", prog_name="k0sruntime-dockerd")
def cli() -> None:
    """Docker as the runtime of a k0s node."""


@cli.command(name="import-images")
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--docker",
    metavar="SOCKET",
    type=click.Path(),
    envvar="K0SRUNTIME_DOCKER",
    show_envvar=True,
    help="Docker's own socket  [default: the one of [dockerd] docker, else cri-dockerd's]",
)
@click.option(
    "--sandbox",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    envvar="K0SRUNTIME_SANDBOX",
    show_envvar=True,
    help="The node is the one that lives inside DIR.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="K0SRUNTIME_JSON",
    show_envvar=True,
    help="Print a JSON document instead.",
)
def import_images(
    *, bundles: tuple[str, ...], docker: str | None, sandbox: str | None, as_json: bool
) -> int:
    """Import image bundles into Docker: those of k0s's images folder, or BUNDLES.

    k0s imports them only into its own containerd. Exits with 3 where one was not imported.
    """
    from k0sruntime import this_node
    from k0sruntime_dockerd import found
    from k0sruntime_dockerd.bundles import SUFFIXES, import_bundle
    from k0sruntime_dockerd.provider import provider

    node = this_node("dockerd", provider, sandbox=sandbox or "")
    folder = node.paths.images
    names = [name for name in node.files.names(folder) if name.endswith(SUFFIXES)]
    paths = bundles or tuple(f"{folder}/{name}" for name in names)
    socket = docker or found.docker_socket(node)
    done = [import_bundle(path, socket, node.arch) for path in paths]
    failed = any(item.problem for item in done)
    if as_json:
        imported = [vars(item) for item in done]
        click.echo(json.dumps({"kind": "Imported", "schema": 1, "bundles": imported}, indent=2))
        return REFUSED if failed else 0
    for item in done:
        for image in item.images:
            click.echo(f"{item.path}: {image}")
        if item.problem:
            click.echo(f"error: {item.problem}\n  where: {item.path}", err=True)
    if not paths:
        click.echo(f"There are no image bundles in {folder}.")
    return REFUSED if failed else 0


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Nobody else exits or prints errors."""
    try:
        result = cli.main(arguments, prog_name="k0sruntime-dockerd", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except Exception as exc:  # noqa: BLE001 - the one boundary
        return _failed(exc)
    return result if isinstance(result, int) else 0


def _failed(exc: Exception) -> int:
    from k0sruntime import K0sRuntimeError

    if not isinstance(exc, K0sRuntimeError):
        click.echo(f"bug: {type(exc).__name__}: {exc}\n  {REPORT}", err=True)
        return BUG
    _tell(exc.problems)
    return int(exc.exit_code)


def _tell(problems: Sequence[Problem]) -> None:
    for problem in problems:
        click.echo("error: " + "\n".join(problem.lines()), err=True)
