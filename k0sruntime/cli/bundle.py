"""``k0sruntime bundle``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import (
    fetch_options,
    file_option,
    flag_option,
    folder_option,
    json_option,
    node_options,
    option,
    request,
)
from k0sruntime.cli.story import Stderr

if TYPE_CHECKING:
    from k0sruntime.bundle.manifest import Manifest


@click.command(name="bundle")
@click.argument("out", required=False, type=click.Path(dir_okay=False))
@node_options
@fetch_options
@option(
    "--arch",
    metavar="MACHINE",
    default="",
    variable="ARCH",
    help="The node's machine, as uname -m spells it  [default: this one's]",
)
@file_option(
    "--image",
    "images",
    multiple=True,
    exists=True,
    variable="BUNDLE_IMAGE",
    help="Pack an image archive as well; may be given more than once.",
)
@option(
    "--images/--no-images",
    "folder_images",
    default=True,
    variable="BUNDLE_IMAGES",
    help="Pack what lies in k0s's folder of images  [default: yes]",
)
@option(
    "--pack-settings/--no-settings",
    "settings_too",
    default=True,
    variable="BUNDLE_SETTINGS",
    help="Pack the settings file; without, the nodes have one each  [default: yes]",
)
@folder_option(
    "--wheels",
    exists=True,
    variable="BUNDLE_WHEELS",
    help="Pack this folder of wheels, and ask pip for nothing.",
)
@flag_option(
    "--no-wheels",
    variable="BUNDLE_NO_WHEELS",
    help="Pack no wheels: k0sruntime is on the nodes already.",
)
@option(
    "--find-links",
    "links",
    metavar="DIR",
    multiple=True,
    variable="BUNDLE_FIND_LINKS",
    help="Folder with distributions that are on no index, for pip.",
)
@option(
    "--python-version",
    "pythons",
    metavar="VERSION",
    multiple=True,
    variable="BUNDLE_PYTHON_VERSION",
    help="The nodes' Python, such as 3.12; may be given more than once  [default: this one]",
)
@option(
    "--platform",
    "platforms",
    metavar="TAG",
    multiple=True,
    variable="BUNDLE_PLATFORM",
    help="The nodes' platform as pip names it, such as manylinux_2_28_aarch64.",
)
@file_option(
    "--list",
    "listed",
    exists=True,
    variable="BUNDLE_LIST",
    help="Show what a bundle holds, and check it; nothing is written.",
)
@json_option
def command(*, out: str | None, listed: str | None, as_json: bool, **options: Any) -> int:
    """Pack wheels, programs, images and settings into OUT, for a site without a network.

    There, the install.sh in it makes k0sruntime out of the wheels, and
    up --bundle OUT --offline brings the node up. OUT is k0sruntime-VERSION-MACHINE.tar by default.
    """
    if listed:
        if out:
            raise click.UsageError("--list packs nothing: name one archive only.")
        return _list(listed, as_json=as_json)
    from k0sruntime import host
    from k0sruntime.bundle import contents

    choice = _choice(options)
    asked = request(**options)
    arch = contents.machine(choice.arch) or host.machine(asked.paths.root)
    path = os.path.abspath(out or contents.default_name(arch))
    manifest, digest, notes = contents.make(asked, choice, path, Stderr())
    _show(path, manifest, digest, notes, as_json=as_json)
    return 0


def _choice(options: dict[str, Any]) -> Any:
    """Take what concerns the bundle out of the options."""
    import re

    from k0sruntime.bundle.contents import Choice

    wheels, none = options.pop("wheels"), options.pop("no_wheels")
    pythons = options.pop("pythons")
    if wheels and none:
        raise click.UsageError("--wheels and --no-wheels exclude each other.")
    if not re.fullmatch(r"\w*", options["arch"]):
        raise click.UsageError(f"--arch {options['arch']}: write one such as aarch64.")
    for python in pythons:
        if not re.fullmatch(r"3\.\d{2}", python):
            raise click.UsageError(f"--python-version {python}: write one such as 3.12.")
    return Choice(
        options.pop("arch"),
        options.pop("images"),
        options.pop("folder_images"),
        options.pop("settings_too"),
        None if none else os.path.abspath(wheels) if wheels else "",
        pythons,
        options.pop("platforms"),
        options.pop("links"),
    )


def _list(path: str, *, as_json: bool) -> int:
    from k0sruntime.bundle.archive import opened
    from k0sruntime.cache import digest_of

    story = Stderr()
    with opened(path) as archive, story.stage("bundle") as tell:
        archive.check(story.progress)
        digest = digest_of(archive.path, "sha256")
        tell(f"{len(archive.manifest.entries)} files as packed")
    _show(archive.path, archive.manifest, digest, (), as_json=as_json)
    return 0


def _show(
    path: str, manifest: Manifest, digest: str, notes: tuple[str, ...], *, as_json: bool
) -> None:
    from k0sruntime import report
    from k0sruntime.bundle import contents

    size = os.path.getsize(path)
    if as_json:
        click.echo(_document(path, size, digest, manifest, notes))
        return
    rows = [("FOR", "FILE", "BYTES"), *contents.described(manifest)]
    python = f", Python {' and '.join(manifest.python)}" if manifest.python else ", no wheels"
    for line in (*report.table(rows), "", f"for       {manifest.arch}{python}"):
        click.echo(line)
    words = ", ".join(f"{name} {version}" for name, version in manifest.distributions.items())
    click.echo(f"packed    with {words}")
    click.echo(f"sha256    {digest}\nfile      {path}, {size / 1e6:.1f} MB")
    for note in notes:
        click.echo(f"note: {note}")


def _document(path: str, size: int, digest: str, manifest: Manifest, notes: tuple[str, ...]) -> str:
    import msgspec

    from k0sruntime import documents

    known = msgspec.to_builtins(manifest)
    said = {key: known[key] for key in ("made_by", "arch", "python", "distributions")}
    return documents.dumps(
        documents.Bundle(
            file=path,
            size=size,
            sha256=digest,
            manifest_schema=manifest.schema,
            **said,
            requirements=known["requirements"],
            programs=[documents.BundleProgram(**program) for program in known["programs"]],
            entries=[documents.BundleEntry(**entry) for entry in known["entries"]],
            notes=list(notes),
        )
    )
