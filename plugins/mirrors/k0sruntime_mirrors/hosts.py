"""From the settings of a registry to its hosts file."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k0sruntime import (
    Host,
    HostsFile,
    Problem,
    Version,
    count_certificates,
    has_private_key,
    masked_url,
)
from k0sruntime_mirrors.urls import UPSTREAMS, address, is_tls, registry_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node
    from k0sruntime_mirrors.settings import Endpoint, Registry

REFERRERS = Version(2, 2)
"""The first containerd that knows ``referrers``; an older one refuses the whole file."""
DIAL_TIMEOUT = Version(2, 0, 11)
"""The first containerd that knows ``dial_timeout`` for sure; 2.0.0 to 2.0.4 do not."""
PLAIN_DIAL_TIMEOUT = Version(2, 1)
"""The first containerd that does not try HTTPS at an ``http://`` host because of it."""
FIRST_2_3 = Version(1, 36)
"""The first k0s line that brings containerd 2.3."""


@dataclass
class Composer:
    """Composes one registry's hosts file, and gathers what is wrong with it."""

    name: str
    registry: Registry
    node: Node[dict[str, Registry]]
    files: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def compose(self) -> HostsFile | None:
        """Return the hosts file, or ``None`` where there are problems."""
        server = bool(self.registry.server) or self.registry.mirror_only
        fault, remedy = registry_fault(self.name, server=server)
        if fault:
            self._problem(fault, remedy)
            return None
        hosts = [host for item in self.registry.tables for host in self._host(item)]
        self._refuse_twice(hosts)
        upstream = self._server()
        if self.registry.mirror_only:
            upstream = hosts.pop()
        if self.problems:
            return None
        return HostsFile(registry=self.name, hosts=hosts, server=upstream, files=self.files)

    def _problem(self, message: str, remedy: str) -> None:
        place = f'{self.node.paths.settings}: [mirrors."{masked_url(self.name)}"]'
        self.problems.append(Problem(message, place=place, remedy=remedy))

    def _refuse_twice(self, hosts: list[Host]) -> None:
        urls = [host.url for host in hosts]
        for url in sorted({url for url in urls if urls.count(url) > 1}):
            self._problem(
                f"the endpoint {url} is named twice: containerd would drop the file",
                "Keep one of the two.",
            )

    def _server(self) -> Host | None:
        server = self.registry.server
        if not isinstance(server, str):
            return next(iter(self._host(server)), None)
        url = server or UPSTREAMS.get(self.name, "")
        return Host(url=address(url)) if url else None

    def _host(self, item: Endpoint) -> Iterator[Host]:
        """Yield the host; nothing where this containerd would not ask it for anything."""
        new = knows_referrers(self.node)
        known = tuple(c for c in item.capabilities if c != "referrers" or new)
        if not known:
            return
        yield Host(
            url=item.target,
            capabilities=known,
            ca=[name for path in item.authorities if (name := self._beside(path))],
            client=[self._pair(*pair) for pair in item.pairs],
            skip_verify=item.skip_verify,
            header=item.all_headers,
            override_path=item.override_path or bool(item.prefix),
            dial_timeout=item.dial_timeout if knows_dial_timeout(self.node, item) else "",
        )

    def _pair(self, certificate: str, key: str) -> tuple[str, str]:
        """Return a pair of files; an empty key would be read as the folder, and fail every pull."""
        self._certificate(certificate)
        content = self._read(key or certificate)
        if content is not None and not has_private_key(content):
            self._problem(f"{key or certificate} holds no key as PEM", "Convert it with openssl.")
        return certificate, key or certificate

    def _certificate(self, path: str) -> bytes:
        """Return the content of a file with certificates.

        One that is missing or cannot be read makes containerd fail every pull of the registry.
        """
        content = self._read(path)
        if content is not None and not count_certificates(content):
            self._problem(f"{path} holds no certificate as PEM", "Convert it with openssl.")
        return content or b""

    def _read(self, path: str) -> bytes | None:
        content = self.node.files.read(path)
        if content is None:
            self._problem(f"{path} cannot be read", "Put it there, or correct the path.")
        return content

    def _beside(self, path: str) -> str:
        """Take a copy of a CA certificate and return its name beside the hosts file."""
        text = self._certificate(path).decode(errors="replace")
        stem, ending = posixpath.splitext(posixpath.basename(path))
        stem = re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.")[:64] or "ca"
        ending = ending if ending in {".crt", ".pem"} else ".crt"
        chosen, number = f"{stem}{ending}", 1
        while self.files.get(chosen, text) != text:
            number += 1
            chosen = f"{stem}-{number}{ending}"
        self.files[chosen] = text
        return chosen


def containerd_of(node: Node[dict[str, Registry]]) -> Version:
    """Return the containerd that will read the files, the one of the k0s line before its start."""
    if node.containerd:
        return node.containerd.version
    newest = bool(node.k0s and node.k0s.version >= FIRST_2_3)
    return Version(2, 3) if newest else Version(1, 7)


def knows_referrers(node: Node[dict[str, Registry]]) -> bool:
    """Tell whether the node's containerd knows the capability ``referrers``."""
    return containerd_of(node) >= REFERRERS


def knows_dial_timeout(node: Node[dict[str, Registry]], host: Endpoint) -> bool:
    """Tell whether the node's containerd knows ``dial_timeout``, and takes nothing else from it."""
    return containerd_of(node) >= (DIAL_TIMEOUT if is_tls(host.url) else PLAIN_DIAL_TIMEOUT)


def without_effect(
    node: Node[dict[str, Registry]], registry: Registry
) -> Iterator[tuple[str, str]]:
    """Yield what a registry's table asks for and this containerd cannot do: what, and from when."""
    server = [] if isinstance(registry.server, str) else [registry.server]
    hosts = [*registry.tables, *server]
    if any(host.dial_timeout and not knows_dial_timeout(node, host) for host in hosts):
        yield "dial_timeout", str(PLAIN_DIAL_TIMEOUT)
    if not knows_referrers(node) and any("referrers" in host.capabilities for host in hosts):
        yield "the capability referrers", str(REFERRERS)
