"""``[dockerd]``: typed, and refused where it makes no sense."""

from __future__ import annotations

from typing import Any, Literal

from k0sruntime import Settings

AUTO = "auto"
PROFILE = "systemd-docker-cri"
"""What the worker profile is called where the operator gives no name."""


class RuntimeSettings(Settings, frozen=True):
    """One low-level runtime of Docker's: ``[dockerd.runtimes.NAME]``."""

    path: str = ""
    """A runtime like runc, such as ``/usr/bin/crun``; excludes ``runtime_type``."""
    args: list[str] = []
    """Arguments that Docker puts before its own."""
    runtime_type: str = ""
    """A shim, such as ``io.containerd.runsc.v1``, or its absolute path."""
    options: dict[str, Any] = {}
    """The shim's own options."""

    def __post_init__(self) -> None:
        """Refuse what Docker refuses, before it does."""
        if bool(self.path) == bool(self.runtime_type):
            raise ValueError("name either path or runtime_type")
        if self.args and not self.path:
            raise ValueError("args go with path; a shim takes options")
        if self.options and not self.runtime_type:
            raise ValueError("options go with runtime_type; a path takes args")


class DockerdSettings(Settings, frozen=True):
    """``[dockerd]``."""

    enabled: Literal["auto", "yes", "no"] = "auto"
    """Run the node on Docker; ``auto``: where cri-dockerd's socket is found."""
    socket: str = ""
    """Path of cri-dockerd's socket; empty: looked for."""
    docker: str = ""
    """Path of Docker's own socket; empty: where cri-dockerd looks for it."""
    cri_dockerd: str = ""
    """Path of the program; empty: that of its unit, or the first on PATH."""
    profile: str = AUTO
    """Worker profile: ``auto`` where it is needed, a name to ask for it, empty for none."""
    cgroup_driver: Literal["", "systemd", "cgroupfs"] = ""
    """What Docker uses, as ``docker info`` tells; empty: out of its configuration."""
    daemon_json: str = "/etc/docker/daemon.json"
    """Docker's configuration file, which ``runtimes`` go to."""
    pid_file: str = ""
    """Where Docker's PID is; empty: ``/var/run/docker.pid``, and in a sandbox nobody is told."""
    runtimes: dict[str, RuntimeSettings] = {}
    """Handlers, for a cri-dockerd that serves them (0.4.0 and 0.4.1)."""

    def __post_init__(self) -> None:
        """Refuse what is no absolute path, with what to write instead."""
        for key, example in EXAMPLES.items():
            value = getattr(self, key)
            if value and not value.startswith("/"):
                path = value.removeprefix("remote:").removeprefix("unix://")
                better = path if path.startswith("/") else example
                raise ValueError(
                    f"{key} = {value!r} must be an absolute path on the node, such as {better}"
                )


EXAMPLES = {
    "socket": "/run/cri-dockerd.sock",
    "docker": "/var/run/docker.sock",
    "cri_dockerd": "/usr/bin/cri-dockerd",
    "daemon_json": "/etc/docker/daemon.json",
    "pid_file": "/var/run/docker.pid",
}
"""What to write, by key."""
