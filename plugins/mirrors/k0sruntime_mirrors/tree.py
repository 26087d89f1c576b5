"""An existing folder of hosts files to settings: what containerd makes of it, not what it says."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from k0sruntime import Problem, Refused, ResolvedHost, Version, masked_url, resolve_registry
from k0sruntime_mirrors.imported import Imported, short
from k0sruntime_mirrors.urls import HUB_NAMES, UPSTREAMS, host_of

if TYPE_CHECKING:
    from k0sruntime import Files

CONTAINERD = Version(2, 3)
"""The containerd whose reading is taken over: the newest that is known."""
ALL = {"pull", "push", "resolve"}
USUAL = {"pull", "resolve"}
LOST = ("K0R701", "K0R706", "K0R710")
"""Lint's rules about what the file says and containerd passes over: an import would lose it."""
PORT = re.compile(r"(?P<host>.+)_(?P<port>[^_]+)_")


def read(folder: str, files: Files) -> Imported:
    """Return the settings that a folder such as ``/etc/containerd/certs.d`` comes to.

    Raises:
        Refused: there is no registry in it.
    """
    found = Imported(folder)
    names = [name for name in files.names(folder) if files.names(f"{folder}/{name}")]
    if not names:
        remedy = "Name the folder that has a folder for each registry."
        raise Refused(Problem("there is no registry in it", place=folder, remedy=remedy))
    for name in names:
        _registry(name, found, folder, files)
    return found


def registry_of(folder: str) -> str:
    """Return the registry that is looked up under a folder's name."""
    port = PORT.fullmatch(folder)
    return f"{port['host']}:{port['port']}" if port else folder


def _registry(name: str, found: Imported, folder: str, files: Files) -> None:
    registry = registry_of(name)
    if registry in HUB_NAMES:
        found.notes.append(f"{name} is left out: images of Docker Hub are not looked up there")
        return
    resolution = resolve_registry(registry, folder, files, CONTAINERD)
    if resolution.folder != f"{folder}/{name}":
        read_ = posixpath.basename(resolution.folder)
        found.notes.append(f"{name} is left out: containerd reads {read_}")
        return
    lost = False
    for problem in resolution.warnings:
        if problem.message.startswith(LOST):
            found.refused.append(problem)
            lost = True
        else:
            found.notes.append(f"{problem.message} ({problem.place})")
    for failure in resolution.failures:
        found.refuse(f"every pull fails: {failure}", name, "Correct it, and import again.")
    if resolution.undecodable:
        found.refuse(
            f"containerd refuses the file as a whole: {resolution.undecodable}",
            f"{name}/hosts.toml",
            "Correct it, and import again.",
        )
    if lost or resolution.failures or resolution.undecodable:
        return
    table = _table(registry, resolution.hosts, name, found)
    if table is not None:
        found.add(registry, table, name)


def _table(
    registry: str, hosts: tuple[ResolvedHost, ...], name: str, found: Imported
) -> dict[str, Any] | None:
    endpoints = []
    for host in hosts:
        if not host.host:
            shown = masked_url(host.path.removesuffix("/v2"))
            fault = f"{shown!r} has no scheme, and is never asked"
            found.refuse(fault, name, "Write https:// before it, and import again.")
            return None
        if host.http_fallback:
            found.notes.append(
                f"http://{host.host} is asked over HTTPS first, for TLS is spoken of: that is left"
                " out; write https:// if it has TLS"
            )
        endpoints.append(_endpoint(host))
    *tried, last = endpoints
    # One that is asked a second time has nothing new to say.
    mirrors = [one for number, one in enumerate(tried) if one not in tried[:number]]
    table: dict[str, Any] = {}
    if mirrors:
        table["endpoints"] = [short(mirror) for mirror in mirrors]
    own = host_of(UPSTREAMS[registry]) if registry in UPSTREAMS else registry
    if last != {"url": f"https://{own}"}:
        table["server"] = short(last)
    return table


def _endpoint(host: ResolvedHost) -> dict[str, Any]:
    """Return a host as an endpoint's table, with nothing in it that goes without saying."""
    scheme = "http" if host.http_fallback else host.scheme
    url = f"{scheme}://{host.host}"
    found: dict[str, Any] = {"url": url}
    if host.path.endswith("/v2"):
        found["url"] += host.path.removesuffix("/v2")
    else:
        found |= {"url": f"{url}{host.path}", "override_path": True}
    if set(host.capabilities) not in (ALL, USUAL):
        found["capabilities"] = list(host.capabilities)
    if not host.http_fallback:
        found |= _tls(host)
    if host.header:
        found["headers"] = {key: list(values) for key, values in host.header.items()}
    if host.dial_timeout:
        found["dial_timeout"] = host.dial_timeout
    return found


def _tls(host: ResolvedHost) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.ca:
        found["ca"] = list(host.ca)
    if host.client:
        found["client"] = [list(pair) for pair in host.client]
    if host.skip_verify:
        found["skip_verify"] = True
    return found
