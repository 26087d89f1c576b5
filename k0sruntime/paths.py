"""Where things lie on the node: k0s's own defaults, unless moved."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """The places of a node.

    ``root`` is where the node's ``/`` lies on this machine: ``/`` on the node itself, the mounted
    image with ``--root``. All other attributes are paths as the node sees them.
    """

    root: str = "/"
    etc: str = "/etc/k0s"
    data: str = "/var/lib/k0s"
    run: str = "/run/k0s"
    settings: str = "/etc/k0sruntime/config.toml"
    state: str = "/var/lib/k0sruntime"
    own_run: str = "/run/k0sruntime"
    cache: str = "/var/cache/k0sruntime"
    """Where fetched programs are kept, on this machine: never below ``root``."""
    logs: str = "/var/log"
    image: bool = False
    """An image is being made: of this machine's kernel, devices and limits nothing is the node's,
    even where the image is this very root, as in a container build."""
    sandbox: str = ""
    """The folder given with ``--sandbox``; empty on a real node."""

    @classmethod
    def in_sandbox(cls, folder: str) -> Paths:
        """Return the paths of a node that lives wholly inside ``folder``."""
        return cls(
            etc=f"{folder}/etc/k0s",
            data=f"{folder}/var/lib/k0s",
            run=f"{folder}/run/k0s",
            settings=f"{folder}/etc/k0sruntime/config.toml",
            state=f"{folder}/var/lib/k0sruntime",
            own_run=f"{folder}/run/k0sruntime",
            cache=f"{folder}/var/cache/k0sruntime",
            logs=f"{folder}/var/log",
            sandbox=folder,
        )

    @property
    def elsewhere(self) -> bool:
        """The node is not this machine, of which nothing may be taken for the node's."""
        return self.image or self.root != "/"

    def on_disk(self, path: str) -> str:
        """Return where the node's ``path`` lies on this machine."""
        return path if self.root == "/" else posixpath.join(self.root, path.lstrip("/"))

    @property
    def main_file(self) -> str:
        """Containerd's main configuration file."""
        return f"{self.etc}/containerd.toml"

    @property
    def dropins(self) -> str:
        """The folder of drop-ins that k0s watches."""
        return f"{self.etc}/containerd.d"

    @property
    def certs(self) -> str:
        """The folder of hosts files, one sub-folder a registry."""
        return f"{self.dropins}/certs.d"

    @property
    def config_files(self) -> str:
        """The folder of the providers' own configuration files, one sub-folder a provider."""
        return f"{self.etc}/k0sruntime"

    @property
    def quarantine(self) -> str:
        """The folder of foreign files that were moved away; beside the watched one."""
        return f"{self.etc}/quarantine"

    @property
    def cri_file(self) -> str:
        """The merged CRI configuration of the merge-patch scheme."""
        return f"{self.run}/containerd-cri.toml"

    @property
    def socket(self) -> str:
        """Containerd's gRPC socket."""
        return f"{self.run}/containerd.sock"

    @property
    def pid_file(self) -> str:
        """Where k0s keeps the PID of its containerd, and we of ours."""
        return f"{self.run}/containerd.pid"

    @property
    def containerd_root(self) -> str:
        """Containerd's persistent data."""
        return f"{self.data}/containerd"

    @property
    def containerd_state(self) -> str:
        """Containerd's volatile data."""
        return f"{self.run}/containerd"

    @property
    def bin(self) -> str:
        """k0s's folder of programs, first on containerd's PATH."""
        return f"{self.data}/bin"

    @property
    def binaries(self) -> str:
        """The folder of programs that we install, one sub-folder a provider, one a version."""
        return f"{self.state}/bin"

    @property
    def systemd(self) -> tuple[str, ...]:
        """The folders of systemd's units, the operator's own first."""
        inside = self.sandbox
        folders = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
        return tuple(f"{inside}{folder}" for folder in (*folders, "/lib/systemd/system"))

    @property
    def init_scripts(self) -> str:
        """The folder of OpenRC's scripts."""
        return f"{self.sandbox}/etc/init.d"

    @property
    def init_settings(self) -> str:
        """The folder of what OpenRC's scripts read before they begin (openrc-run(8))."""
        return f"{self.sandbox}/etc/conf.d"

    @property
    def manifests(self) -> str:
        """k0s's folder of manifests, which a controller applies; a worker has none."""
        return f"{self.data}/manifests"

    @property
    def images(self) -> str:
        """k0s's folder of image bundles, imported at start."""
        return f"{self.data}/images"


def hosts_folder(registry: str) -> str:
    """Return the folder that containerd looks up first for a registry.

    That is ``host_port_`` for a registry with a port, and the plain name otherwise. Source:
    containerd ``core/remotes/docker/config/config_unix.go``.
    """
    host, colon, port = registry.rpartition(":")
    if colon and port.isdigit() and (host.endswith("]") or ":" not in host):
        return f"{host}_{port}_"
    return registry
