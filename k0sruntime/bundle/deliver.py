"""``up`` out of a bundle: checked whole, then settings, images and programs, then as every ``up``.

Programs come out of the archive alone, whatever lies in caches; what was used is kept in the node's
cache afterwards, so that ``rollback`` has it without the archive. What is refused leaves the node
as it was, settings and images included.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from k0sruntime import host, pipeline, processes, provide
from k0sruntime.bundle import placed
from k0sruntime.bundle.archive import opened
from k0sruntime.bundle.closure import running as running_python
from k0sruntime.bundle.manifest import SECRET, SETTINGS, refuse_misfit
from k0sruntime.cache import Cache
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.own_settings import bare_node, bare_settings
from k0sruntime.recover import recover
from k0sruntime.refused import refused_io

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.bundle.archive import Archive
    from k0sruntime.bundle.placed import Placed
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Outcome, Prepared, Request, Story

FOLDER = "bundle"
"""Below our own state: what was unpacked, for as long as ``up`` runs."""


def way_up(bundle: str | None) -> Callable[[Request, Story], Outcome]:
    """Return what brings a node up: the pipeline alone, or out of a bundle."""
    return partial(up, bundle) if bundle else pipeline.up


def way_to_plan(bundle: str | None) -> Callable[[Request, Story], Prepared]:
    """Return what shows the plan: the pipeline alone, or out of a bundle."""
    return partial(prepare, bundle) if bundle else pipeline.prepare


def up(bundle: str, request: Request, story: Story) -> Outcome:
    """Bring the node to what a bundle says, and prove it.

    Raises:
        K0sRuntimeError: the bundle is refused, or what ``pipeline.up`` raises.
    """
    with opened(bundle) as archive:
        notes = _checked(archive, request, story)
        with locked(request.paths, request.lock_timeout, story.say):
            recover(request.paths, story)  # the settings of a killed command may be due
            laid = placed.begin(request.paths)
            try:
                with _unpacked(archive, _fresh(request.paths)) as folder:
                    request = _with_settings(archive, replace(request, only=folder), laid)
                    notes += _lay(archive, request, laid, story)
                    outcome = pipeline.converge(request, story)
                    laid.finish()  # from here on the node is what the bundle says
                    notes += (*_kept(folder, request), *_rests(outcome, laid))
            except BaseException:
                for sentence in laid.take_back():
                    story.say(sentence)
                raise
            finally:
                laid.finish()
    return replace(outcome, notes=(*notes, *laid.notes, *outcome.notes))


def prepare(bundle: str, request: Request, story: Story) -> Prepared:
    """Return the plan of a bundle, and change nothing.

    Raises:
        K0sRuntimeError: the bundle is refused, or what ``pipeline.prepare`` raises.
    """
    with opened(bundle) as archive, TemporaryDirectory(prefix="k0sruntime-bundle-") as scratch:
        for note in _checked(archive, request, story):
            story.say(note)
        entry = archive.manifest.entry(SETTINGS)
        if entry and not request.read_from:
            archive.lay(entry, f"{scratch}/config.toml", 0o600)
            request = replace(request, settings=f"{scratch}/config.toml")
        return pipeline.prepare(request, story)


def _checked(archive: Archive, request: Request, story: Story) -> tuple[str, ...]:
    """Refuse a bundle that is not whole or does not fit; return what is to be told of it."""
    manifest, paths = archive.manifest, request.paths
    with story.stage("bundle") as tell:
        python = running_python() if paths.root == "/" else ""  # an image has its own
        refuse_misfit(manifest, archive.path, arch=host.machine(paths.root), python=python)
        archive.check(story.progress)
        tell(f"{len(manifest.entries)} files as packed, for {manifest.arch}")
    return tuple(_versions(archive))


def _versions(archive: Archive) -> Iterator[str]:
    """Tell of distributions that are here in another version than the bundle was packed for."""
    from k0sruntime.__about__ import __version__
    from k0sruntime.discovery import GROUP, installed

    here = {GROUP: __version__, **{r.distribution: r.version for r in installed()}}
    for name, version in archive.manifest.distributions.items():
        found = here.get(name)
        if found != version:
            yield (
                f"the bundle was packed for {name} {version}, and here is {found or 'none'}:"
                " its install.sh brings it"
            )


def _fresh(paths: Paths) -> str:
    folder = f"{State(paths).folder}/{FOLDER}"
    with refused_io(folder):
        shutil.rmtree(folder, ignore_errors=True)  # of a command that was killed
        os.makedirs(folder, mode=0o700)
    return folder


@contextlib.contextmanager
def _unpacked(archive: Archive, folder: str) -> Iterator[str]:
    """Lay the programs out as a cache, for as long as they are needed."""
    try:
        for entry in archive.manifest.below("programs"):
            archive.lay(entry, f"{folder}/{entry.path.partition('/')[2]}", 0o644)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_settings(archive: Archive, request: Request, laid: Placed) -> Request:
    """Return the request with the bundle's settings, where they are to be brought."""
    entry = archive.manifest.entry(SETTINGS)
    if entry is None or not laid.settings(archive, request.read_from, request.given):
        return request
    file = f"{request.only}/{SETTINGS}"
    archive.lay(entry, file, SECRET)
    return replace(request, settings_from=file)


def _lay(archive: Archive, request: Request, laid: Placed, story: Story) -> tuple[str, ...]:
    """Lay images; let a containerd that runs already import what is new."""
    images = archive.manifest.below("images")
    if not images:
        return ()
    with story.stage("images") as tell:
        for entry in images:
            story.progress(entry.name)
            laid.image(archive, entry)
        tell(f"{len(laid.images)} of {len(images)} are new in {request.paths.images}")
    if not laid.images or not request.start or processes.running(request.paths) is None:
        return ()
    from k0sruntime.modes import images as imports

    return tuple(imports.import_bundles(bare_node(request)[0], laid.images))


def _rests(outcome: Outcome, laid: Placed) -> Iterator[str]:
    """Tell where nothing imports the images: k0s does not with another CRI, nor do we."""
    if laid.images and outcome.composition and outcome.composition.mode == "remote":
        yield f"nothing imports {', '.join(laid.images)}: another runtime serves the CRI"


def _kept(folder: str, request: Request) -> Iterator[str]:
    """Keep what was brought in the node's cache: ``rollback`` and ``fetch`` find it there."""
    if request.paths.root != "/":
        return  # the cache is this machine's, and not the image's
    cache = Cache(provide.cache_folder(request, bare_settings(request)))
    try:
        cache.take_over(Cache(folder))
    except RefusedError as exc:
        for problem in exc.problems:
            yield f"not kept in the cache {cache.folder}: {problem.message}"
