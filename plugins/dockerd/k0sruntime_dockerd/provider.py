"""The provider: cri-dockerd's socket where it is found or asked for, and the cgroup driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from k0sruntime import Check, CRISocket, Inactive, KubeletProfile, Provider, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

SOCKETS = ("/run/cri-dockerd.sock", "/var/run/cri-dockerd.sock")
"""Where cri-dockerd's socket unit listens (packaging/systemd/cri-docker.socket)."""


class DockerdSettings(Settings, frozen=True):
    """``[dockerd]``."""

    enabled: Literal["auto", "yes", "no"] = "auto"
    """Run the node on Docker; ``auto``: where cri-dockerd's socket is found."""
    socket: str = ""
    """Path of cri-dockerd's socket; empty: looked for."""
    profile: str = "systemd-docker-cri"
    """Name of the worker profile; empty for none."""
    cgroup_driver: Literal["", "systemd", "cgroupfs"] = ""
    """What Docker uses: ``docker info`` tells. Empty: systemd, as Docker under systemd does."""

    def __post_init__(self) -> None:
        """Refuse a socket that is no path: a URL, or a path that is not absolute."""
        if self.socket and not self.socket.startswith("/"):
            path = self.socket.removeprefix("unix://")
            raise ValueError(
                f"socket = {self.socket!r} must be an absolute path on the node, such as"
                f" {path if path.startswith('/') else SOCKETS[0]}"
            )


class Dockerd(Provider[DockerdSettings]):
    """Docker through cri-dockerd as the node's CRI."""

    settings = DockerdSettings
    summary = "Docker through cri-dockerd as the node's CRI"

    def cri_socket(self, node: Node[DockerdSettings]) -> Iterator[CRISocket]:
        """Contribute cri-dockerd's socket."""
        yield CRISocket(url=f"unix://{_socket(node)}")

    def kubelet_profile(self, node: Node[DockerdSettings]) -> Iterator[KubeletProfile]:
        """Contribute the kubelet's cgroup driver.

        The kubelet asks the CRI for it from Kubernetes 1.31 and cri-dockerd 0.3.17 on; older
        ones need the profile, and newer ones are not harmed by it.
        """
        _socket(node)
        if node.settings.profile:
            values = {"cgroupDriver": node.settings.cgroup_driver or "systemd"}
            yield KubeletProfile(name=node.settings.profile, values=values)

    def post_start_check(self, node: Node[DockerdSettings], cri: RunningCRI) -> Iterator[Check]:
        """See that it is Docker that answers behind the socket."""
        del node
        name, version = cri.runtime()
        yield Check(
            name="the runtime is docker",
            verdict="pass" if name == "docker" else "fail",
            detail=f"{name} {version}",
            remedy="" if name == "docker" else "Point [dockerd] socket at cri-dockerd's socket.",
        )


def _socket(node: Node[DockerdSettings]) -> str:
    settings = node.settings
    if settings.enabled == "no":
        raise Inactive('[dockerd] enabled = "no"')
    if settings.socket:
        return settings.socket
    if settings.enabled == "auto" and node.paths.sandbox:
        raise Inactive("a sandbox runs a containerd of its own")
    for path in SOCKETS:
        if node.files.is_socket(path):
            return path
    if settings.enabled == "yes":
        return SOCKETS[0]  # the proof says so where nobody listens
    raise Inactive(f"no cri-dockerd socket at {' or '.join(SOCKETS)}")


provider = Dockerd()
