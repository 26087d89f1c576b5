"""What hooks return: declarations, frozen and validated where they are made.

A contribution never names a path in ``/etc/k0s``, a ``version`` line or a plugin ID: the host
knows where a key belongs in the schema that the node's containerd speaks. A wrong value raises
``ValueError`` in the provider's own line, which the host reports with the provider's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from k0sruntime import masking
from k0sruntime.binaries import FILE_NAME
from k0sruntime.errors import Problem
from k0sruntime.values import Table, Value, check_name, check_strings, plain_table

Verdict = Literal["pass", "fail", "warn", "unknown"]
T = TypeVar("T")

HANDLER_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What containerd and CRI take as the name of a handler."""
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""The handler of a RuntimeClass (node.k8s.io/v1) and the name of a worker profile."""
DNS_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){DNS_LABEL.pattern}(\.{DNS_LABEL.pattern})*")
"""The name of a RuntimeClass."""
RESOURCE = re.compile(
    rf"({DNS_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
)
"""The name of a resource, such as ``memory`` (Kubernetes ``IsQualifiedName``)."""
QUANTITY = re.compile(r"\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?")
"""An amount of a resource, such as ``64Mi`` (apimachinery ``pkg/api/resource/quantity.go``)."""
CAPABILITIES = ("pull", "resolve", "push", "referrers")


@dataclass(frozen=True, kw_only=True)
class RuntimeHandler:
    """A CRI runtime handler, the key under ``containerd.runtimes``.

    Attributes:
        name: what a RuntimeClass names as its ``handler``.
        runtime_type: the shim: the last two parts name the binary ``containerd-shim-<name>-<ver>``.
        runtime_path: absolute path of the shim where it is not on containerd's PATH.
        options: the shim's own options, such as ``BinaryName`` for the runc shim.
        pod_annotations: annotations handed to the shim, wildcards allowed.
        container_annotations: the same for containers.
        snapshotter: the snapshotter of its pods; empty for the default one.
        sandboxer: ``podsandbox`` or ``shim``; empty for containerd's default.
        keys: any other key of the handler's table, in containerd's own spelling.
        runtime_class: the RuntimeClass to offer for it; empty for none.
        overhead: what a pod of it costs besides its containers, such as ``{"memory": "64Mi"}``.
        scheduling: ``nodeSelector`` and ``tolerations`` of that RuntimeClass.
        programs: absolute paths that must be there and executable for it to run.
    """

    name: str
    runtime_type: str = "io.containerd.runc.v2"
    runtime_path: str = ""
    options: Table = field(default_factory=dict)
    pod_annotations: Sequence[str] = ()
    container_annotations: Sequence[str] = ()
    snapshotter: str = ""
    sandboxer: str = ""
    keys: Table = field(default_factory=dict)
    runtime_class: str = ""
    overhead: Mapping[str, str] = field(default_factory=dict)
    scheduling: Table = field(default_factory=dict)
    programs: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the names and the shape of the tables."""
        check_name("handler", self.name, HANDLER_NAME)
        if self.runtime_class:
            check_name("RuntimeClass", self.runtime_class, DNS_SUBDOMAIN)
            check_name("handler of a RuntimeClass", self.name, DNS_LABEL)
        if self.runtime_type.count(".") < 2:
            raise ValueError(
                f"runtime_type {self.runtime_type!r} of handler {self.name!r} must end in"
                " <name>.<version>, as in io.containerd.runc.v2"
            )
        _check_absolute(f"runtime_path of handler {self.name}", self.runtime_path)
        for key in ("pod_annotations", "container_annotations", "programs"):
            check_strings(f"{key} of handler {self.name}", getattr(self, key))
        if own := sorted(set(self.keys) & set(self.__dataclass_fields__)):
            raise ValueError(f"keys of handler {self.name} names {own[0]!r}, which is a field")
        _make_plain(self, f"options of handler {self.name}", "options")
        for name in ("keys", "overhead", "scheduling"):
            _make_plain(self, f"{name} of handler {self.name}", name)
        if (self.overhead or self.scheduling) and not self.runtime_class:
            raise ValueError(f"handler {self.name}: overhead and scheduling need a runtime_class")
        for resource, quantity in self.overhead.items():
            check_name(f"resource in the overhead of handler {self.name}", resource, RESOURCE)
            _check_quantity(f"overhead of handler {self.name}: {resource}", quantity)
        if unknown := sorted(set(self.scheduling) - {"nodeSelector", "tolerations"}):
            raise ValueError(f"scheduling of handler {self.name} knows no {unknown[0]!r}")


def _check_quantity(kind: str, value: object) -> None:
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise ValueError(f"{kind} = {value!r} is no quantity; write one such as 128Mi or 250m")


def _check_absolute(kind: str, path: str) -> None:
    if path and not path.startswith("/"):
        raise ValueError(f"{kind} must be an absolute path, not {path!r}")


def _make_plain(contribution: object, kind: str, name: str) -> None:
    """Replace a table by plain dictionaries, checked; the contribution is being made."""
    object.__setattr__(contribution, name, plain_table(kind, getattr(contribution, name)))


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
        for kind in ("runtime", "images", "tables"):
            _make_plain(self, kind, kind)
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
        """Check the name, which must be a plain file name."""
        check_name("config file", self.name, FILE_NAME)


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
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", self.url):
            raise ValueError(f"host {self.url!r} must be an http:// or https:// URL")
        if self.url.endswith("/"):
            raise ValueError(
                f"host {self.url!r} must not end in a slash: containerd asks //v2 then"
            )
        check_strings(f"capabilities of host {self.url}", self.capabilities)
        check_strings(f"ca of host {self.url}", self.ca)
        for key, values in self.header.items():
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
        check_name("registry", self.registry, FILE_NAME if self.registry[:1] != "[" else _IPV6)
        for name in self.files:
            check_name("file beside hosts.toml", name, FILE_NAME)
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
        if not re.fullmatch(r"unix:///\S+", self.url):
            raise ValueError(f"CRI socket {self.url!r} must be unix:///an/absolute/path")

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
        check_name("profile", self.name, DNS_LABEL)
        _make_plain(self, f"profile {self.name}", "values")
        for key in self.FORBIDDEN:
            if key in self.values:
                raise ValueError(f"profile {self.name!r} must not set {key!r}: k0s refuses it")


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
    """

    name: str
    verdict: Verdict
    detail: str = ""
    remedy: str = ""
    cgroup_driver: Literal["", "systemd", "cgroupfs"] = ""

    def __post_init__(self) -> None:
        """Mask users, passwords and queries of URLs: every verdict is shown to somebody."""
        for name in ("name", "detail", "remedy"):
            object.__setattr__(self, name, masking.text(getattr(self, name)))


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
