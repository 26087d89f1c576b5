"""``k0sruntime-dockerd``: what k0s does for its own containerd, done for Docker on request."""

from __future__ import annotations

import json
import sys

import click

from k0sruntime import json_option, run_command, sandbox_option


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
@sandbox_option
@json_option
def import_images(
    *, bundles: tuple[str, ...], docker: str | None, sandbox: str | None, as_json: bool
) -> int:
    """Import image bundles into Docker: those of k0s's images folder, or BUNDLES.

    k0s imports them only into its own containerd. Exits with 3 where one was not imported.
    """
    from k0sruntime import ExitCode, this_node
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
        return int(ExitCode.REFUSED) if failed else 0
    for item in done:
        for image in item.images:
            click.echo(f"{item.path}: {image}")
        if item.problem:
            click.echo(f"error: {item.problem}\n  where: {item.path}", err=True)
    if not paths:
        click.echo(f"There are no image bundles in {folder}.")
    return int(ExitCode.REFUSED) if failed else 0


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return run_command(cli, arguments, "k0sruntime-dockerd")
