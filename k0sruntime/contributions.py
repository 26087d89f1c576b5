"""What hooks return: declarations, frozen and validated where they are made.

A contribution never names a path in ``/etc/k0s``, a ``version`` line or a plugin ID: the host
knows where a key belongs in the schema that the node's containerd speaks. A wrong value raises
``ValueError`` in the provider's own line, which the host reports with the provider's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, get_args

from k0sruntime import masking
from k0sruntime.binaries import FILE_NAME
from k0sruntime.errors import Problem
from k0sruntime.guard import one_line
from k0sruntime.handlers import DNS_LABEL as DNS_LABEL  # noqa: PLC0414 - one place to import from
from k0sruntime.handlers import HANDLER_NAME as HANDLER_NAME  # noqa: PLC0414 - one place to import from
from k0sruntime.handlers import HandlerExtension as HandlerExtension  # noqa: PLC0414 - one place to import from
from k0sruntime.handlers import RuntimeHandler as RuntimeHandler  # noqa: PLC0414 - one place to import from
from k0sruntime.handlers import make_plain
from k0sruntime.values import (
    Table,
    Value,
    check_items,
    check_kind,
    check_name,
    check_plain,
    check_printable,
    check_strings,
    check_text,
)

Verdict = Literal["pass", "fail", "warn", "unknown"]
T = TypeVar("T")

CAPABILITIES = ("pull", "resolve", "push", "referrers")


@dataclass(frozen=True, kw_only=True)
class DropIn:
    """Keys of containerd's configuration that are not a handler.

    Attributes:
        runtime: keys of the CRI runtime table (``enable_cdi``, ``cni.conf_dir``, …).
        images: keys of the CRI images table (``registry.config_path``, ``snapshotter``, …).
        tables: other tables of containerd, as they stand at the root of its file
            (``proxy_plugins``, ``plugins."io.containerd.internal.v1.opt"``, …). The CRI tables
            are refused here: their names change between schemas.
        reason: one sentence for ``plan`` and ``explain``: why this is needed on this node.
    """

    runtime: Table = field(default_factory=dict)
    images: Table = field(default_factory=dict)
    tables: Table = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the shape of the tables, and that none spells what the host must spell."""
        check_plain(self)
        for kind in ("runtime", "images", "tables"):
            make_plain(self, kind, kind)
        if not self.reason.isprintable():
            raise ValueError(f"reason must be one line, not {self.reason!r}")
        if forbidden := sorted({"version", "imports"} & set(self.tables)):
            raise ValueError(f"tables must not set {forbidden[0]!r}: the host writes that line")
        plugins = self.tables.get("plugins", {})
        for plugin in plugins if isinstance(plugins, Mapping) else ():
            if plugin.startswith(("io.containerd.cri.", "io.containerd.grpc.v1.cri")):
                raise ValueError(
                    f"tables must not name {plugin!r}: use runtime= or images=, which the host"
                    " places for the node's schema"
                )
        if "runtimes" in dict(_table(self.runtime.get("containerd"))):
            raise ValueError("runtime must not hold containerd.runtimes: return a RuntimeHandler")


