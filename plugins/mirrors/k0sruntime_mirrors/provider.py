"""The provider: settings to hosts files, and the folder that containerd reads them from."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from k0sruntime import Check, DropIn, Host, HostsFile, Inactive, Provider
from k0sruntime_mirrors.settings import HUB, Endpoint, Registry, address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime import Node, RunningCRI

Registries = dict[str, Registry]

UPSTREAMS = {"docker.io": HUB}
"""Registries that are served under another name than their own."""


class Mirrors(Provider[Registries]):
    """Registry mirrors for containerd."""

    settings = Registries
    summary = "registry mirrors: certs.d/<registry>/hosts.toml"

    def contribute_dropin(self, node: Node[Registries]) -> Iterator[DropIn]:
        """Point containerd at the folder of hosts files; exactly one folder.

        With two, containerd 2.1 to 2.3 takes the whole text for one name and ignores all mirrors.
        """
        _active(node)
        yield DropIn(
            images={"registry": {"config_path": node.paths.certs}},
            reason="containerd looks for mirrors in this folder",
        )

    def contribute_hosts(self, node: Node[Registries]) -> Iterator[HostsFile]:
        """Contribute one hosts file a registry."""
        _active(node)
        for name, registry in sorted(node.settings.items()):
            files: dict[str, str] = {}
            hosts = [_host(item, name, registry, node, files) for item in registry.endpoints]
            server = _server(name, registry)
            if registry.mirror_only:
                server = hosts.pop()
            yield HostsFile(registry=name, hosts=hosts, server=server, files=files)

    def post_start_check(self, node: Node[Registries], cri: RunningCRI) -> Iterator[Check]:
        """See that each hosts file lies where containerd looks, and names every host."""
        del cri  # CRI does not tell the images table (containerd 2.x), so the files must do
        for file in self.contribute_hosts(node):
            wrong = _wrong(node, file)
            yield Check(
                name=f"mirrors of {file.registry}",
                verdict="fail" if wrong else "pass",
                detail=wrong or f"{node.hosts_file(file.registry)} is in place",
                remedy="Write it again with k0sruntime up." if wrong else "",
            )


def _active(node: Node[Registries]) -> None:
    if not node.settings:
        raise Inactive('no registry is set: add a table such as [mirrors."docker.io"]')


def _server(name: str, registry: Registry) -> Host | None:
    url = registry.server or UPSTREAMS.get(name, "")
    return Host(url=address(url)) if url else None


def _host(
    item: str | Endpoint,
    name: str,
    registry: Registry,
    node: Node[Registries],
    files: dict[str, str],
) -> Host:
    if isinstance(item, str):
        item = _endpoint(item, registry)
    for path in (path for pair in item.client for path in pair if path):
        _pem(path, name, node, "-----BEGIN ")
    return Host(
        url=address(item.url),
        capabilities=item.capabilities,
        ca=[_beside(item.ca, _pem(item.ca, name, node), files)] if item.ca else [],
        client=item.client,
        skip_verify=item.skip_verify,
        header=_headers(item.header),
        override_path=item.override_path,
        dial_timeout=item.dial_timeout,
    )


def _endpoint(url: str, registry: Registry) -> Endpoint:
    """Return an endpoint that is given as an URL, with its registry's defaults.

    A key of TLS would make containerd try an ``http://`` host as HTTPS first.
    """
    tls = url.startswith("https://")
    return Endpoint(
        url=url,
        capabilities=registry.capabilities,
        ca=registry.ca if tls else "",
        skip_verify=registry.skip_verify and tls,
    )


def _headers(header: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    return {key: [value] if isinstance(value, str) else value for key, value in header.items()}


def _pem(
    path: str, registry: str, node: Node[Registries], begin: str = "-----BEGIN CERTIFICATE-----"
) -> str:
    """Return the text of a certificate or key.

    One that is missing or no PEM makes containerd fail every pull of the registry.
    """
    content = node.files.read(path)
    if content is None:
        raise ValueError(
            f'[mirrors."{registry}"]: {path} cannot be read; put it there, or correct the path'
        )
    text = content.decode(errors="replace")
    if begin not in text:
        raise ValueError(
            f'[mirrors."{registry}"]: {path} is no PEM; convert it to PEM with openssl'
        )
    return text


def _beside(path: str, text: str, files: dict[str, str]) -> str:
    """Take a copy of a CA certificate and return its name beside the hosts file."""
    stem, ending = posixpath.splitext(posixpath.basename(path))
    stem = re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.")[:64] or "ca"
    ending = ending if ending in {".crt", ".pem"} else ".crt"
    chosen, number = f"{stem}{ending}", 1
    while files.get(chosen, text) != text:
        number += 1
        chosen = f"{stem}-{number}{ending}"
    files[chosen] = text
    return chosen


def _wrong(node: Node[Registries], file: HostsFile) -> str:
    """Return what is wrong with a registry's files on the node, or nothing."""
    path = node.hosts_file(file.registry)
    content = node.files.read(path)
    if content is None:
        return f"{path} is missing"
    text = content.decode(errors="replace")
    for host in (*file.hosts, *([file.server] if file.server else ())):
        if json.dumps(host.url, ensure_ascii=False) not in text:
            return f"{path} does not name {host.url}"
    for name in file.files:
        if not node.files.exists(f"{posixpath.dirname(path)}/{name}"):
            return f"{posixpath.dirname(path)}/{name} is missing: every pull fails"
    return ""


provider = Mirrors()
