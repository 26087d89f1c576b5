"""Docker's own API over its socket, thin over the Docker SDK, bounded in time."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime import Problem, socket_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL_SECONDS = 5
UNASKED = "1.24"
"""A version of the API that stands in until Docker was asked; no call is made in it."""


class DockerError(Exception):
    """Docker does not answer, or refuses; ``problem`` says why and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class Info:
    """What Docker says of itself.

    Attributes:
        version: of the engine, such as ``28.5.2``.
        api: the newest version of its API.
        least_api: the oldest version of its API that it still serves.
        cgroup_driver: ``systemd``, ``cgroupfs`` or ``none``.
        log_driver: the default for containers.
        runtimes: names of its low-level runtimes.
        options: its security options, such as ``name=rootless``.
        pods: containers of pods, each as ``namespace/pod/container``.
    """

    version: str
    api: str
    least_api: str
    cgroup_driver: str
    log_driver: str
    runtimes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    pods: tuple[str, ...] = field(default=())


@contextmanager
def connected(path: str, seconds: int = CALL_SECONDS) -> Iterator[Any]:
    """Connect to Docker's socket.

    Raises:
        DockerError: with a sentence of its own for each way of failing.
    """
    if wrong := socket_fault(path):
        raise DockerError(wrong)
    import docker
    from requests.exceptions import RequestException

    url = f"unix://{path}"
    try:
        # Asked by hand: the SDK's own "auto" leaves its connection open where that fails.
        with closing(docker.APIClient(url, UNASKED, seconds)) as client:
            newest = client.version(api_version=False)["ApiVersion"]
        with closing(docker.APIClient(url, newest, seconds)) as client:
            yield client
    except (docker.errors.DockerException, RequestException, KeyError, TypeError) as exc:
        raise DockerError(_problem(path, exc)) from exc


def _problem(path: str, error: Exception) -> Problem:
    text = " ".join(str(error).split())
    if "timed out" in text:
        remedy = "See its log (journalctl -u docker), and restart it."
        return Problem("Docker listens, and gives no answer", path, remedy=remedy)
    if "Permission denied" in text:
        return Problem("this user may not ask Docker", path, remedy="Run as root.")
    remedy = "Name Docker's own socket in [dockerd] docker."
    return Problem(f"Docker's API does not answer: {text[:200]}", path, remedy=remedy)


def info(path: str) -> Info:
    """Ask Docker about itself.

    Raises:
        DockerError: it does not answer.
    """
    with connected(path) as client:
        said, version = client.info(), client.version()
        containers = client.containers(filters={"label": "io.kubernetes.pod.name"})
    return Info(
        str(said.get("ServerVersion", "")),
        str(version.get("ApiVersion", "")),
        str(version.get("MinAPIVersion", "")),
        str(said.get("CgroupDriver", "")),
        str(said.get("LoggingDriver", "")),
        tuple(sorted(said.get("Runtimes") or ())),
        tuple(said.get("SecurityOptions") or ()),
        tuple(sorted(_pod(container) for container in containers)),
    )


def _pod(container: dict[str, Any]) -> str:
    labels = container.get("Labels") or {}
    parts = ("pod.namespace", "pod.name", "container.name")
    return "/".join(str(labels.get(f"io.kubernetes.{part}", "?")) for part in parts)
