"""What is proved after a start: the files lie there, containerd reads them, endpoints answer.

A mirror that does not answer is a warning: containerd goes on to the next host, and taking a
whole change back would not bring the mirror back.
"""

from __future__ import annotations

import datetime as dt
import json
import posixpath
from typing import TYPE_CHECKING

from k0sruntime import (
    Check,
    CRIError,
    ReachTarget,
    client_certificate_fault,
    containerd_proxies,
    reach_endpoints,
)
from k0sruntime_mirrors import hosts
from k0sruntime_mirrors.provider import PROBE_HOST, PROBE_REGISTRY, Registries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k0sruntime import Host, HostsFile, Node, RunningCRI


NOT_ASKED = "not asked: --offline opens no socket"


def in_place(node: Node[Registries], files: Sequence[HostsFile]) -> Iterator[Check]:
    """See that each hosts file lies where containerd looks, and names every host."""
    for file in files:
        wrong = _wrong(node, file)
        yield Check(
            name=f"mirrors of {file.registry}",
            verdict="fail" if wrong else "pass",
            detail=wrong or f"{node.hosts_file(file.registry)} is in place",
            remedy="Correct the files, and write them again with k0sruntime up." if wrong else "",
            registry=file.registry,
        )


def _wrong(node: Node[Registries], file: HostsFile) -> str:
    """Return what is wrong with a registry's files on the node, or nothing."""
    path = node.hosts_file(file.registry)
    content = node.files.read(path)
    if content is None:
        return f"{path} is missing"
    text = content.decode(errors="replace")
    for host in hosts_of(file):
        if json.dumps(host.url, ensure_ascii=False) not in text:
            return f"{path} does not name {host.url}"
    for name in file.files:
        if not node.files.exists(f"{posixpath.dirname(path)}/{name}"):
            return f"{posixpath.dirname(path)}/{name} is missing: every pull fails"
    pairs = [pair for host in hosts_of(file) for pair in host.client]
    faults = (client_certificate_fault(*map(node.paths.on_disk, pair)) for pair in pairs)
    return next((f"{fault}: every pull fails" for fault in faults if fault), "")


def without_effect(node: Node[Registries]) -> Iterator[Check]:
    """Tell what the settings ask for and the node's containerd is too old for."""
    for name, registry in sorted(node.settings.items()):
        for what, since in hosts.without_effect(node, registry):
            yield Check(
                name=f"{what} of {name}",
                verdict="warn",
                detail=f"containerd {hosts.containerd_of(node)} cannot do that: it is left out",
                remedy=f"Take it out, or run containerd {since} or newer.",
            )


def hosts_of(file: HostsFile) -> list[Host]:
    """Return all hosts of a hosts file, the server last."""
    return [*file.hosts, *([file.server] if file.server else ())]


def folder_is_read(node: Node[Registries], cri: RunningCRI) -> Check:
    """Have containerd pull from a registry that is none, and see it ask where our file points.

    CRI does not tell the registry's configuration (containerd 2.x), and what a file says is not
    what a running containerd has loaded. Nothing leaves the node: the host is port 0 on loopback.
    """
    name = "containerd reads the hosts files"
    if node.offline:
        return Check(name=name, verdict="unknown", detail=NOT_ASKED)
    try:
        cri.pull(f"{PROBE_REGISTRY}/probe:1")
    except CRIError as exc:
        if PROBE_HOST in str(exc):
            return Check(name=name, verdict="pass", detail=f"it looks into {node.paths.certs}")
        if exc.code == "DEADLINE_EXCEEDED":
            return Check(name=name, verdict="unknown", detail=str(exc))
        return Check(
            name=name,
            verdict="fail",
            detail=f"it does not look into {node.paths.certs}: {exc}",
            remedy="See k0sruntime explain registry.config_path; containerd reads that key when"
            " it starts.",
        )
    return Check(name=name, verdict="unknown", detail=f"somebody serves {PROBE_REGISTRY}")


def endpoints(node: Node[Registries], files: Sequence[HostsFile]) -> Iterator[Check]:
    """Ask every endpoint that the settings name, all at once, each with a short limit.

    The registries' own upstreams are not asked where nobody named them: on a node behind a mirror
    they are often out of reach.
    """
    targets: dict[str, ReachTarget] = {}
    for file in files:
        named = node.settings[file.registry]
        asked = hosts_of(file) if named.server or named.mirror_only else file.hosts
        folder = posixpath.dirname(node.hosts_file(file.registry))
        for host in asked:
            targets.setdefault(host.url, _target(node, host, folder))
    if node.offline:
        for url in targets:
            yield Check(name=f"endpoint {url}", verdict="unknown", detail=NOT_ASKED)
        return
    now = dt.datetime.now(dt.timezone.utc)
    for url, answer in reach_endpoints(targets, now, containerd_proxies(node)).items():
        yield Check(
            name=f"endpoint {url}",
            verdict="pass" if answer.good else "warn",
            detail=answer.detail,
            remedy=answer.remedy,
        )


def _target(node: Node[Registries], host: Host, folder: str) -> ReachTarget:
    """Return how a host is asked, with its certificates where they lie on this machine.

    Below ``/v2`` there is nothing to ask for but images, so the root is asked; a path of another
    kind that is used as it is has no root that is known.
    """
    head, found, _ = f"{host.url}/".partition("/v2/")
    known = bool(found) or not host.override_path
    return ReachTarget(
        f"{head}/v2" if known and found else host.url if not known else f"{host.url}/v2",
        [node.paths.on_disk(posixpath.join(folder, name)) for name in host.ca],
        [(node.paths.on_disk(one), node.paths.on_disk(two)) for one, two in host.client],
        host.skip_verify,
        host.header,
        known,
    )
