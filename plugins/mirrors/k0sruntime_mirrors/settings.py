"""The settings: ``[mirrors."docker.io"]`` and so on, one table a registry.

What the operator wrote wrongly is refused here, where the host knows the file and the table.
"""

from __future__ import annotations

from typing import Literal

from k0sruntime import Host, Settings

Capability = Literal["pull", "resolve", "push", "referrers"]

HUB = "https://registry-1.docker.io"
"""Docker Hub's registry; ``docker.io`` itself serves web pages and no images."""


def address(url: str) -> str:
    """Return an URL that containerd reads as it is meant.

    It takes a bare name that starts with ``http`` for an URL without a host, and falls back to
    the upstream; it asks ``//v2`` where the URL ends in a slash; and it takes
    ``https://docker.io`` by its word. Source: containerd 2.3
    ``core/remotes/docker/config/hosts.go``.

    Raises:
        ValueError: the URL has no scheme; the message says what to write.
    """
    if not url.startswith(("http://", "https://")):
        name = url.rpartition("://")[2]
        raise ValueError(
            f"write {url!r} with its scheme: https://{name}, or http://{name} where it has no TLS"
        )
    plain = url.rstrip("/")
    return HUB if plain in ("https://docker.io", "https://index.docker.io") else plain


class Endpoint(Settings, frozen=True):
    """One mirror, where a URL alone does not say enough."""

    url: str
    capabilities: tuple[Capability, ...] = ("pull", "resolve")
    ca: str = ""
    """Path of a CA certificate on the node; a copy is placed beside the hosts file."""
    client: list[tuple[str, str]] = []
    """Pairs of paths on the node: certificate and key, the key ``""`` where one file has both.

    They are named where they lie, never copied: keys are secrets.
    """
    skip_verify: bool = False
    header: dict[str, str | list[str]] = {}
    override_path: bool = False
    dial_timeout: str = ""

    def __post_init__(self) -> None:
        """Refuse what containerd would read in another way."""
        Host(url=address(self.url), dial_timeout=self.dial_timeout)
        _refuse_relative(self.ca, *(path for pair in self.client for path in pair))


class Registry(Settings, frozen=True):
    """What to do for one registry."""

    endpoints: list[str | Endpoint] = []
    """Mirrors in the order in which they are tried: URLs, or tables."""
    server: str = ""
    """The upstream, tried last; empty for the registry itself."""
    mirror_only: bool = False
    """Never ask the upstream: the last endpoint takes its place."""
    capabilities: tuple[Capability, ...] = ("pull", "resolve")
    """What endpoints that are given as URLs are asked for."""
    ca: str = ""
    """CA certificate for the ``https`` endpoints that are given as URLs."""
    skip_verify: bool = False
    """Do not verify certificates of endpoints that are given as URLs."""

    def __post_init__(self) -> None:
        """Refuse tables that say nothing, contradict themselves, or name no URL."""
        urls = [item for item in self.endpoints if isinstance(item, str)]
        for url in (*urls, *([self.server] if self.server else ())):
            Host(url=address(url))
        _refuse_relative(self.ca)
        if not self.endpoints and not self.server:
            raise ValueError("it names neither endpoints nor a server: set one of them")
        if self.mirror_only and not self.endpoints:
            raise ValueError("mirror_only needs endpoints: the last takes the upstream's place")
        if self.mirror_only and self.server:
            raise ValueError("mirror_only and server exclude each other: take one of them out")
        if (self.ca or self.skip_verify) and not any(u.startswith("https://") for u in urls):
            raise ValueError(
                "ca and skip_verify are for https endpoints that are given as URLs, and there is"
                " none: set them in the endpoint's own table; for a registry without a mirror,"
                " name it as its only endpoint, with mirror_only = true"
            )


def _refuse_relative(*paths: str) -> None:
    for path in paths:
        if path and not path.startswith("/"):
            raise ValueError(f"{path!r} must be an absolute path on the node")
