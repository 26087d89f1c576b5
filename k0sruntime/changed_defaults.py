"""What containerd takes where nobody says anything, and where that is another thing than before.

A key that no file sets changes its meaning with the containerd. Sources: containerd
``internal/cri/config/config_unix.go`` and ``pkg/cri/config/config_unix.go`` (1.7),
``plugins/nri/plugin.go``, RELEASES.md; Kubernetes ``KubeletCgroupDriverFromCRI``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import schema as schema_
from k0sruntime.node import Version

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ChangedDefault:
    """A default that changes on the way from one containerd to another.

    Attributes:
        key: of the CRI runtime table, dotted; or another plugin's.
        before: what the older one takes.
        after: what the newer one takes.
        means: what that is for pods, as a sentence.
    """

    key: str
    before: str
    after: str
    means: str


_SINCE: tuple[tuple[Version, ChangedDefault], ...] = (
    (
        Version(2, 0, 0),
        ChangedDefault(
            "enable_cdi",
            "false",
            "true",
            "Devices that a container asks for by CDI are resolved by containerd.",
        ),
    ),
    (
        Version(2, 0, 0),
        ChangedDefault(
            "enable_unprivileged_ports",
            "false",
            "true",
            "Containers without capabilities may listen on ports below 1024.",
        ),
    ),
    (
        Version(2, 0, 0),
        ChangedDefault(
            "enable_unprivileged_icmp",
            "false",
            "true",
            "Containers without capabilities may send ICMP echo requests.",
        ),
    ),
    (
        Version(2, 0, 0),
        ChangedDefault(
            'plugins."io.containerd.nri.v1.nri".disable',
            "true",
            "false",
            "NRI plugins may connect to /var/run/nri/nri.sock, and change containers.",
        ),
    ),
)


def changed(
    before: Version, after: Version, effective: Mapping[str, Any], schema: int
) -> tuple[ChangedDefault, ...]:
    """Return the defaults that change, without those that the configuration sets itself.

    Args:
        before: the containerd that runs.
        after: the one that will.
        effective: what the files come to under it.
        schema: of ``effective``.
    """
    runtime, _ = schema_.cri_tables(effective, 2 if schema == 2 else 3)
    plugins = effective.get("plugins", {})
    nri = plugins.get("io.containerd.nri.v1.nri", {}) if isinstance(plugins, dict) else {}
    said = {*runtime, *(f'plugins."io.containerd.nri.v1.nri".{key}' for key in nri)}
    return tuple(
        default for since, default in _SINCE if before < since <= after and default.key not in said
    )
