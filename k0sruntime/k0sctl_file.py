"""A ``k0sctl.yaml`` with what a composition comes to in it; every other byte stays.

Entries of ours are known by their names, so that a second export replaces what the first one put
there, and what is no longer wanted goes. Source of the format: k0sctl README (``Cluster``,
k0sctl.k0sproject.io/v1beta1).
"""

from __future__ import annotations

import posixpath
from itertools import groupby
from typing import TYPE_CHECKING, Any

from k0sruntime import k0sctl_flags, k0sctl_profiles
from k0sruntime.compose import cri_flag
from k0sruntime.compose.envsubst import escaped
from k0sruntime.compose.k0sctl import CONTROLLERS, NAME, WORKERS, is_ours, left_by
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.k0sctl_hosts import (
    chosen,
    cluster,
    is_windows,
    k0s_version,
    list_at,
    names_of,
)
from k0sruntime.yaml_data import load
from k0sruntime.yaml_lists import ODD, Edit, applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from k0sruntime.compose.k0sctl import Export, Upload
    from k0sruntime.contributions import KubeletProfile
    from k0sruntime.yaml_lists import Path

AFTER = (("hooks", "apply", "after"), ("hooks", "reset", "after"))


def version_of(text: str, place: str) -> str:
    """Return the k0s that a file installs; empty where it leaves that to k0sctl.

    Raises:
        RefusedError: it is no ``k0sctl.yaml``.
    """
    documents = load(text, place)
    return k0s_version(documents[cluster(documents, place)])


def merged(
    text: str,
    export: Export,
    profile: KubeletProfile | None,
    place: str,
    hosts: Iterable[str] = (),
    source: Callable[[Upload], str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> str:
    """Return the file with files, hooks and flags of its hosts; the same text where they are there.

    A host that cannot be changed alone, for it shares what would be changed with others, is left
    as it is and told of, unless it was named.

    Args:
        text: the file.
        export: what goes into it.
        profile: the worker profile that goes into its cluster's configuration.
        place: the file's path, for errors.
        hosts: addresses or names of the hosts that are meant; none for all.
        source: gives the path of a file's copy beside it; without, contents stand in it.
        tell: takes a sentence about what was left as it is.

    Raises:
        RefusedError: it is no ``k0sctl.yaml``, has no such host, or cannot be changed without
            changing something else.
    """
    documents = load(text, place)
    number = cluster(documents, place)
    config, names = documents[number], tuple(hosts)
    edits = _edits(config, export, place, names, source, tell)
    try:
        result = applied(text, number, edits, place, shared=True)
    except ODD:
        result = _one_by_one(text, number, edits, place, tell, names)
    kept = load(result, place)[number]
    try:
        return applied(
            result, number, k0sctl_profiles.edits(config, kept, profile, place, tell), place
        )
    except ODD as exc:
        raise _by_hand(exc, place) from exc


def _one_by_one(
    text: str,
    number: int,
    edits: Iterable[Edit],
    place: str,
    tell: Callable[[str], None],
    names: tuple[str, ...],
) -> str:
    """Do the edits a host at a time, and tell of those that cannot be changed alone."""
    hosts = load(text, place)[number]["spec"]["hosts"]
    left: dict[int, Exception] = {}
    groups = [(index, list(group)) for index, group in groupby(edits, key=lambda e: e.path[2])]
    for index, group in groups:
        try:
            text = applied(text, number, group, place)
        except ODD as odd:
            left[int(index)] = odd
    concerned = {int(index) for index, group in groups if any(edit.items for edit in group)}
    if left and (names or concerned <= left.keys()):
        raise _by_hand(next(iter(left.values())), place)
    for index, why in left.items():
        who = _called(index, hosts[index])
        tell(f"{who} is left as it is: {why}; print the entries without --into for it")
    return text


def _by_hand(exc: Exception, place: str) -> RefusedError:
    return RefusedError(
        Problem(
            f"it cannot be changed without changing something else: {exc}",
            place=place,
            remedy="Print the entries without --into, and put them there by hand.",
        )
    )


def _edits(
    config: Any,
    export: Export,
    place: str,
    names: tuple[str, ...],
    source: Callable[[Upload], str] | None,
    tell: Callable[[str], None],
) -> list[Edit]:
    """Return what becomes of the hosts that are meant."""
    edits: list[Edit] = []
    for index in chosen(config, place, names):
        base: Path = ("spec", "hosts", index)
        host = config["spec"]["hosts"][index]
        role = host.get("role") if not is_windows(host) else ""
        works, controls = role in WORKERS, role in CONTROLLERS
        uploads = (export.uploads if works else ()) + (export.manifests if controls else ())
        files = [entry(u, source) for u in uploads if source or not u.secret]
        list_at(config, (*base, "files"), place)
        edits.append(Edit((*base, "files"), files, _is_our_file))
        if works:
            hooks = [list_at(config, (*base, *path), place) for path in AFTER]
            for path, wanted in zip(AFTER, (export.after, export.reset), strict=True):
                edits.append(Edit((*base, *path), escaped(wanted), is_ours))
            found = list_at(config, (*base, "installFlags"), place)
            earlier = left_by((*hooks[0], *hooks[1])).flags
            cut, put = k0sctl_flags.replaced(
                found, escaped(export.flags), earlier, f"{place}: host {index + 1}"
            )
            kept = [item for item in found if item not in cut] + put
            if socket := _another_cri(export, kept):
                tell(f"{_called(index, host)} {socket}")
            edits.append(Edit((*base, "installFlags"), list(put), [*cut, *put].__contains__))
    return edits


def _another_cri(export: Export, flags: Sequence[Any]) -> str:
    """Tell that a host has a CRI of its own choice, where files for k0s's containerd go to it."""
    ours = {flag.partition("=")[0] for flag in export.flags}
    if not export.uploads or cri_flag.FLAG in ours:
        return ""
    value = k0sctl_flags.value_of(flags, cri_flag.FLAG)
    return value and (
        f"keeps {cri_flag.FLAG}={value} of another hand: k0s runs no containerd of its own there,"
        " and our files count for nothing; take the flag out, or leave the host out with --host"
    )


def _called(index: int, host: Any) -> str:
    known = min(names_of(host), default="")
    return f"host {index + 1}" + (f" ({known})" if known else "")


def entry(upload: Upload, source: Callable[[Upload], str] | None = None) -> dict[str, Any]:
    """Return a file as an entry of ``files``, as it must stand there."""
    content = {"src": source(upload)} if source else {"data": upload.content}
    fields: dict[str, Any] = {
        "name": f"{NAME}: {upload.path}",
        **content,
        "dstDir": posixpath.dirname(upload.path),
        "dst": posixpath.basename(upload.path),
        "perm": upload.perm,
        "dirPerm": "0755",
        "user": "root",
        "group": "root",
    }
    return {key: escaped(value) for key, value in fields.items()}


def _is_our_file(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("name", "")).startswith(f"{NAME}: ")
