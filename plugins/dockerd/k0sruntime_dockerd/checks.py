"""What is checked before a kubelet is pointed at cri-dockerd, and proved again whenever asked.

Sources: cri-dockerd's releases (``RuntimeConfig`` from 0.3.17 on; handlers of Docker's in 0.4.0
and 0.4.1 alone), docker/for-win#14997 (Docker 29 and old clients), cri-dockerd ``core/logs.go``.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Literal

from k0sruntime import Check, CRIError, Version
from k0sruntime_dockerd import bundles, docker_api, found

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from k0sruntime import Node, RunningCRI
    from k0sruntime_dockerd.docker_api import Info
    from k0sruntime_dockerd.settings import DockerdSettings

VERSION_SECONDS = 5.0
RELOAD_SECONDS = 3.0
OLD_CLIENT = Version(0, 3, 16)
"""cri-dockerd before this speaks an API that Docker 29 serves no more."""
TELLS_DRIVER = Version(0, 3, 17)
LEAST_API = (1, 44)
"""The oldest API of Docker 29."""
WITH_HANDLERS = (Version(0, 4, 0), Version(0, 4, 1))
LOST_HANDLERS = (Version(0, 4, 2), Version(0, 4, 3))
DRIVERS: tuple[Literal["systemd", "cgroupfs"], ...] = ("systemd", "cgroupfs")
SHOWN = 3
"""So many containers are named."""


def of(node: Node[DockerdSettings], cri: RunningCRI) -> Iterator[Check]:
    """Check Docker, cri-dockerd, and how the two fit together."""
    name, version = cri.runtime()
    yield _runtime(name, version)
    path = found.docker_socket(node)
    try:
        info = docker_api.info(path)
    except docker_api.DockerError as exc:
        detail = f"{exc.problem.message} ({path})"
        yield Check(
            name="Docker answers its API", verdict="fail", detail=detail, remedy=exc.problem.remedy
        )
        return
    yield from _docker(info, path, version)
    yield from _cri_dockerd(node, info, set(cri.handlers()))
    yield _pause_image(cri)
    if node.settings.runtimes:
        yield from _handlers(node, cri, _when_read(node, path, info))
    yield _pods(info)
    yield from _bundles(node)


def _runtime(name: str, version: str) -> Check:
    docker = name == "docker"
    return Check(
        name="the runtime is docker",
        verdict="pass" if docker else "fail",
        detail=f"{name}://{version}" if docker else f"{name} {version}",
        remedy="" if docker else "Point [dockerd] socket at cri-dockerd's socket.",
    )


def _docker(info: Info, path: str, behind: str) -> Iterator[Check]:
    detail = f"Docker {info.version}, API {info.api}, at {path}"
    if behind and info.version.split("+")[0] != behind.split("+", maxsplit=1)[0]:
        yield Check(
            name="Docker answers its API",
            verdict="warn",
            detail=f"{detail}; cri-dockerd is connected to {behind}",
            remedy="Name the socket of the Docker that cri-dockerd uses in [dockerd] docker.",
        )
    else:
        yield Check(name="Docker answers its API", verdict="pass", detail=detail)
    if "name=rootless" in info.options:
        remedy = "Take a Docker that root runs: a kubelet's pods need its mounts and cgroups."
        yield Check(name="Docker is root's", verdict="fail", detail="rootless", remedy=remedy)
    for driver in DRIVERS:
        if driver == info.cgroup_driver:
            yield Check(name="docker", verdict="pass", detail=driver, cgroup_driver=driver)
    yield _log_driver(info)


def _log_driver(info: Info) -> Check:
    if info.log_driver == "json-file":
        return Check(name="log driver", verdict="pass", detail="json-file")
    return Check(
        name="log driver",
        verdict="warn",
        detail=f"{info.log_driver}: kubectl logs will show nothing",
        remedy='Set "log-driver": "json-file" in daemon.json and restart Docker.',
    )


def _cri_dockerd(
    node: Node[DockerdSettings], info: Info, serves: Collection[str]
) -> Iterator[Check]:
    name = "cri-dockerd's version"
    path = found.program(node)
    version = _asked(path) if path else None
    if version is None:
        detail = f"{path} does not answer --version" if path else "the program was not found"
        remedy = "Name it in [dockerd] cri_dockerd; old ones fail with Docker 29."
        yield Check(name=name, verdict="unknown", detail=detail, remedy=remedy)
        return
    verdict, why, remedy = _judged(version, node, info, serves)
    detail = f"{version}: {why}" if why else str(version)
    yield Check(name=name, verdict=verdict, detail=detail, remedy=remedy)


def _judged(
    version: Version, node: Node[DockerdSettings], info: Info, serves: Collection[str]
) -> tuple[Literal["pass", "warn", "fail"], str, str]:
    if version < OLD_CLIENT and _numbers(info.least_api) >= LEAST_API:
        why = f"its client is older than API {info.least_api}, the oldest of Docker {info.version}"
        return "fail", why, "Install cri-dockerd 0.3.17 or newer."
    missing = not set(node.settings.runtimes) <= set(serves)
    if missing and version not in WITH_HANDLERS:
        lost = "lost" if version in LOST_HANDLERS else "does not know"
        why = f"it {lost} runtime handlers: RuntimeClasses would fail"
        return "fail", why, "Install cri-dockerd 0.4.1, or take out [dockerd.runtimes]."
    if version in LOST_HANDLERS:
        return "pass", "without runtime handlers, which 0.4.0 and 0.4.1 have", ""
    if version < TELLS_DRIVER:
        return "pass", "it does not tell the kubelet its cgroup driver", ""
    return "pass", "", ""


def _numbers(api: str) -> tuple[int, ...]:
    return tuple(int(part) for part in api.split(".") if part.isdigit())


def _asked(path: str) -> Version | None:
    """Ask the program for its version: ``cri-dockerd 0.3.17 (483e3b6)``."""
    command = [path, "--version"]
    try:
        done = subprocess.run(  # its own program, named by the operator or by its unit
            command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Version.parse(done.stdout) if done.returncode == 0 else None


def _pause_image(cri: RunningCRI) -> Check:
    image = str(cri.config().get("sandboxImage", ""))
    if not image:
        detail = "cri-dockerd does not tell its pause image"
        return Check(name="pause image", verdict="unknown", detail=detail)
    try:
        there = cri.has_image(image)
    except CRIError as exc:
        return Check(name="pause image", verdict="unknown", detail=f"{image}: {exc}")
    if there:
        return Check(name="pause image", verdict="pass", detail=f"{image} is at hand")
    return Check(
        name="pause image",
        verdict="warn",
        detail=f"{image} is not at hand, and is pulled with the first pod",
        remedy="Without a network: import a bundle that has it (k0sruntime-dockerd import-images),"
        " and name it with cri-dockerd's --pod-infra-container-image; k0s's own is not passed on.",
    )


def _when_read(node: Node[DockerdSettings], path: str, info: Info) -> Info:
    """Return what Docker says once it has read its file again, which it does after SIGHUP."""
    deadline = time.monotonic() + RELOAD_SECONDS
    while set(node.settings.runtimes) - set(info.runtimes) and time.monotonic() < deadline:
        time.sleep(0.1)
        info = docker_api.info(path)
    return info


def _handlers(node: Node[DockerdSettings], cri: RunningCRI, info: Info) -> Iterator[Check]:
    known = set(cri.handlers())
    for name in sorted(node.settings.runtimes):
        if name not in info.runtimes:
            detail = "Docker does not list it"
            remedy = (
                f"See Docker's log for what it says of {node.settings.daemon_json}, and that"
                " [dockerd] pid_file names the PID of this Docker."
            )
            yield Check(name=f"runtime {name}", verdict="fail", detail=detail, remedy=remedy)
        elif name not in known:
            detail = "Docker lists it, and cri-dockerd does not serve it"
            remedy = "Install cri-dockerd 0.4.0 or 0.4.1."
            yield Check(name=f"runtime {name}", verdict="fail", detail=detail, remedy=remedy)
        else:
            detail = "Docker lists it, and cri-dockerd serves it"
            yield Check(name=f"runtime {name}", verdict="pass", detail=detail)


def _bundles(node: Node[DockerdSettings]) -> Iterator[Check]:
    names = [n for n in node.files.names(node.paths.images) if n.endswith(bundles.SUFFIXES)]
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        yield Check(
            name="image bundles",
            verdict="warn",
            detail=f"k0s does not import {names[0]}{more} from {node.paths.images} into Docker",
            remedy="k0sruntime-dockerd import-images",
        )


def _pods(info: Info) -> Check:
    more = f" and {len(info.pods) - SHOWN} more" if len(info.pods) > SHOWN else ""
    shown = ", ".join(info.pods[:SHOWN]) + more
    detail = f"{len(info.pods)}: {shown}" if info.pods else "none yet"
    return Check(name="containers of pods in Docker", verdict="pass", detail=detail)
