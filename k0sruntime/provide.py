"""The stage before apply: programs that the composition needs are fetched, installed and asked.

Nothing in ``/etc`` is written before all of them are there. What is found on the node is asked for
its version as well: a program that does not run here is refused before a handler names it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from k0sruntime import install, regular
from k0sruntime.cache import Cache
from k0sruntime.contributions import Check, Contribution
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.fetch import Fetcher
from k0sruntime.installed import read_record, versions
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.binaries import Binary, Download, Installation, VersionCheck
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Outcome, Prepared, Request, Story

VERSION_SECONDS = 10.0


def cache_folder(request: Request, settings: NodeSettings) -> str:
    """Return the folder of the cache: as asked for, else the node's, else a plain user's own."""
    asked = request.cache or settings.downloads.cache
    if asked:
        return os.path.abspath(asked)
    if request.paths.sandbox or os.geteuid() == 0:
        return request.paths.cache
    import platformdirs

    return str(platformdirs.user_cache_path("k0sruntime"))


def fetch(
    request: Request, own: NodeSettings, wanted: Sequence[Installation], story: Story
) -> dict[str, list[tuple[Download, str, str]]]:
    """Bring the files of installations into the cache: folder to (download, algorithm, path).

    Raises:
        RefusedError: what cannot be had, all at once, with whose it is.
    """
    settings = own.downloads
    fetcher = Fetcher(
        Cache(request.only or cache_folder(request, own)),
        offline=request.offline or settings.offline,
        ca=settings.ca,
        bundle=bool(request.only),
        progress=story.progress,
    )
    found: dict[str, list[tuple[Download, str, str]]] = {}
    problems: list[Problem] = []
    for item in wanted:
        files = found.setdefault(item.folder, [])
        for download in item.downloads:
            try:
                path = fetcher.fetch(download)
            except RefusedError as exc:
                problems += [replace(problem, culprit=str(item.owner)) for problem in exc.problems]
            else:
                files.append((download, os.path.basename(os.path.dirname(path)), path))
    if problems:
        raise RefusedError(*problems)
    return found


def provide(request: Request, prepared: Prepared, story: Story) -> Prepared:
    """Fetch, check and install what is missing, and ask all programs whether they run.

    Returns what was prepared, with what is to be told of the programs' versions.

    Raises:
        RefusedError: something cannot be had, or does not run here; nothing in /etc was written.
    """
    if prepared.plan.empty:
        return prepared
    missing = prepared.plan.missing
    paths, arch = request.paths, prepared.node.arch
    if missing:
        with story.stage("fetch") as tell:
            found = fetch(request, prepared.node_settings, missing, story)
            tell(", ".join(map(str, missing)))
        with story.stage("install") as tell:
            for item in missing:
                install.install(
                    item,
                    found[item.folder],
                    paths,
                    arch,
                    lambda staged, item=item: _ask_staged(item, staged, paths),  # type: ignore[misc]
                )
            tell(", ".join(item.folder for item in missing))
    return asked(prepared)


def asked(prepared: Prepared) -> Prepared:
    """Ask the programs that are found on the node for their versions, and judge all versions.

    Returns what was prepared, with a warning for each that is too old for this node.

    Raises:
        RefusedError: one does not run on this machine.
    """
    composition, here = prepared.composition, prepared.node.paths.root == "/"
    warnings = list(composition.warnings)
    for part in composition.binaries:
        binary = part.value
        if binary.check is None:
            continue
        version, what = binary.version, f"{binary.name} {binary.version}"
        if binary.installed:
            version = _ask(binary, binary.installed, str(part.owner)) if here else ""
            what = f"{binary.installed} is {version}"
        if version and binary.check.too_old(version):
            warnings.append(Contribution(part.owner, _too_old(binary.name, what, binary.check)))
    return replace(prepared, composition=replace(composition, warnings=tuple(warnings)))


def _too_old(name: str, what: str, check: VersionCheck) -> Check:
    return Check(
        name=f"{name} is new enough for this node",
        verdict="warn",
        detail=f"{what}, older than {check.least}: {check.why}",
        remedy="Take a newer one; the proof decides whether this one will do.",
    )


def _ask_staged(item: Installation, staged: str, paths: Paths) -> None:
    if paths.root == "/":  # an image's programs may be for another machine
        _ask(item.binary, f"{staged}/{item.programs[0]}", str(item.owner))


def _ask(binary: Binary, path: str, culprit: str) -> str:
    """Ask a program for its version; empty where it tells none that we can read.

    Raises:
        RefusedError: it does not run on this machine.
    """
    if binary.check is None:
        return ""
    answer = ask([path, *binary.check.arguments], VERSION_SECONDS)
    if answer.status:
        said = (answer.errors or answer.output).strip().splitlines() or [f"status {answer.status}"]
        raise RefusedError(
            Problem(
                f"{path} does not run on this machine: {said[-1]}",
                place=" ".join([path, *binary.check.arguments]),
                culprit=culprit,
                remedy="Install one that does, or name another in the settings.",
            )
        )
    return binary.check.version_in(answer.output)


KEPT_GENERATIONS = 5
"""So many generations back, programs stay in the machine's own cache."""


