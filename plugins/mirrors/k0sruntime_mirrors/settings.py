"""The settings: ``[mirrors."docker.io"]`` and so on, one table a registry.

What the operator wrote wrongly is refused here, where the host knows the file and the table.
"""

from __future__ import annotations

import re
from typing import Literal

from k0sruntime import Host, Settings
from k0sruntime_mirrors.urls import address, below_prefix, is_tls, refuse_inner_v2

Capability = Literal["pull", "resolve", "push", "referrers"]
Paths = str | list[str]
Pairs = str | list[tuple[str, str]]
Headers = dict[str, str | list[str]]

USUAL: tuple[Capability, ...] = ("pull", "resolve")
"""What a node asks a registry for."""
MASK = "****"
"""What stands for a secret in everything that is printed."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


class Auth(Settings, frozen=True):
    """Credentials, as ``registry.configs."<host>".auth`` has them."""

    username: str = ""
    password: str = ""
    auth: str = ""
    """``username:password`` in base64."""
    identity_token: str = ""

    def __post_init__(self) -> None:
        """Refuse what lets nobody in."""
        given = (self.password, self.auth, self.identity_token)
        if MASK in given:
            raise ValueError(f"{MASK!r} stands for a secret that was masked: write the real one")
        if not any(given):
            raise ValueError("auth needs username and password, or auth, or identity_token")
        if bool(self.username) != bool(self.password):
            raise ValueError("auth has one of username and password, and needs both")


class Endpoint(Settings, frozen=True):
    """One host, where a URL alone does not say enough."""

    url: str
    capabilities: tuple[Capability, ...] = USUAL
    ca: Paths = []
    """Paths of CA certificates on the node; copies are placed beside the hosts file."""
    client: Pairs = []
    """Pairs of paths on the node: certificate and key, the key ``""`` where one file has both.

    They are named where they lie, never copied: keys are secrets.
    """
    skip_verify: bool = False
    headers: Headers = {}
    header: Headers = {}
    """The same as ``headers``, as a hosts file spells it."""
    override_path: bool = False
    prefix: str = ""
    """The project of a pull-through cache, such as ``dockerhub-proxy``."""
    dial_timeout: str = ""
    auth: Auth | None = None

    def __post_init__(self) -> None:
        """Refuse what containerd would read in another way."""
        Host(url=address(self.url), dial_timeout=self.dial_timeout)
        _refuse_capabilities(self.capabilities)
        _refuse_relative(*self.authorities, *(path for pair in self.pairs for path in pair))
        _refuse_headers(self.all_headers)
        if self.headers and self.header:
            raise ValueError("headers and header are the same: keep one of them")
        if not is_tls(self.url) and (self.ca or self.client or self.skip_verify):
            raise ValueError(
                f"ca, client and skip_verify make containerd try HTTPS first at {self.url}:"
                " write https, or take them out"
            )
        if self.prefix and self.override_path:
            raise ValueError("prefix and override_path exclude each other: take one of them out")
        if self.prefix:
            below_prefix(address(self.url), self.prefix)
        elif not self.override_path:
            refuse_inner_v2(address(self.url))

    @property
    def authorities(self) -> list[str]:
        """The CA certificates, as a list."""
        return [self.ca] if isinstance(self.ca, str) and self.ca else list(self.ca)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The client certificates, as pairs."""
        if isinstance(self.client, str):
            return [(self.client, "")] if self.client else []
        return self.client

    @property
    def all_headers(self) -> dict[str, list[str]]:
        """The headers, each as a list of values."""
        given = {**self.header, **self.headers}
        return {key: [value] if isinstance(value, str) else value for key, value in given.items()}

    @property
    def target(self) -> str:
        """The URL that stands in the hosts file."""
        url = address(self.url)
        return below_prefix(url, self.prefix) if self.prefix else url


