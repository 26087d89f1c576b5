"""What a ``k0sctl.yaml`` has: its one Cluster, the hosts of it, and lists that are lists.

Source: k0sctl README (``Cluster``) and ``cmd/flags.go``: exactly one Cluster is read from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError
from k0sruntime.node import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.yaml_lists import Path

KIND = "cluster"
"""k0sctl reads it in any case."""


def cluster(documents: list[Any], place: str) -> int:
    """Return which document is the Cluster.

    Raises:
        RefusedError: none is, or two are.
    """
    found = [
        number
        for number, document in enumerate(documents)
        if isinstance(document, dict) and str(document.get("kind")).lower() == KIND
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise RefusedError(
            Problem(
                f"{len(found)} documents of kind Cluster are in it, and k0sctl takes one",
                place=place,
                remedy="Keep each in a file of its own.",
            )
        )
    raise RefusedError(
        Problem(
            "no Cluster of k0sctl is in it",
            place=place,
            remedy="Name k0sctl's configuration: k0sctl init > k0sctl.yaml makes one.",
        )
    )


def k0s_version(config: Any) -> str:
    """Return the k0s that a Cluster installs; empty where it leaves that to k0sctl."""
    found = config
    for word in ("spec", "k0s", "version"):
        found = found.get(word) if isinstance(found, dict) else None
    return str(found) if found is not None and Version.parse(str(found)) else ""


def chosen(config: Any, place: str, names: tuple[str, ...]) -> list[int]:
    """Return the indices of the hosts that are meant.

    Raises:
        RefusedError: there are no hosts, or none of a name.
    """
    known = [names_of(host) for host in all_hosts(config, place)]
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


def all_hosts(config: Any, place: str) -> list[Any]:
    """Return the hosts.

    Raises:
        RefusedError: there are none.
    """
    spec = config.get("spec")
    hosts = spec.get("hosts") if isinstance(spec, dict) else None
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        raise RefusedError(Problem("spec.hosts must be a list of tables", place))
    return hosts


def names_of(host: Mapping[str, Any]) -> set[str]:
    """Return the addresses and names that a host goes by."""
    ways = (host.get(way) for way in ("ssh", "openSSH", "winRM"))
    found = {str(way["address"]) for way in ways if isinstance(way, dict) and "address" in way}
    found |= {str(host["hostname"])} if host.get("hostname") else set()
    return found | ({"localhost"} if host.get("localhost") else set())


def is_windows(host: Mapping[str, Any]) -> bool:
    """Tell whether a host runs Windows, which none of our files and hooks are for."""
    return "winRM" in host or str(host.get("os", "")).lower() == "windows"


def list_at(config: Any, path: Path, place: str) -> list[Any]:
    """Return a list of the document; empty where nothing is there.

    Raises:
        RefusedError: what is there, or above it, has another shape than k0sctl reads.
    """
    found = config
    for depth, word in enumerate(path):
        if found is None:
            return []
        if isinstance(word, int):
            found = found[word]
        elif isinstance(found, dict):
            found = found.get(word)
        else:
            raise _misshapen(path[:depth], "a table", found, place)
    if not isinstance(found, (list, type(None))):
        raise _misshapen(path, "a list", found, place)
    return found or []


def dotted(path: Path) -> str:
    """Return a path as people write it: ``spec.hosts[0].files``."""
    return "".join(_words(path)).removeprefix(".")


def _words(path: Path) -> Iterator[str]:
    for word in path:
        yield f"[{word}]" if isinstance(word, int) else f".{word}"


def _misshapen(path: Path, shape: str, found: Any, place: str) -> RefusedError:
    kinds = {dict: "a table", list: "a list", str: "a text", bool: "true or false"}
    kind = kinds.get(type(found), "a number")
    return RefusedError(
        Problem(
            f"{path[-1]} must be {shape}, and is {kind}",
            place=f"{place}: {dotted(path)}",
            remedy="Correct it: k0sctl does not take it either.",
        )
    )
