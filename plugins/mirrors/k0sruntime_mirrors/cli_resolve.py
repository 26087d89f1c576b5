"""``k0sruntime-mirrors resolve``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from k0sruntime import json_option, sandbox_option

if TYPE_CHECKING:
    from k0sruntime import HostsFolders, Resolution, Version

NEWEST = "2.3"
"""The containerd that is meant where nothing says otherwise."""


@click.command(name="resolve")
@click.argument("image")
@click.option(
    "--certs-d",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    envvar="K0SRUNTIME_CERTS_D",
    show_envvar=True,
    help="The folder of hosts files, read as containerd 2.3 reads it  [default: where the node's"
    " registry.config_path points, as its own containerd reads it]",
)
@click.option(
    "--containerd",
    metavar="VERSION",
    envvar="K0SRUNTIME_CONTAINERD_VERSION",
    show_envvar=True,
    help="As this one reads it, such as 1.7.",
)
@sandbox_option
@json_option
def command(
    *, image: str, certs_d: str | None, containerd: str | None, sandbox: str | None, as_json: bool
) -> int:
    """Show what containerd does for IMAGE: which hosts it asks, in which order, and how.

    Exits with 3 where every pull would fail. What containerd silently does in another way than
    the files seem to say is a warning. Nothing is asked over the network.
    """
    from k0sruntime import ExitCode, files_here, resolve_image
    from k0sruntime_mirrors import show

    if certs_d and sandbox:
        raise click.UsageError("--certs-d and --sandbox exclude each other.")
    looked, version = _node(certs_d, containerd, sandbox or "")
    for certs in looked.folders or ("",):  # the first that knows the registry counts
        found = resolve_image(image, certs, files_here(), version)
        if found.folder:
            break
    found = _with_pairs(replace(found, warnings=(*looked.warnings, *found.warnings)))
    if as_json:
        click.echo(json.dumps(show.document(found, str(version)), indent=2))
    else:
        click.echo(show.text(found, looked.folders, containerd or str(version)))
    return int(ExitCode.REFUSED) if found.failures else 0


def _node(
    certs_d: str | None, containerd: str | None, sandbox: str
) -> tuple[HostsFolders, Version]:
    """Return where containerd looks for hosts files, and which containerd it is.

    Raises:
        click.UsageError: no version.
    """
    from k0sruntime import HostsFolders, Version, hosts_folders_here, this_node
    from k0sruntime_mirrors.provider import provider

    version = Version.parse(containerd or NEWEST)
    if version is None:
        raise click.UsageError(f"--containerd {containerd!r} is no version such as {NEWEST}.")
    if certs_d:
        return HostsFolders((os.path.abspath(certs_d),)), version
    node = this_node("mirrors", provider, sandbox=sandbox)
    if node.containerd and not containerd:
        version = node.containerd.version
    return hosts_folders_here(node, version), version


def _with_pairs(found: Resolution) -> Resolution:
    """Add client certificates that do not fit their keys: they fail every pull as well."""
    from k0sruntime import client_certificate_fault

    pairs = dict.fromkeys(pair for host in found.hosts for pair in host.client)
    faults = tuple(fault for pair in pairs if (fault := client_certificate_fault(*pair)))
    if not faults:
        return found
    return replace(found, hosts=(), asked=(), failures=(*found.failures, *faults))