def _table(value: object) -> Table:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """A configuration file of the provider's runtime, such as ``runsc.toml``.

    The host places it; ``node.config_file(name)`` tells where, for use in ``options``.
    """

    name: str
    content: str
    mode: int = 0o644

    def __post_init__(self) -> None:
        """Check the name, which must be a plain file name, the text, and who may do what."""
        check_plain(self)
        check_name("config file", self.name, FILE_NAME)
        check_text(f"content of the config file {self.name}", self.content)
        if not 0o400 <= self.mode <= 0o755 or self.mode & 0o022:
            raise ValueError(
                f"mode {self.mode:#o} of the config file {self.name} must be between 0400 and 0755,"
                " and let nobody but its owner write"
            )


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host of a hosts file: a mirror, or the upstream itself. facts: containerd hosts.md.

    Attributes:
        url: with scheme and without a trailing slash: containerd reads ``https://e/`` as ``//v2``
            and silently ignores a bare name that starts with ``http``.
        capabilities: of ``pull``, ``resolve``, ``push``, ``referrers`` (containerd 2.2 and newer).
        ca: CA certificates, absolute or names in ``HostsFile.files``.
        client: pairs of certificate and key; an empty key means the same PEM.
        skip_verify: do not verify the host's certificate.
        header: headers sent with every request; they may be secrets.
        override_path: the URL's path is used as it is, without ``/v2``.
        dial_timeout: a Go duration such as ``5s`` (containerd 2.1 and newer).
    """

    url: str
    capabilities: Sequence[str] = ("pull", "resolve")
    ca: Sequence[str] = ()
    client: Sequence[tuple[str, str]] = ()
    skip_verify: bool = False
    header: Mapping[str, Sequence[str]] = field(default_factory=dict)
    override_path: bool = False
    dial_timeout: str = ""

    def __post_init__(self) -> None:
        """Check what containerd would silently read in another way."""
        check_plain(self)
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", self.url):
            raise ValueError(f"host {self.url!r} must be an http:// or https:// URL")
        check_printable("the URL of a host", self.url)
        if self.url.endswith("/"):
            raise ValueError(
                f"host {self.url!r} must not end in a slash: containerd asks //v2 then"
            )
        check_strings(f"capabilities of host {self.url}", self.capabilities)
        check_strings(f"ca of host {self.url}", self.ca)
        check_items(f"client of host {self.url}", self.client, Sequence)
        for number, pair in enumerate(self.client):
            check_strings(f"number {number + 1} of client of host {self.url}", pair)
            if len(pair) != 2:
                raise ValueError(
                    f"client of host {self.url} must be pairs of a certificate and its key"
                )
        check_kind(f"header of host {self.url}", self.header, Mapping)
        for key, values in self.header.items():
            check_printable(f"name of a header of host {self.url}", key)
            check_strings(f"header {key!r} of host {self.url}", values)
        for capability in self.capabilities:
            if capability not in CAPABILITIES:
                raise ValueError(
                    f"host {self.url!r} has the capability {capability!r}; known are"
                    f" {', '.join(CAPABILITIES)}"
                )
        if self.dial_timeout and not re.fullmatch(
            r"(\d+(\.\d+)?(ns|us|ms|s|m|h))+", self.dial_timeout
        ):
            raise ValueError(f"dial_timeout {self.dial_timeout!r} must be a duration such as 5s")


@dataclass(frozen=True, kw_only=True)
class HostsFile:
    """What containerd does for one registry: ``certs.d/<registry>/hosts.toml``.

    Attributes:
        registry: the registry's name as it stands in an image (``docker.io``, ``r.local:5000``),
            or ``_default``.
        hosts: the mirrors, in the order in which they are tried.
        server: the upstream, always tried last; ``None`` for containerd's own choice.
        files: certificates placed beside ``hosts.toml``: name to PEM text.
    """

    registry: str
    hosts: Sequence[Host] = ()
    server: Host | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names, and that no host is named twice (containerd drops such a file)."""
        check_plain(self)
        check_name("registry", self.registry, FILE_NAME if self.registry[:1] != "[" else _IPV6)
        check_items(f"hosts of {self.registry}", self.hosts, Host)
        if self.server is not None:
            check_kind(f"server of {self.registry}", self.server, Host)
        check_kind(f"files of {self.registry}", self.files, Mapping)
        for name, content in self.files.items():
            check_name("file beside hosts.toml", name, FILE_NAME)
            check_text(f"content of {name} beside hosts.toml", content)
            if name == "hosts.toml":
                raise ValueError("files must not hold hosts.toml: the host writes it")
        urls = [host.url for host in self.hosts]
        if twice := {url for url in urls if urls.count(url) > 1}:
            raise ValueError(f"registry {self.registry!r} names the host {min(twice)!r} twice")


_IPV6 = re.compile(r"\[[0-9a-fA-F:.]+\](:\d+)?")


