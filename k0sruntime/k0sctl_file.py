"""A ``k0sctl.yaml`` with what a composition comes to in it; every other byte stays.

Entries of ours are known by their names, so that a second export replaces what the first one put
there, and what is no longer wanted goes. Source of the format: k0sctl README (``Cluster``,
k0sctl.k0sproject.io/v1beta1).
"""

from __future__ import annotations

import copy
import posixpath
from typing import TYPE_CHECKING, Any

from k0sruntime import yaml_text
from k0sruntime.compose.k0sctl import CONTROLLERS, MARK, NAME, WORKERS
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.k0s_config import load
from k0sruntime.node import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from k0sruntime.compose.k0sctl import Export, Upload
    from k0sruntime.contributions import KubeletProfile
    from k0sruntime.yaml_text import Found

KIND = "cluster"
"""k0sctl reads it in any case."""
Path = tuple["str | int", ...]


def version_of(text: str, place: str) -> str:
    """Return the k0s that a file installs; empty where it leaves that to k0sctl.

    Raises:
        RefusedError: it is no ``k0sctl.yaml``.
    """
    documents = load(text, place)
    spec = documents[_cluster(documents, place)].get("spec") or {}
    said = (spec.get("k0s") or {}).get("version") if isinstance(spec.get("k0s"), dict) else None
    return str(said) if said is not None and Version.parse(str(said)) else ""


def merged(
    text: str,
    export: Export,
    profile: KubeletProfile | None,
    place: str,
    hosts: Iterable[str] = (),
    source: Callable[[Upload], str] | None = None,
) -> str:
    """Return the file with files, hooks and flags of its hosts; the same text where they are there.

    Args:
        text: the file.
        export: what goes into it.
        profile: the worker profile that goes into its cluster's configuration.
        place: the file's path, for errors.
        hosts: addresses or names of the hosts that are meant; none for all.
        source: gives the path of a file's copy beside it; without, contents stand in it.

    Raises:
        RefusedError: it is no ``k0sctl.yaml``, has no such host, or cannot be changed without
            changing something else.
    """
    documents = load(text, place)
    number = _cluster(documents, place)
    edits = _edits(documents[number], export, profile, place, tuple(hosts), source)
    wanted = copy.deepcopy(documents)
    for path, items, ours in edits:
        _put_plain(wanted[number], path, items, ours)
    try:
        for path, items, ours in edits:
            text = _put(text, number, path, items, ours)
        if _plain(load(text, place)) != _plain(wanted):
            raise yaml_text.OddError("its layout")  # noqa: TRY301 - told as the others are
    except (yaml_text.OddError, IndexError) as exc:
        raise RefusedError(
            Problem(
                f"it cannot be changed without changing something else: {exc}",
                place=place,
                remedy="Print the entries without --into, and put them there by hand.",
            )
        ) from exc
    return text


Edit = tuple[Path, list[Any], "Callable[[Any], bool]"]
"""A list in the document, what of ours it shall hold, and what of ours it may hold now."""


def _edits(
    config: Any,
    export: Export,
    profile: KubeletProfile | None,
    place: str,
    names: tuple[str, ...],
    source: Callable[[Upload], str] | None,
) -> list[Edit]:
    edits: list[Edit] = []
    for index in _chosen(config, place, names):
        base: Path = ("spec", "hosts", index)
        host = config["spec"]["hosts"][index]
        role = host.get("role") if not is_windows(host) else ""
        works, controls = role in WORKERS, role in CONTROLLERS
        uploads = (export.uploads if works else ()) + (export.manifests if controls else ())
        files = [entry(u, source) for u in uploads if source or not u.beside]
        edits.append(((*base, "files"), files, _is_our_file))
        if works:
            _refuse_odd_flags(host.get("installFlags"), export.flags, f"{place}: host {index + 1}")
            edits.append(((*base, "hooks", "apply", "after"), list(export.after), _is_our_hook))
            edits.append(((*base, "hooks", "reset", "after"), list(export.reset), _is_our_hook))
            edits.append(((*base, "installFlags"), list(export.flags), _same_flag(export.flags)))
    if profile is not None:
        value = {"name": profile.name, "values": dict(sorted(profile.values.items()))}
        path: Path = ("spec", "k0s", "config", "spec", "workerProfiles")
        edits.append((path, [value], lambda item: _named(item, profile.name)))
    return edits


def entry(upload: Upload, source: Callable[[Upload], str] | None = None) -> dict[str, Any]:
    """Return a file as an entry of ``files``."""
    content = {"src": source(upload)} if source else {"data": upload.content}
    return {
        "name": f"{NAME}: {upload.path}",
        **content,
        "dstDir": posixpath.dirname(upload.path),
        "dst": posixpath.basename(upload.path),
        "perm": upload.perm,
        "dirPerm": "0755",
        "user": "root",
        "group": "root",
    }


def _is_our_file(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("name", "")).startswith(f"{NAME}: ")


def _is_our_hook(item: Any) -> bool:
    return isinstance(item, str) and item.startswith(MARK)


def _same_flag(flags: Iterable[str]) -> Callable[[Any], bool]:
    """A flag that we give takes the place of one of its name; all others are the operator's."""
    names = tuple(f"{flag.partition('=')[0]}=" for flag in flags)
    return lambda item: isinstance(item, str) and bool(names) and item.startswith(names)


