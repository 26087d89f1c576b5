"""Where Docker and cri-dockerd are on a node: sockets, units, programs. Reads files, asks nobody.

Sources: cri-dockerd ``packaging/systemd/cri-docker.{service,socket}`` and ``cmd/cri/options``;
dockerd(8) and ``daemon.json``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k0sruntime import Inactive, unit_command, unit_values

if TYPE_CHECKING:
    from k0sruntime import Node
    from k0sruntime_dockerd.settings import DockerdSettings

SOCKETS = ("/run/cri-dockerd.sock", "/var/run/cri-dockerd.sock")
"""Where cri-dockerd's socket unit listens as it is packaged."""
DOCKER = "/var/run/docker.sock"
SOCKET_UNIT = "cri-docker.socket"
SERVICE = "cri-docker.service"
CGROUP_OPTION = "native.cgroupdriver="


def cri_socket(node: Node[DockerdSettings]) -> str:
    """Return the path of cri-dockerd's socket.

    One that the node is on already counts though it is not there at the moment: a runtime that is
    restarted is no reason to leave it, and the proof says that it is away.

    Raises:
        Inactive: the node shall not run on Docker, or there is no socket.
    """
    settings = node.settings
    if settings.enabled == "no":
        raise Inactive('[dockerd] enabled = "no"')
    if settings.socket:
        return settings.socket
    listening = listen_paths(node)
    candidates = tuple(dict.fromkeys((*listening, *SOCKETS)))
    other = node.other_cri
    if other and (other.provider == node.provider or other.path in candidates):
        return other.path
    if settings.enabled == "auto" and node.paths.sandbox:
        raise Inactive("a sandbox runs a containerd of its own")
    for path in candidates:
        if node.files.is_socket(path):
            return path
    if settings.enabled == "yes":
        return candidates[0]  # the proof says so where nobody listens
    if listening:
        raise Inactive(
            f"{SOCKET_UNIT} is installed, and {listening[0]} is not there:"
            f" systemctl enable --now {SOCKET_UNIT}"
        )
    raise Inactive(f"no cri-dockerd socket at {' or '.join(SOCKETS)}")


def listen_paths(node: Node[DockerdSettings]) -> list[str]:
    """Return where the units say that cri-dockerd listens."""
    said = [v.text for v in unit_values(node.files, SOCKET_UNIT, "Socket", "ListenStream")]
    endpoint = service_flag(node, "--container-runtime-endpoint")
    if endpoint.startswith("unix://"):
        said.append(endpoint.removeprefix("unix://"))
    return [path.replace("%t", "/run") for path in said if path.startswith(("/", "%t/"))]


def service_command(node: Node[DockerdSettings]) -> list[str]:
    """Return the words with which cri-dockerd's unit starts it; empty where there is none."""
    lines = unit_values(node.files, SERVICE, "Service", "ExecStart")
    return unit_command(lines[-1].text) if lines else []


def service_flag(node: Node[DockerdSettings], name: str) -> str:
    """Return the value of a flag that cri-dockerd's unit gives it."""
    words = service_command(node)
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def docker_socket(node: Node[DockerdSettings]) -> str:
    """Return the path of Docker's own socket, where cri-dockerd looks for it."""
    endpoint = service_flag(node, "--docker-endpoint")
    return node.settings.docker or endpoint.removeprefix("unix://") or DOCKER


def program(node: Node[DockerdSettings]) -> str:
    """Return the path of cri-dockerd; empty where it is not found."""
    if node.settings.cri_dockerd:
        return node.settings.cri_dockerd
    words = service_command(node)
    if words and node.files.is_executable(words[0]):
        return words[0]
    return node.which("cri-dockerd") or ""


def cgroup_driver(node: Node[DockerdSettings]) -> str:
    """Return the cgroup driver that Docker will use, out of its configuration.

    Its default is systemd on cgroup v2 under systemd, and cgroupfs elsewhere (moby
    ``daemon/daemon_unix.go``).
    """
    if node.settings.cgroup_driver:
        return node.settings.cgroup_driver
    for option in (*_exec_opts(node), *_unit_opts(node)):
        if option.startswith(CGROUP_OPTION):
            return option.removeprefix(CGROUP_OPTION)
    systemd = node.files.exists("/run/systemd/system")
    return "systemd" if systemd and node.cgroups == 2 else "cgroupfs"


def _exec_opts(node: Node[DockerdSettings]) -> list[str]:
    try:
        document = json.loads(node.files.read(node.settings.daemon_json) or b"{}")
        return [str(option) for option in document.get("exec-opts") or ()]
    except (ValueError, AttributeError, TypeError):
        return []  # Docker does not start with it, and the checks say so


def _unit_opts(node: Node[DockerdSettings]) -> list[str]:
    lines = unit_values(node.files, "docker.service", "Service", "ExecStart")
    words = unit_command(lines[-1].text) if lines else []
    return [
        following if word == "--exec-opt" else word.partition("=")[2]
        for word, following in zip(words, [*words[1:], ""], strict=False)
        if word.partition("=")[0] == "--exec-opt"
    ]
