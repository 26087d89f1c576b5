"""The provider: settings to hosts files, and the folder that containerd reads them from."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime import Check, DropIn, Host, HostsFile, Inactive, Provider
from k0sruntime_mirrors.settings import Endpoint, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime import Node, RunningCRI

Registries = dict[str, Registry]

UPSTREAMS = {"docker.io": "https://registry-1.docker.io"}
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
        """See that each hosts file lies where the running containerd looks for it."""
        del cri  # CRI does not tell the images table (containerd 2.x), so the files must do
        for name in sorted(node.settings):
            path = node.hosts_file(name)
            there = node.files.read(path) is not None
            yield Check(
                name=f"mirrors of {name}",
                verdict="pass" if there else "fail",
                detail=f"{path} is {'in place' if there else 'missing'}",
            )


def _active(node: Node[Registries]) -> None:
    if not node.settings:
        raise Inactive('no registry is set: add a table such as [mirrors."docker.io"]')
    for name, registry in node.settings.items():
        if not registry.endpoints and not registry.server:
            raise ValueError(f'[mirrors."{name}"] names neither endpoints nor a server')
        if registry.mirror_only and not registry.endpoints:
            raise ValueError(f'[mirrors."{name}"] is mirror_only without endpoints')


def _server(name: str, registry: Registry) -> Host | None:
    url = registry.server or UPSTREAMS.get(name, "")
    if not url:
        return None
    return Host(url=_url(url, name), capabilities=("pull", "resolve"))


def _host(
    item: str | Endpoint,
    name: str,
    registry: Registry,
    node: Node[Registries],
    files: dict[str, str],
) -> Host:
    if isinstance(item, str):
        item = Endpoint(url=item, ca=registry.ca, skip_verify=registry.skip_verify)
    return Host(
        url=_url(item.url, name),
        capabilities=item.capabilities,
        ca=[_certificate(item.ca, name, node, files)] if item.ca else [],
        skip_verify=item.skip_verify,
        header=_headers(item.header),
        override_path=item.override_path,
        dial_timeout=item.dial_timeout,
    )


def _url(url: str, registry: str) -> str:
    """Return an URL that containerd reads as it is meant.

    It takes a bare name that starts with ``http`` for an URL without a host, and falls back to
    the upstream; it asks ``//v2`` where the URL ends in a slash.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f'[mirrors."{registry}"]: write {url!r} with its scheme: https://{url}')
    return url.rstrip("/")


def _headers(header: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    return {key: [value] if isinstance(value, str) else value for key, value in header.items()}


def _certificate(path: str, registry: str, node: Node[Registries], files: dict[str, str]) -> str:
    """Take a copy of a CA certificate and return its name beside the hosts file.

    A CA that is missing or no PEM makes containerd fail every pull of the registry.
    """
    content = node.files.read(path)
    if content is None:
        raise ValueError(f'[mirrors."{registry}"]: the CA certificate {path} cannot be read')
    text = content.decode(errors="replace")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(f'[mirrors."{registry}"]: {path} is no PEM certificate')
    name, ending = posixpath.splitext(posixpath.basename(path))
    chosen, number = f"{name}{ending or '.crt'}", 1
    while files.get(chosen, text) != text:
        number += 1
        chosen = f"{name}-{number}{ending or '.crt'}"
    files[chosen] = text
    return chosen


provider = Mirrors()