class Registry(Settings, frozen=True):
    """What to do for one registry."""

    endpoints: list[str | Endpoint] = []
    """Mirrors in the order in which they are tried: URLs, or tables."""
    server: str | Endpoint = ""
    """The upstream, tried last, as an URL or a table; empty for the registry itself."""
    mirror_only: bool = False
    """Never ask the upstream: the last endpoint takes its place."""
    capabilities: tuple[Capability, ...] = USUAL
    """This and what follows is for endpoints that are given as URLs."""
    ca: Paths = []
    client: Pairs = []
    skip_verify: bool = False
    headers: Headers = {}
    header: Headers = {}
    override_path: bool = False
    prefix: str = ""
    dial_timeout: str = ""
    auth: Auth | None = None
    """Credentials of the registry itself."""

    def __post_init__(self) -> None:
        """Refuse tables that say nothing, contradict themselves, or name no URL."""
        urls = [item for item in self.endpoints if isinstance(item, str)]
        if isinstance(self.server, str) and self.server:
            Endpoint(url=self.server)
        if not self.endpoints and not self.server and self.auth is None:
            raise ValueError("it names neither endpoints nor a server: set one of them")
        if self.mirror_only and not self.endpoints:
            raise ValueError("mirror_only needs endpoints: the last takes the upstream's place")
        if self.mirror_only and (self.server or self.auth):
            raise ValueError(
                "mirror_only asks no upstream, and excludes server and auth: take one of them out"
            )
        if self.auth and isinstance(self.server, Endpoint) and self.server.auth:
            raise ValueError("auth stands beside server.auth: keep one of them")
        if (self.ca or self.client or self.skip_verify) and not any(is_tls(u) for u in urls):
            raise ValueError(
                "ca, client and skip_verify are for https endpoints that are given as URLs, and"
                " there is none: set them in the table of the endpoint or of the server; for a"
                " registry without a mirror, name it as its only endpoint, with mirror_only = true"
            )
        if not urls and self._has_defaults():
            raise ValueError(
                "capabilities, headers, override_path, prefix and dial_timeout are for endpoints"
                " that are given as URLs, and there is none: set them in the endpoint's own table"
            )
        if isinstance(self.server, Endpoint) and "pull" not in self.server.capabilities:
            raise ValueError("a server that may not be pulled from is never asked: leave it out")
        _refuse_capabilities(self.capabilities)
        self._refuse_none_that_resolves()

    def _has_defaults(self) -> bool:
        given = (self.headers, self.header, self.override_path, self.prefix, self.dial_timeout)
        return any(given) or self.capabilities != USUAL

    def _refuse_none_that_resolves(self) -> None:
        asked = self.tables  # which checks the endpoints that are given as URLs
        if isinstance(self.server, Endpoint):
            asked.append(self.server)
        elif not self.mirror_only:
            return  # the upstream may do all
        if not any("resolve" in item.capabilities for item in asked):
            raise ValueError(
                "no host of it may resolve a tag: every pull would fail; let one pull and resolve"
            )

    @property
    def tables(self) -> list[Endpoint]:
        """The endpoints as tables, in their order."""
        return [self.endpoint(i) if isinstance(i, str) else i for i in self.endpoints]

    def endpoint(self, url: str) -> Endpoint:
        """Return an endpoint that is given as an URL, with its registry's defaults.

        A key of TLS would make containerd try an ``http://`` host as HTTPS first.
        """
        tls = url.startswith("https://")
        return Endpoint(
            url=url,
            capabilities=self.capabilities,
            ca=self.ca if tls else [],
            client=self.client if tls else [],
            skip_verify=self.skip_verify and tls,
            headers=self.headers,
            header=self.header,
            override_path=self.override_path,
            prefix=self.prefix,
            dial_timeout=self.dial_timeout,
        )


def _refuse_capabilities(capabilities: tuple[Capability, ...]) -> None:
    if not capabilities:
        raise ValueError("an empty list of capabilities means all of them to containerd: name some")
    if "resolve" in capabilities and "pull" not in capabilities:
        raise ValueError(
            "containerd resolves a tag only with hosts that may be pulled from: add pull, or take"
            " resolve out"
        )


def _refuse_relative(*paths: str) -> None:
    for path in paths:
        if path and not path.startswith("/"):
            raise ValueError(f"{path!r} must be an absolute path on the node")


def _refuse_headers(headers: dict[str, list[str]]) -> None:
    """Refuse what cannot be sent: every request would fail (RFC 9110, 5.1 and 5.5)."""
    for name, values in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        for value in values:
            if value == MASK:
                raise ValueError(f"header {name} is masked: write the real value")
            if not _HEADER_VALUE.fullmatch(value) or not value.isprintable():
                raise ValueError(f"the value of header {name} holds a line break or a control sign")