@dataclass(frozen=True, kw_only=True)
class CRISocket:
    """A CRI endpoint of another runtime, for ``k0s worker --cri-socket=remote:<url>``."""

    url: str

    def __post_init__(self) -> None:
        """Check that it is an absolute Unix socket."""
        check_plain(self)
        check_printable("CRI socket", self.url)
        if not re.fullmatch(r"unix:///[^\s?#%]+", self.url) or "/../" in f"{self.url}/":
            raise ValueError(
                f"CRI socket {self.url!r} must be unix:///an/absolute/path, without ? # or %:"
                " a kubelet dials the path alone, unescaped"
            )

    @property
    def path(self) -> str:
        """The socket's path on the node."""
        return self.url.removeprefix("unix://")


@dataclass(frozen=True, kw_only=True)
class KubeletProfile:
    """An entry of k0s's ``spec.workerProfiles``: a name and KubeletConfiguration values."""

    name: str
    values: Mapping[str, Value]

    FORBIDDEN = ("clusterDNS", "clusterDomain", "staticPodURL")

    def __post_init__(self) -> None:
        """Check the name (DNS-1123 label) and the fields that k0s forbids in a profile."""
        check_plain(self)
        check_name("profile", self.name, DNS_LABEL)
        make_plain(self, f"profile {self.name}", "values")
        for key in self.FORBIDDEN:
            if key in self.values:
                raise ValueError(f"profile {self.name!r} must not set {key!r}: k0s refuses it")
        driver = self.values.get("cgroupDriver", "systemd")
        if driver not in ("systemd", "cgroupfs"):
            raise ValueError(
                f"profile {self.name!r}: cgroupDriver is {driver!r}; a kubelet knows systemd and"
                " cgroupfs"
            )


@dataclass(frozen=True, kw_only=True)
class Check:
    """One verdict of the proof.

    Attributes:
        name: what was checked, such as ``sandbox under runsc``.
        verdict: ``pass``, ``fail``, ``warn`` or ``unknown``.
        detail: what was seen; for anything but a pass also why.
        remedy: what to do about it.
        cgroup_driver: ``systemd`` or ``cgroupfs``, where the check found out which of them a
            runtime behind the CRI uses; the host holds it against CRI, worker profile and kubelet.
            ``name`` then is what the row is called by, such as ``docker``.
        handler: the handler that it is about, where it is about one. Where the operator prefers
            another provider's handler of that name, the verdict does not count.
        registry: the registry that it is about; the same.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    remedy: str = ""
    cgroup_driver: Literal["", "systemd", "cgroupfs"] = ""
    handler: str = ""
    registry: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no verdict; what a program printed becomes one line, with URLs masked."""
        check_plain(self)
        if self.verdict not in get_args(Verdict):
            known = ", ".join(get_args(Verdict))
            raise ValueError(f"{self.verdict!r} is no verdict; there are {known}")
        if self.cgroup_driver not in ("", "systemd", "cgroupfs"):
            raise ValueError(f"cgroup_driver is {self.cgroup_driver!r}, no systemd and no cgroupfs")
        for key in ("name", "detail", "remedy"):
            object.__setattr__(self, key, one_line(masking.text(getattr(self, key))))


@dataclass(frozen=True)
class Owner:
    """Who made a contribution: provider, its distribution and version, and the hook."""

    provider: str
    distribution: str
    version: str
    hook: str

    def __str__(self) -> str:
        """Return ``gvisor (k0sruntime-gvisor 0.1.0), hook contribute_dropin``."""
        return f"{self.provider} ({self.distribution} {self.version}), hook {self.hook}"


@dataclass(frozen=True)
class Contribution(Generic[T]):
    """One value that one hook call of one provider returned."""

    owner: Owner
    value: T


def conflict(message: str, one: Owner, other: Owner) -> Problem:
    """Return the problem of two owners that want the same thing."""
    return Problem(
        message,
        culprit=f"{one} and {other}",
        remedy=f"Take one of them out, or go on with --without {other.provider}.",
    )
