"""The plugin IDs that each containerd has.

Source: ``ctr plugins ls`` of containerd 1.7.24 and 2.1.9, and containerd 2.3
``cmd/containerd/builtins``. Plugins of other platforms and build tags are named too: a table for
one of them is no slip of the pen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME

if TYPE_CHECKING:
    from k0sruntime.node import Version

_SERVICES = "containers content diff images introspection namespaces snapshots tasks"
_GRPC = (
    "containers content cri diff events healthcheck images introspection leases namespaces"
    " sandbox-controllers sandboxes snapshots streaming tasks transfer version"
)
_SNAPSHOTTERS = "blockfile btrfs devmapper lcow native overlayfs windows windows-lcow zfs"

ALWAYS: tuple[str, ...] = (
    "io.containerd.content.v1.content",
    "io.containerd.differ.v1.walking",
    "io.containerd.event.v1.exchange",
    "io.containerd.gc.v1.scheduler",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.lease.v1.manager",
    "io.containerd.metadata.v1.bolt",
    "io.containerd.nri.v1.nri",
    "io.containerd.runtime.v2.task",
    "io.containerd.sandbox.store.v1.local",
    "io.containerd.streaming.v1.manager",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.transfer.v1.local",
    "io.containerd.warning.v1.deprecations",
    *(f"io.containerd.service.v1.{name}-service" for name in _SERVICES.split()),
    *(f"io.containerd.grpc.v1.{name}" for name in _GRPC.split()),
    *(f"io.containerd.snapshotter.v1.{name}" for name in _SNAPSHOTTERS.split()),
)

ONLY_1 = (
    "io.containerd.internal.v1.restart",
    "io.containerd.monitor.v1.cgroups",
    "io.containerd.runtime.v1.linux",
    "io.containerd.runtime.v2.shim",
    "io.containerd.sandbox.controller.v1.local",
    "io.containerd.snapshotter.v1.aufs",
)

ONLY_2 = (
    RUNTIME,
    IMAGES,
    "io.containerd.differ.v1.erofs",
    "io.containerd.image-verifier.v1.bindir",
    "io.containerd.monitor.container.v1.restart",
    "io.containerd.monitor.task.v1.cgroups",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.sandbox.controller.v1.shim",
    "io.containerd.shim.v1.manager",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.ttrpc.v1.otelttrpc",
)

NOT_ON_LINUX = tuple(
    f"io.containerd.snapshotter.v1.{name}" for name in ("lcow", "windows", "windows-lcow")
)
"""Those of them that no containerd on Linux has."""

LATER_FAMILIES = (
    "io.containerd.metrics.v1.",
    "io.containerd.mount-handler.v1.",
    "io.containerd.mount-manager.v1.",
    "io.containerd.server.v1.",
)
"""Kinds of plugins that came with 2.2 and 2.3; their members are not told apart here."""

CRI_PLUGINS = (CRI, RUNTIME, IMAGES)


def known_plugins(containerd: Version) -> tuple[str, ...]:
    """Return the plugin IDs that a containerd has."""
    return (*ALWAYS, *(ONLY_1 if containerd < (2,) else ONLY_2))


def is_known(plugin: str, containerd: Version) -> bool:
    """Tell whether a containerd has a plugin."""
    later = containerd >= (2, 2) and plugin.startswith(LATER_FAMILIES)
    return later or plugin in known_plugins(containerd)
