"""The settings: ``[mirrors."docker.io"]`` and so on, one table a registry."""

from __future__ import annotations

from k0sruntime import Settings


class Endpoint(Settings, frozen=True):
    """One mirror, where a URL alone does not say enough."""

    url: str
    capabilities: tuple[str, ...] = ("pull", "resolve")
    ca: str = ""
    """Path of a CA certificate on the node; a copy is placed beside the hosts file."""
    skip_verify: bool = False
    header: dict[str, str | list[str]] = {}
    override_path: bool = False
    dial_timeout: str = ""


class Registry(Settings, frozen=True):
    """What to do for one registry."""

    endpoints: list[str | Endpoint] = []
    """Mirrors in the order in which they are tried: URLs, or tables."""
    server: str = ""
    """The upstream, tried last; empty for the registry itself."""
    mirror_only: bool = False
    """Never ask the upstream: the last endpoint takes its place."""
    ca: str = ""
    """CA certificate for the endpoints that are given as URLs."""
    skip_verify: bool = False
    """Do not verify certificates of endpoints that are given as URLs."""
