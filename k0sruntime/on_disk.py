"""The composition of the files as they lie there, ours included, without asking any provider."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.__about__ import __version__
from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, compose
from k0sruntime.compose.files import DesiredFile
from k0sruntime.contributions import Contribution, CRISocket, KubeletProfile, Owner
from k0sruntime.json_keys import put_back
from k0sruntime.observe import existing
from k0sruntime.plan import Ledger
from k0sruntime.real_files import RealFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Existing
    from k0sruntime.ledger import State
    from k0sruntime.node import Node
    from k0sruntime.plan import OwnedFile
    from k0sruntime.whose_cri import CRIOf


def composed(node: Node[Any], ledger: Ledger) -> Composition:
    """Return what the files on disk come to; handlers of ours name their provider.

    Raises:
        RefusedError: a file that the node cannot live with.
    """
    return _owned(compose(node, Collected(), existing(node.paths, Ledger())), ledger)


def with_generation(node: Node[Any], wanted: Ledger, present: Ledger, state: State) -> Composition:
    """Return what a generation comes to with the files of other hands as they lie there now.

    Raises:
        RefusedError: a file that the node cannot live with, or one of ours is not kept any more.
    """
    found = existing(node.paths, present)
    ours = {
        posixpath.basename(path): state.kept(owned.digest)
        for path, owned in wanted.files.items()
        if posixpath.dirname(path) == node.paths.dropins
    }
    both = replace(found, dropins={**found.dropins, **ours})
    composition = compose(node, _of_another(wanted.cri), both)
    edited = tuple(
        _edited(path, owned, node, found, state)
        for path, owned in wanted.files.items()
        if owned.edited
    )
    return _owned(replace(composition, files=(*composition.files, *edited)), wanted)


def _of_another(cri: CRIOf) -> Collected:
    """Return what the providers contributed, where the node had another runtime's CRI."""
    if not cri.socket:
        return Collected()
    owner = Owner(cri.provider or "the generation", "k0sruntime", __version__, "rollback")
    socket = Contribution(owner, CRISocket(url=cri.socket))
    profiles = [KubeletProfile(name=cri.profile, values=cri.values)] if cri.profile else []
    return Collected(
        sockets=(socket,), profiles=tuple(Contribution(owner, found) for found in profiles)
    )


def _edited(
    path: str, owned: OwnedFile, node: Node[Any], found: Existing, state: State
) -> DesiredFile:
    """Return another program's file with a generation's keys in it, and all that others wrote."""
    edited = put_back(path, node.files.read(path), found.edited.get(path), state.before(owned))
    mode = node.files.mode(path)
    return DesiredFile(
        path,
        edited.content,
        owned.owner,
        owned.mode if mode is None else mode,
        loaded=False,
        edited=edited,
        reload=owned.reload,
    )


def _owned(composition: Composition, ledger: Ledger) -> Composition:
    owners = {path: owned.owner for path, owned in ledger.files.items()}
    classes = ledger.runtime_classes
    handlers = tuple(
        replace(h, owner=owners.get(h.owner, h.owner), runtime_class=classes.get(h.name, ""))
        for h in composition.handlers
    )
    return replace(composition, handlers=handlers)


def derived(composition: Composition) -> Mapping[str, bytes]:
    """Return the files that are made of others: the main file, and the merged CRI file."""
    return {file.path: file.content for file in composition.files}


def in_place(composition: Composition, node: Node[Any]) -> bool:
    """Tell whether the files that are made of others lie there as they must be.

    The merged CRI file lies below ``/run`` and is gone when the machine is started anew.
    """
    files = RealFiles(node.paths)
    return all(files.read(file.path) == file.content for file in composition.files)
