"""The table ``[gvisor]``: programs, release, handlers, and runsc's flags by their names."""

from __future__ import annotations

import re
from typing import Any, Literal

from k0sruntime import RuntimeHandler, Settings

PUBLIC = "https://storage.googleapis.com/gvisor/releases/release"
"""Where gVisor publishes its releases, one folder a date, in it one an architecture."""
FLAG = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_]*")
DATE = re.compile(r"\d{8}(\.\d+)?")
OVERLAY = re.compile(r"none|(root|all):(memory|self|dir=/[^\s,]+)(,size=\d+[kmgKMG]?)?")


class Flags(Settings, frozen=True):
    """Flags of runsc; one that is not set keeps runsc's own default.

    Source: gVisor ``runsc/config/flags.go``.
    """

    platform: Literal["systrap", "kvm"] | None = None
    network: Literal["sandbox", "host", "none"] | None = None
    overlay2: str | None = None
    """``root:self``, ``all:memory``, ``root:dir=/var/tmp``, each with ``,size=2g`` or without."""
    debug_log: str | None = None
    """Folder for debug logs; turns them on."""
    strace: bool | None = None
    file_access: Literal["exclusive", "shared"] | None = None
    directfs: bool | None = None
    host_uds: Literal["none", "open", "create", "all"] | None = None
    host_fifo: Literal["none", "open"] | None = None
    net_raw: bool | None = None
    systemd_cgroup: bool | None = None
    ignore_cgroups: bool | None = None
    oci_seccomp: bool | None = None
    host_settings: Literal["check", "ignore", "adjust", "enforce"] | None = None
    nvproxy: bool | None = None
    nvproxy_driver_version: str | None = None
    nvproxy_allowed_driver_capabilities: str | None = None
    options: dict[str, str] = {}
    """Any other flag, without its dashes."""

    def __post_init__(self) -> None:
        """Refuse values that runsc would refuse when a pod starts."""
        if self.overlay2 is not None and not OVERLAY.fullmatch(self.overlay2):
            raise ValueError(
                f"overlay2 = {self.overlay2!r} must be none, or root or all, a colon, and memory,"
                " self or dir=/a/folder"
            )
        if self.debug_log is not None and not self.debug_log.startswith("/"):
            raise ValueError(f"debug_log = {self.debug_log!r} must be an absolute path")
        for flag in self.options:
            if not FLAG.fullmatch(flag):
                raise ValueError(
                    f"option {flag!r} is no flag of runsc; write it without its dashes, such as"
                    " platform"
                )
            if flag.replace("-", "_") in TYPED:
                raise ValueError(
                    f"option {flag!r} has a key of its own: write"
                    f" {flag.replace('-', '_')} = … beside options"
                )


TYPED = tuple(name for name in Flags.__struct_fields__ if name != "options")
"""The flags that have a key of their own."""


class HandlerSettings(Flags, frozen=True):
    """A handler: ``[gvisor.handlers.NAME]``. What it does not set, it has from ``[gvisor]``."""

    runtime_class: str = ""
    """RuntimeClass to offer for it; empty for none."""
    overhead: dict[str, str] = {}
    """What a pod costs besides its containers: ``cpu``, ``memory``."""
    node_selector: dict[str, str] = {}
    """Labels of the nodes that its pods may go to."""
    tolerations: list[dict[str, Any]] = []
    """Taints that its pods tolerate."""

    def offered(self) -> dict[str, Any]:
        """Return what its RuntimeClass is made of, as a ``RuntimeHandler`` takes it."""
        scheduling = {"nodeSelector": self.node_selector, "tolerations": self.tolerations}
        return {
            "runtime_class": self.runtime_class,
            "overhead": self.overhead,
            "scheduling": {key: value for key, value in scheduling.items() if value},
        }


class ReleaseSettings(Settings, frozen=True):
    """A release to install: ``[gvisor.release]``."""

    date: str = ""
    """Which one: ``20260817`` or ``20260817.0``; empty: what is found on the node is taken."""
    source: str = PUBLIC
    """URL or folder that holds ``DATE/ARCH/FILE``."""
    layout: Literal["auto", "tarball", "files"] = "auto"
    """``gvisor.tar.bz2``, or runsc and shim as two files; ``auto`` decides by the date."""
    sha512: dict[str, str] = {}
    """Checksums by ``ARCH/FILE``; others come from the source, as ``FILE.sha512``."""

    def __post_init__(self) -> None:
        """Refuse what names no release for ever."""
        if self.date and not DATE.fullmatch(self.date):
            raise ValueError(
                f"date = {self.date!r} must name one release, such as 20260817.0: what latest is"
                " changes under a node"
            )
        if not re.fullmatch(r"https?://\S+|/\S*", self.source):
            raise ValueError(f"source = {self.source!r} must be an URL or an absolute path")
        if not self.source.startswith("/") and set(self.source) & {"?", "#"}:
            # Date and file name are put behind it; and what a query holds may be a secret.
            raise ValueError(
                "source must be an URL without a query (what follows ? or #): files are asked for"
                " below it; a token belongs into ~/.netrc or the URL's user and password"
            )


class GVisorSettings(HandlerSettings, frozen=True):
    """``[gvisor]``: the first handler, and what all of them share."""

    handler: str = "runsc"
    runtime_class: str = "gvisor"
    runsc: str = ""
    """Path of runsc; empty: looked for."""
    shim: str = ""
    """Path of the shim; empty: looked for likewise."""
    probe_image: str = ""
    """Image that has a ``uname``, to see from inside whose kernel it is; empty: the node's."""
    release: ReleaseSettings = ReleaseSettings()
    handlers: dict[str, HandlerSettings] = {}
    """More handlers, by name."""

    def __post_init__(self) -> None:
        """Refuse paths that are not absolute, two origins, and what can be no handler."""
        super().__post_init__()
        for key, path in (("runsc", self.runsc), ("shim", self.shim)):
            if path and not path.startswith("/"):
                raise ValueError(f"{key} = {path!r} must be an absolute path on the node")
            if path and self.release.date:
                raise ValueError(f"{key} and release exclude each other: take one of them out")
        if self.handler in self.handlers:
            raise ValueError(f"handlers.{self.handler} is the first handler's name as well")
        for name, handler in self.all_handlers().items():
            RuntimeHandler(name=name, **handler.offered())  # refuses what can be none

    def all_handlers(self) -> dict[str, HandlerSettings]:
        """Return all handlers by name, the first one first."""
        return {self.handler: self, **self.handlers}

    def flags(self, name: str) -> dict[str, str]:
        """Return the flags of a handler as runsc takes them: its own, else those of all."""
        own = self.all_handlers()[name]
        found = {**self.options, **own.options}
        for key in TYPED:
            value = getattr(own, key)
            value = getattr(self, key) if value is None else value
            if value is not None:
                found[key.replace("_", "-")] = _text(value)
        if log := found.get("debug-log"):
            # Without the slash, or a name that tells them apart, all sandboxes share one file.
            found["debug-log"] = log if "%" in log else f"{log.rstrip('/')}/"
            found.setdefault("debug", "true")
        return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
