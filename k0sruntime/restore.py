"""Programs that a generation needs and that were removed since: installed again on the way back.

A generation keeps the record of every installation that its files name. The files themselves are in
the cache, by their checksums; where they are not, they are fetched from where they came from. All
of that happens before a file of the node is touched, so that a way back that leads nowhere is told
before it is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime import install, masking, provide
from k0sruntime.binaries import Binary, Download, Installation
from k0sruntime.cache import Cache
from k0sruntime.contributions import Owner
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.installed import read_record, whole
from k0sruntime.ledger import NONSENSE, State

if TYPE_CHECKING:
    from k0sruntime.node import Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger
    from k0sruntime.stages import Request, Story

Programs = Literal["installed", "cached", "gone"]
"""Where the programs of a generation are: in their folders, in the cache alone, or nowhere."""


@dataclass(frozen=True)
class Lacking:
    """A folder of programs that a generation names, and that is not there or not whole."""

    folder: str
    installation: Installation | None
    """What installs it again; ``None`` where the generation keeps no record of it."""


def restore(
    request: Request, wanted: Ledger, node: Node[Any], own: NodeSettings, story: Story
) -> None:
    """Install again what the files of a generation name and what is not there any more.

    Raises:
        RefusedError: it cannot be had any more; nothing of the node was changed.
    """
    missing = lacking(wanted, request.paths)
    if unknown := [item.folder for item in missing if item.installation is None]:
        raise RefusedError(*(_gone(folder, wanted) for folder in unknown))
    again = [item.installation for item in missing if item.installation]
    if not again:
        return
    if any(masking.MASK in d.url for item in again for d in item.downloads):
        request = replace(request, offline=True)  # the URL without its credentials asks in vain
    with story.stage("restore") as tell:
        found = provide.fetch(request, own, again, story)
        for item in again:
            install.install(item, found[item.folder], request.paths, node.arch)
        tell(", ".join(item.folder for item in again))


def lacking(wanted: Ledger, paths: Paths) -> tuple[Lacking, ...]:
    """Return the folders of programs that a generation names and that are not whole.

    Raises:
        RefusedError: a file of the generation is not kept any more.
    """
    folders = sorted({*wanted.programs, *_named(wanted, paths)})
    return tuple(
        Lacking(folder, _installation(folder, wanted, paths))
        for folder in folders
        if whole(paths.on_disk(folder)) is None
    )


def programs(wanted: Ledger, paths: Paths, cache_folder: str) -> Programs:
    """Tell where the programs of a generation are; looks at names only, not at checksums."""
    try:
        missing = lacking(wanted, paths)
    except RefusedError:
        return "gone"
    cache = Cache(cache_folder)
    cached = (
        item.installation is not None and all(map(cache.holds, item.installation.downloads))
        for item in missing
    )
    return "installed" if not missing else "cached" if all(cached) else "gone"


def _named(wanted: Ledger, paths: Paths) -> set[str]:
    """Return the folders of versions that the files of a generation name."""
    state = State(paths)
    part = r"[^/\s\"']+"
    pattern = re.compile(rf"{re.escape(paths.binaries)}/{part}/{part}(?=/)".encode())
    contents = (state.kept(file.digest) for file in wanted.files.values())
    return {found.decode() for content in contents for found in pattern.findall(content)}


def _installation(folder: str, wanted: Ledger, paths: Paths) -> Installation | None:
    """Return what installs a folder again, out of the record that the generation keeps."""
    try:
        record = read_record(State(paths).kept(wanted.programs[folder])) or {}
        downloads = tuple(_download(item) for item in record["downloads"])
        binary = Binary(
            name=record["name"],
            version=record["version"],
            programs=record["programs"],
            downloads={"": downloads},
        )
        return Installation(Owner(**record["owner"]), binary, downloads, folder)
    except (RefusedError, *NONSENSE):
        return None


def _download(item: dict[str, Any]) -> Download:
    """Return what brings a recorded file again, by the checksum that it had."""
    checksum = {item["algorithm"]: item["digest"]}
    return Download(url=item["url"], name=item["name"], unpack=item["unpack"], **checksum)


def _gone(folder: str, wanted: Ledger) -> Problem:
    return Problem(
        f"generation {wanted.generation} needs programs that were removed, and there is no record"
        " of how to install them again",
        place=folder,
        remedy="Name that version in the settings and run up; or go back to another generation.",
    )
