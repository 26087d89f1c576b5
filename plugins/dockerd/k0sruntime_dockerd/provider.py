"""The provider: cri-dockerd's socket where it is found or asked for, and what goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import CRISocket, KubeletProfile, Provider, Version
from k0sruntime_dockerd import found, runtimes
from k0sruntime_dockerd.settings import AUTO, PROFILE, DockerdSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Check, JSONKeys, Node, RunningCRI

ASKS_CRI = Version(1, 31)
"""The first Kubernetes line whose kubelet asks the CRI for its cgroup driver."""
DEFAULT_DRIVER = "cgroupfs"
"""What a kubelet takes without being told."""


class Dockerd(Provider[DockerdSettings]):
    """Docker through cri-dockerd as the node's CRI."""

    contract = (1, 0)
    settings = DockerdSettings
    summary = "Docker through cri-dockerd as the node's CRI"

    def cri_socket(self, node: Node[DockerdSettings]) -> Iterator[CRISocket]:
        """Contribute cri-dockerd's socket."""
        yield CRISocket(url=f"unix://{found.cri_socket(node)}")

    def contribute_dropin(self, node: Node[DockerdSettings]) -> Iterator[JSONKeys]:
        """Contribute the operator's runtimes to Docker's configuration file."""
        found.cri_socket(node)
        if node.settings.runtimes:
            yield runtimes.keys(node)

    def kubelet_profile(self, node: Node[DockerdSettings]) -> Iterator[KubeletProfile]:
        """Contribute the kubelet's cgroup driver, where it is needed or asked for.

        A kubelet from 1.31 on asks the CRI, and any kubelet takes cgroupfs by itself. A
        cri-dockerd before 0.3.17 does not answer; the coherence gate says so then.
        """
        found.cri_socket(node)
        driver = found.cgroup_driver(node)
        name = node.settings.profile
        if name == AUTO:
            asks = node.k0s is not None and node.k0s.version >= ASKS_CRI
            name = "" if asks or driver == DEFAULT_DRIVER else PROFILE
        if name:
            yield KubeletProfile(name=name, values={"cgroupDriver": driver})

    def post_start_check(self, node: Node[DockerdSettings], cri: RunningCRI) -> Iterator[Check]:
        """See that it is Docker that answers behind the socket, and that the two fit together."""
        from k0sruntime_dockerd import checks

        yield from checks.of(node, cri)


provider = Dockerd()
"""cri-dockerd's socket: found, asked for, or a reason to rest."""