def _refuse_odd_flags(found: Any, flags: Iterable[str], place: str) -> None:
    """Refuse flags of ours that are spelled so that both would be given: k0s takes the last."""
    names = [flag.partition("=")[0] for flag in flags]
    items = found if isinstance(found, list) else [found] if found else []
    for item in items:
        words = str(item).split()
        odd = [n for n in names for w in words if w.partition("=")[0] == n]
        if odd and (len(words) > 1 or "=" not in words[0] or not isinstance(found, list)):
            raise RefusedError(
                Problem(
                    f"installFlags has {odd[0]} in another form than {odd[0]}=VALUE",
                    place=place,
                    culprit="a foreign hand",
                    remedy=f"Write it as an item of its own, {odd[0]}=VALUE, or take it out.",
                )
            )


def _named(item: Any, name: str) -> bool:
    return isinstance(item, dict) and item.get("name") == name


def _cluster(documents: list[Any], place: str) -> int:
    for number, document in enumerate(documents):
        if isinstance(document, dict) and str(document.get("kind")).lower() == KIND:
            return number
    raise RefusedError(
        Problem(
            "no Cluster of k0sctl is in it",
            place=place,
            remedy="Name k0sctl's configuration: k0sctl init > k0sctl.yaml makes one.",
        )
    )


def _chosen(config: Any, place: str, names: tuple[str, ...]) -> list[int]:
    """Return the indices of the hosts that are meant."""
    spec = config.get("spec")
    hosts = spec.get("hosts") if isinstance(spec, dict) else None
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        raise RefusedError(Problem("spec.hosts must be a list of tables", place))
    known = [_names(host) for host in hosts]
    if missing := [name for name in names if not any(name in found for found in known)]:
        there = ", ".join(min(found) for found in known if found) or "none"
        raise RefusedError(
            Problem(
                f"there is no host {missing[0]}",
                place=f"{place}: spec.hosts",
                remedy=f"Name addresses or host names that are there: {there}.",
            )
        )
    return [n for n, found in enumerate(known) if not names or set(names) & found]


def _names(host: Mapping[str, Any]) -> set[str]:
    ways = (host.get(way) for way in ("ssh", "openSSH", "winRM"))
    found = {str(way["address"]) for way in ways if isinstance(way, dict) and "address" in way}
    found |= {str(host["hostname"])} if host.get("hostname") else set()
    return found | ({"localhost"} if host.get("localhost") else set())


def is_windows(host: Mapping[str, Any]) -> bool:
    """Tell whether a host runs Windows, which none of our files and hooks are for."""
    return "winRM" in host or str(host.get("os", "")).lower() == "windows"


def _put_plain(document: Any, path: Path, items: list[Any], ours: Callable[[Any], bool]) -> None:
    """Do the same to plain data: what the text must come to."""
    table = document
    for word in path[:-1]:
        if isinstance(word, str) and table.get(word) is None:
            if not items:
                return
            table[word] = {}
        table = table[word]
    last = path[-1]
    found = table.get(last)
    others = [item for item in found or [] if not ours(item)]
    if (found is None and not items) or [i for i in found or [] if ours(i)] == items:
        return
    table[last] = others + items or None


def _plain(value: Any) -> Any:
    """Return data in which an empty list says as little as a key without a value."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(item) for item in value] or None if isinstance(value, list) else value


def _put(text: str, number: int, path: Path, items: list[Any], ours: Callable[[Any], bool]) -> str:
    """Bring a list's entries of ours to what they shall be: new ones at its end, old ones out."""
    found = _data(text, number, path)
    old = [index for index, item in enumerate(found or []) if ours(item)]
    if [found[index] for index in old] == items if found else not items:
        return text
    if found:
        for item in items:
            splice, place = _at(text, number, path)
            splice.add(place, item)
            text = splice.text
        for index in reversed(old):
            splice, place = _at(text, number, path)
            splice.cut_item(place, index)
            text = splice.text
        return text
    return _fresh(text, number, path, items)


def _fresh(text: str, number: int, path: Path, items: list[Any]) -> str:
    """Put a list where there is none, with the tables above it that are missing."""
    depth = len(path) - 1
    while depth and _data(text, number, path[:depth]) is None:
        depth -= 1
    splice, into = _at(text, number, path[:depth])
    value: Any = items
    for word in reversed(path[depth + 1 :]):
        value = {word: value}
    key = str(path[depth])
    empty = into.get(key)
    if empty is None:
        splice.add(into, {key: value})
    elif empty.kind == "sequence":  # [], which becomes a list in a block
        splice.empty(empty)
        return _fresh(splice.text, number, path, items)
    else:
        splice.fill(next(k for k, _ in into.pairs() if k.text == key), empty, value)
    return splice.text


def _data(text: str, number: int, path: Path) -> Any:
    value = load(text, "")[number]
    for word in path:
        if value is None or (isinstance(word, str) and word not in value):
            return None
        value = value[word]
    return value


def _at(text: str, number: int, path: Path) -> tuple[yaml_text.Splice, Found]:
    """Return a value's place in the text.

    Raises:
        OddError: something on the way is an alias, or others refer to it.
    """
    root = yaml_text.parsed(text)[number]
    shared = yaml_text.aliases(root)
    place = root
    for word in path:
        found = place.children[word] if isinstance(word, int) else place.get(word)
        if found is None or found.kind == "alias":
            raise yaml_text.OddError(f"{word} stands for what is written elsewhere")
        if found.anchor and found.anchor in shared:
            raise yaml_text.OddError(f"*{found.anchor} refers to it from elsewhere")
        place = found
    return yaml_text.Splice(text, *yaml_text.style(root, text)), place
