"""What goes into a bundle, gathered where there is a network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from k0sruntime import in_advance, masking, provide, toml
from k0sruntime.__about__ import __version__
from k0sruntime.bundle import script, wheels
from k0sruntime.bundle.manifest import IMAGE_NAME, SCRIPT, SETTINGS, Manifest, Program
from k0sruntime.bundle.pack import Content, pack
from k0sruntime.cache import Cache
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from k0sruntime.in_advance import Wanted
    from k0sruntime.stages import Request, Story

HOST = "k0sruntime"


@dataclass(frozen=True)
class Choice:
    """What a person wants in a bundle.

    Attributes:
        arch: the node's machine; empty: this one's.
        images: image files beside those of the node's folder.
        folder_images: the files of this machine's images folder go along.
        settings: the settings file goes along.
        wheels: a folder of wheels to pack; empty: pip gets them; ``None``: none at all.
        pythons: for which Pythons the wheels must be whole.
        platforms: pip's names of the node's platform.
        links: folders with distributions that are on no index.
    """

    arch: str = ""
    images: tuple[str, ...] = ()
    folder_images: bool = True
    settings: bool = True
    wheels: str | None = ""
    pythons: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def make(
    request: Request, choice: Choice, out: str, story: Story
) -> tuple[Manifest, str, tuple[str, ...]]:
    """Gather everything and write the bundle.

    Returns its manifest, its sha256, and what was left out on the way.

    Raises:
        RefusedError: something cannot be had, or the file system refuses.
        ProviderError: a provider is broken.
    """
    needed = in_advance.wanted(request, choice.arch, story)
    with story.stage("fetch") as tell:
        contents, programs = _programs(request, needed, story)
        tell(", ".join(map(str, needed.installations)) or "nothing is to be fetched")
    contents += _images(request, choice)
    if choice.settings and needed.settings_text:
        contents.append(Content(SETTINGS, needed.settings_text))
    manifest = Manifest(
        made_by=__version__,
        arch=needed.arch,
        distributions=dict(sorted(needed.distributions.items())),
        programs=programs,
    )
    with TemporaryDirectory(prefix="k0sruntime-wheels-") as scratch:
        if choice.wheels is not None:
            manifest, more = _wheels(choice, needed, manifest, choice.wheels or scratch, story)
            contents += more
        with story.stage("pack") as tell:
            manifest, digest = pack(manifest, contents, out, story.progress)
            tell(f"{len(manifest.entries)} files")
    return manifest, digest, (*needed.notes, *_left_to_the_node(needed.settings_text))


def _left_to_the_node(settings: bytes) -> list[str]:
    """Tell which files the settings name: none of them is in the bundle."""
    paths = sorted(set(_paths(masking.table(toml.load(settings, "settings")))))
    if not paths:
        return []
    return [f"not in the bundle, and named by the settings: {', '.join(paths)}"]


def _paths(found: Any) -> Iterator[str]:
    """Yield all absolute paths in a configuration; secrets are masked by now."""
    if isinstance(found, dict):
        for inner in found.values():
            yield from _paths(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from _paths(inner)
    elif isinstance(found, str) and re.fullmatch(r"/[^\s/]\S*", found):
        yield found


def _programs(
    request: Request, needed: Wanted, story: Story
) -> tuple[list[Content], list[Program]]:
    """Fetch the programs, and return their files and the vendors' checksum documents."""
    # The node's cache and its lack of a network are in these settings, and not this machine's.
    downloads = replace(needed.settings.downloads, offline=request.offline, cache="")
    here = replace(needed.settings, downloads=downloads)
    found = provide.fetch(request, here, needed.installations, story)
    cache = Cache(provide.cache_folder(request, here))
    contents: dict[str, Content] = {}
    programs = []
    for item in needed.installations:
        files = []
        for download, algorithm, path in found[item.folder]:
            sources = [(f"programs/{algorithm}/{os.path.basename(path)}", path)]
            document = "" if download.pinned else cache.document_file(download.sha512_url)
            if document:
                sources.append((f"programs/documents/{os.path.basename(document)}", document))
            for place, source in sources:
                contents[place] = Content(place, source)
                files.append(place)
        owner = item.owner.provider
        programs.append(Program(item.binary.name, item.binary.version, owner, files))
    return list(contents.values()), programs


def _images(request: Request, choice: Choice) -> list[Content]:
    """Return the image files: those of the node's folder, and those that were named.

    Raises:
        RefusedError: one cannot be imported by its name, or two have the same one.
    """
    folder = request.paths.on_disk(request.paths.images)
    names = sorted(os.listdir(folder)) if choice.folder_images and os.path.isdir(folder) else []
    here = [f"{folder}/{name}" for name in names if re.fullmatch(IMAGE_NAME, name)]
    found: dict[str, str] = {}
    problems = []
    for path in [*here, *map(os.path.abspath, choice.images)]:
        name = os.path.basename(path)
        if not re.fullmatch(IMAGE_NAME, name):
            remedy = "Call it NAME.tar, .tar.gz, .tgz or .tar.zst, as k0s imports it."
            problems.append(Problem("this is no name of an image file", path, remedy=remedy))
        elif not os.path.isfile(path):
            problems.append(Problem("there is no such image file", path))
        elif found.setdefault(name, path) != path:
            remedy = "Rename one; or leave the folder's out: --no-images."
            problems.append(Problem(f"another {name} is packed already", path, found[name], remedy))
    if problems:
        raise RefusedError(*problems)
    return [Content(f"images/{name}", path) for name, path in found.items()]


def _wheels(
    choice: Choice, needed: Wanted, manifest: Manifest, folder: str, story: Story
) -> tuple[Manifest, list[Content]]:
    """Get the wheels and see that they are whole; return the manifest that knows of them."""
    wanted = wheels.Wanted(
        requirements(needed.distributions),
        choice.pythons,
        needed.arch,
        choice.platforms,
        choice.links,
    )
    with story.stage("wheels") as tell:
        if not choice.wheels:
            wheels.download(wanted, folder, story)
        pythons = wheels.whole_for(folder, wanted)
        names = sorted(name for name in os.listdir(folder) if name.endswith(".whl"))
        tell(f"{len(names)}, for Python {', '.join(pythons)} on {needed.arch}")
    text = script.text(pythons, needed.arch, wanted.requirements)
    contents = [Content(f"wheels/{name}", f"{folder}/{name}") for name in names]
    manifest = replace(manifest, python=pythons, requirements=list(wanted.requirements))
    return manifest, [*contents, Content(SCRIPT, text.encode())]


def requirements(distributions: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is installed on the node: the same versions as here, with the same extras."""
    yaml = find_spec("ruamel") is not None and find_spec("ruamel.yaml") is not None
    extras = {HOST: "[yaml]"} if yaml else {}
    return tuple(
        f"{name}{extras.get(name, '')}=={version}"
        for name, version in sorted(distributions.items())
    )


def machine(asked: str) -> str:
    """Return a machine as ``uname -m`` spells it; empty where none is asked for."""
    return in_advance.MACHINES.get(asked, asked)


def default_name(arch: str) -> str:
    """Return the name of a bundle where nobody gives one."""
    return f"{HOST}-{__version__}-{arch}.tar"


def described(manifest: Manifest) -> Sequence[tuple[str, str, str]]:
    """Return the entries as rows: what it is for, its path, and its size in bytes."""
    owners = {
        path: f"{program.name} {program.version}"
        for program in manifest.programs
        for path in program.files
    }
    return [
        (owners.get(e.path, e.path.partition("/")[0]), e.path, str(e.size))
        for e in manifest.entries
    ]