def tidied(request: Request, prepared: Prepared, outcome: Outcome) -> Outcome:
    """Remove versions of programs that nothing needs any more, and tell of those that stay.

    The present files need theirs, and so do those of the proved generation before: ``rollback``
    goes there. Where that cannot be read, everything stays. The node is changed and proved by now,
    so what fails here is told, and fails nothing.
    """
    paths = prepared.node.paths
    needed = set(prepared.plan.programs)
    try:
        needed |= _named(_before(State(paths)), paths)
        notes = install.prune(paths, needed)
        if cache_folder(request, prepared.node_settings) == paths.cache:  # others may be shared
            Cache(paths.cache).prune(_checksums(State(paths)))
    except RefusedError as exc:
        notes = [f"old programs stay: {problem.message}" for problem in exc.problems]
    except (OSError, *NONSENSE) as exc:
        notes = [f"old programs stay: {type(exc).__name__}: {exc}"]
    return replace(outcome, notes=(*outcome.notes, *notes)) if notes else outcome


def left_by_purge(settings: NodeSettings) -> tuple[str, ...]:
    """Return what to tell of a cache that the settings name: it may be shared, and stays."""
    folder = settings.downloads.cache
    if not folder or not os.path.isdir(folder):
        return ()
    return (f"the cache {folder} of [node.downloads] may be shared and stays: remove it by hand",)


def _checksums(state: State) -> set[str]:
    """Return the checksums of what the last generations install."""
    numbers = state.generations()[-KEPT_GENERATIONS:]
    ledgers = [ledger for number in numbers if (ledger := state.generation(number))]
    records = (read_record(state.kept(key)) for g in ledgers for key in g.programs.values())
    return {item["digest"] for record in records if record for item in record["downloads"]}


def _before(state: State) -> list[bytes]:
    """Return the last good configuration, and the files of the proved generation before this.

    Raises:
        RefusedError: our record of them is spoilt.
    """
    last_good = f"{state.folder}/last-good.json"  # what a bad drop-in is answered with
    kept: list[bytes] = []
    with contextlib.suppress(OSError), regular.opened(last_good) as file:
        kept.append(file.read())
    present = state.ledger().generation
    for number in reversed([n for n in state.generations() if n < present]):
        ledger = state.generation(number)
        if ledger is not None and ledger.proved:
            return kept + [state.kept(file.digest) for file in ledger.files.values()]
    return kept


def _named(contents: Sequence[bytes], paths: Paths) -> set[str]:
    """Return the folders of versions that files name."""
    folders = (folder for found in versions(paths).values() for folder in found)
    return {f for f in folders if any(f"{f}/".encode() in content for content in contents)}
