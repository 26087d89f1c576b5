"""``k0sruntime render``."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from k0sruntime.node_provider import PAUSE_IMAGE


@click.command(name="render")
@click.option(
    "--dropins",
    metavar="DIR",
    required=True,
    envvar="K0SRUNTIME_DROPINS",
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="The folder of drop-ins.",
)
@click.option(
    "--scheme",
    type=click.Choice(["merge-patch", "native"]),
    default="native",
    envvar="K0SRUNTIME_SCHEME",
    show_default=True,
    show_envvar=True,
    help="merge-patch: k0s up to 1.35; native: containerd 2 itself.",
)
@click.option(
    "--schema",
    type=click.Choice(["2", "3"]),
    default="3",
    show_default=True,
    envvar="K0SRUNTIME_SCHEMA",
    show_envvar=True,
    help="2: containerd 1.7; 3: containerd 2.",
)
@click.option(
    "--pause-image",
    metavar="IMAGE",
    default=PAUSE_IMAGE,
    show_default=True,
    envvar="K0SRUNTIME_PAUSE_IMAGE",
    show_envvar=True,
    help="The pause image of the main file.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="K0SRUNTIME_JSON",
    show_envvar=True,
    help="Print one JSON object.",
)
def command(*, dropins: str, scheme: str, schema: str, pause_image: str, as_json: bool) -> int:
    """Print what a folder of drop-ins comes to, touching nothing.

    Only what the files set is printed, not containerd's defaults. A set that k0s or containerd
    would refuse exits with 3 and names every bad file. Credentials are masked.
    """
    from k0sruntime import masking, toml
    from k0sruntime.compose import rendered
    from k0sruntime.observe import read_dropins
    from k0sruntime.paths import Paths
    from k0sruntime.real_files import RealFiles

    folder = os.path.abspath(dropins)
    if not os.path.isdir(folder):
        click.echo(f"note: there is no folder {folder}, so there are no drop-ins", err=True)
    contents = read_dropins(RealFiles(Paths()), folder)
    number: Any = int(schema)
    if scheme == "merge-patch":
        document = masking.table(rendered.merge_patch(folder, contents, number, pause_image))
        text = "".join(f"# import {name}\n" for name in document["imports"])
        text += toml.dump(document["containerd-cri.toml"])
    else:
        document = masking.table(rendered.native(folder, contents, number, pause_image))
        text = toml.dump(document["document"])
        document = {"effective": document["effective"]}
    click.echo(json.dumps(document, indent=2, default=_iso) if as_json else text)
    return 0


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
